"""Texts and pictures become vectors as OpenAI's clients ask for them, and pictures captions."""

import base64
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from openai import OpenAI

from services.answering.conversation import ChatLimits
from services.deployments.retrieval import ProductShelf
from tests.services.http.chatting import data_url, picture
from tests.services.http.colours import ColourLlm, client_over, unit
from tests.services.peers import MODEL


@pytest.fixture
def client(colours: ProductShelf) -> TestClient:
    return client_over(colours, limits=ChatLimits(max_inputs=4, max_images=2))


def vectors(client: TestClient, given: Any, **options: Any) -> list[Any]:
    response = client.post("/v1/embeddings", json={"input": given, **options})
    assert response.status_code == 200, response.text
    data = response.json()["data"]
    assert [one["index"] for one in data] == list(range(len(data)))
    return [one["embedding"] for one in data]


def test_texts_and_pictures_come_in_the_order_in_which_they_were_sent(client: TestClient):
    inputs = ["a blue", picture(data_url()), {"image_url": data_url()}, {"type": "text", "text": "lime"}]
    assert np.allclose(vectors(client, inputs), [unit("blue"), unit("red"), unit("red"), unit("lime")])
    assert np.allclose(vectors(client, "red"), [unit("red")])
    assert np.allclose(vectors(client, picture(data_url())), [unit("red")])


def test_base64_is_little_endian_float32(client: TestClient):
    (text,) = vectors(client, "blue", encoding_format="base64", dimensions=3)
    assert np.array_equal(np.frombuffer(base64.b64decode(text), dtype="<f4"), unit("blue"))


def test_the_openai_client_reads_both_forms(client: TestClient):
    openai = OpenAI(api_key="none", base_url="http://testserver/v1", http_client=client)
    for form in ("float", "base64"):
        answer = openai.embeddings.create(model=MODEL.id, input=["a red", "lime"], encoding_format=form)
        assert answer.usage.prompt_tokens == 3
    answer = openai.embeddings.create(model="default", input="lime")
    assert np.allclose(answer.data[0].embedding, unit("lime"))


@pytest.mark.parametrize(
    ("asked", "field", "told"),
    [
        ({"input": []}, "input", "at least 1"),
        ({"input": [1, 2]}, "input", "token ids"),
        ({"input": [[1, 2]]}, "input", "token ids"),
        ({"input": 5}, "input", "expected a text, a picture"),
        ({"input": ["red", None]}, "input.1", "expected a text or a picture"),
        ({"input": ["red", ""]}, "input.1", "empty"),
        ({"input": ["red", "words"]}, "input.1", "colours only"),
        ({"input": ["red"] * 5}, "input", "at most 4"),
        ({"input": [{"image_url": data_url()}] * 3}, "input.2", "more than 2 pictures"),
        ({"input": {"image_url": 5}}, "input.image_url", "URL as a text"),
        ({"input": "red", "dimensions": 2}, "dimensions", "3 dimensions"),
        ({"input": "red", "encoding_format": "int8"}, "encoding_format", "float"),
        ({"input": "red", "model": "gpt"}, "model", "does not exist"),
        ({}, "input", "required"),
    ],
)
def test_what_can_not_be_embedded_is_named(client: TestClient, asked: dict, field: str, told: str):
    response = client.post("/v1/embeddings", json=asked)
    assert response.status_code in (400, 404), response.text
    error = response.json()["error"]
    assert (error["param"], told in error["message"]) == (field, True), error


def test_each_picture_gets_a_caption(colours: ProductShelf):
    llm = ColourLlm()
    client = client_over(colours, llm)
    asked = {"images": [data_url(), picture(data_url())], "prompt": "It is", "max_tokens": 7}
    answer = client.post("/v1/captions", json=asked).json()
    assert [one["caption"] for one in answer["data"]] == ["It is 0", "It is 0"]
    assert answer["usage"] == {"prompt_tokens": 10, "completion_tokens": 6, "total_tokens": 16}
    assert llm.sampling is not None
    assert llm.sampling.max_new_tokens == 7
    assert client.post("/v1/captions", json={"images": data_url()}).json()["data"][0]["caption"] == "A picture of 0"


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"images": []}, "images"),
        ({"images": [data_url()] * 3}, "images"),
        ({"images": ["data:image/png;base64,AAAA"]}, "images.0"),
        ({"images": data_url(), "max_tokens": 100_000}, "max_tokens"),
    ],
)
def test_what_gets_no_caption_is_named(client: TestClient, asked: dict, field: str):
    response = client.post("/v1/captions", json=asked)
    assert (response.status_code, response.json()["error"]["param"]) == (400, field)
