"""What `openapi.json` says of the catalogue's routes and of the original's is true of what they take and answer."""

from typing import Any

import jsonschema
import pytest
from fastapi.testclient import TestClient

from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from services.deployments.retrieval import ProductShelf
from tests.services.http.chatting import data_url, events_of, picture
from tests.services.http.colours import ODD_ID, ColourLlm, client_over, unit

SHOWS = (TextDelta("Look: "), Retrieval(unit("red"), 6), Finished("stop", 3, 4))
TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("/v1/search", {"text": "red"}),
    ("/v1/search", {"image_url": data_url(), "weights": {"image_url": 0.5}, "top_k": 100, "text": None}),
    ("/v1/search", {"image_url": {"url": data_url()}, "item_id": ODD_ID, "min_score": -1, "exclude_ids": []}),
    ("/v1/search", {"text": "red", "filters": {"brand": ["Ada", None, 3, True], "attributes.price": {"lt": 5}}}),
    ("/v1/embeddings", {"input": "red"}),
    ("/v1/embeddings", {"input": ["red", picture(data_url()), {"text": "red"}], "encoding_format": "base64"}),
    ("/v1/embeddings", {"input": {"image_url": data_url()}, "dimensions": 3, "user": "me"}),
    ("/v1/captions", {"images": data_url(), "temperature": 0.5, "seed": 3}),
    ("/v1/captions", {"images": [picture(data_url()), data_url()], "prompt": "It is", "max_tokens": 4}),
    ("/", {"text": "Hi"}),
    ("/k/some-key", {"text": "Hi", "conversation": ""}),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/search", {}),
    ("/v1/search", {"text": None}),
    ("/v1/search", {"text": "red", "top_k": 101}),
    ("/v1/search", {"text": "red", "weights": {"text": -1}}),
    ("/v1/search", {"text": "red", "filters": {"brand": []}}),
    ("/v1/search", {"text": "red", "filters": {"brand": {"near": 3}}}),
    ("/v1/search", {"text": "red", "filters": {"brand": {}}}),
    ("/v1/embeddings", {"input": []}),
    ("/v1/embeddings", {"input": [1]}),
    ("/v1/embeddings", {"input": {"image_url": 3}}),
    ("/v1/captions", {"images": []}),
    ("/v1/captions", {"images": data_url(), "top_p": 0}),
    ("/", {"text": ""}),
    ("/k/some-key", {}),
]


@pytest.fixture(scope="module")
def client(colours: ProductShelf) -> TestClient:
    return client_over(colours, ColourLlm(SHOWS))


@pytest.fixture(scope="module")
def document(client: TestClient) -> dict[str, Any]:
    return client.get("/openapi.json").json()


def operation(document: dict[str, Any], path: str, method: str = "post") -> dict[str, Any]:
    return document["paths"]["/k/{key}" if path.startswith("/k/") else path][method]


def check(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """The schema refers to the document's components."""
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(value)


def body_schema(document: dict[str, Any], path: str) -> dict[str, Any]:
    return operation(document, path)["requestBody"]["content"]["application/json"]["schema"]


def answer_schema(document: dict[str, Any], path: str, status: int, method: str = "post") -> dict[str, Any]:
    return operation(document, path, method)["responses"][str(status)]["content"]["application/json"]["schema"]


@pytest.mark.parametrize(("path", "body"), TAKEN)
def test_what_the_document_takes_is_taken_and_answered_as_it_says(
    client: TestClient, document: dict[str, Any], path: str, body: dict[str, Any]
):
    check(document, body_schema(document, path), body)
    if "filters" in body:
        body = {**body, "filters": {"brand": body["filters"]["brand"]}}
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    check(document, answer_schema(document, path, 200), answer.json())


@pytest.mark.parametrize(("path", "body"), REFUSED)
def test_what_the_document_refuses_is_refused_as_it_says(
    client: TestClient, document: dict[str, Any], path: str, body: dict[str, Any]
):
    with pytest.raises(jsonschema.ValidationError):
        check(document, body_schema(document, path), body)
    answer = client.post(path, json=body)
    assert answer.status_code == 400, answer.text
    check(document, answer_schema(document, path, 400), answer.json())


@pytest.mark.parametrize("stream", [False, True])
def test_products_tell_their_brand_and_price_as_the_document_says(
    client: TestClient, document: dict[str, Any], stream: bool
):
    chat = "/v1/chat/completions"
    body = {"messages": [{"role": "user", "content": "Hi"}], "top_k": 1, "stream": stream}
    answer = client.post(chat, json=body)
    if stream:
        told = operation(document, chat)["responses"]["200"]["content"]["text/event-stream"]["schema"]
        (products,) = [found for one in events_of(answer.text)[:-1] if (found := shown_in(document, told, one))]
    else:
        check(document, answer_schema(document, chat, 200), answer.json())
        products = answer.json()["choices"][0]["message"]["products"]
    assert [(one["brand"], one["price"]) for one in products] == [("Ada", "19.90 EUR")]


def shown_in(document: dict[str, Any], told: dict[str, Any], chunk: dict[str, Any]) -> list[Any]:
    check(document, told, chunk)
    return chunk["choices"][0]["delta"].get("products", [])


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/items/{id}", "/v1/items/red"),
        ("/v1/models", "/v1/models"),
        ("/v1/models/{id}", "/v1/models/default"),
        ("/v1/items/{id}", "/v1/items/grey"),
        ("/v1/models/{id}", "/v1/models/gpt"),
        ("/v1/items/{id}/image", "/v1/items/red/image?width=3"),
    ],
)
def test_what_is_read_is_as_the_document_says(client: TestClient, document: dict[str, Any], path: str, asked: str):
    answer = client.get(asked)
    check(document, answer_schema(document, path, answer.status_code, "get"), answer.json())
