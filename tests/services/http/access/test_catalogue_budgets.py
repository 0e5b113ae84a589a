"""The catalogue's routes and the original's count what they cost in the same budget as chats."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response

from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from services.deployments.retrieval import ProductShelf
from services.http.access.keys import StoredKey, digest_of
from services.http.access.options import AccessOptions
from tests.services.http.chatting import data_url
from tests.services.http.colours import ColourLlm, client_over, unit

KEYS = ",".join(StoredKey(name, digest_of(name), frozenset({"chat"})).line() for name in ("one", "two"))
SHOWS = (TextDelta("Look: "), Retrieval(unit("red"), 6), Finished("stop", 3, 4))
PICTURE = data_url()
ASKED: dict[str, dict[str, Any]] = {
    "/v1/captions": {"images": [PICTURE, PICTURE]},
    "/v1/embeddings": {"input": ["a red", "blue", {"image_url": PICTURE}, {"image_url": PICTURE}]},
    "/v1/search": {"text": "something bright red", "image_url": PICTURE},
    "/": {"text": "Hi"},
}
USED = {"/v1/captions": 16, "/v1/embeddings": 3, "/v1/search": 3, "/": 7}
"""Tokens that the scripted LM reads and writes for each."""
PICTURES = {"/v1/captions": 2, "/v1/embeddings": 2, "/v1/search": 1}

every_route = pytest.mark.parametrize("path", ASKED)


def client_with(shelf: ProductShelf, **budgets: str) -> TestClient:
    return client_over(shelf, ColourLlm(SHOWS), access=AccessOptions(keys=KEYS, **budgets))


def ask(client: TestClient, path: str, body: dict[str, Any] | None = None, *, name: str = "one") -> Response:
    return client.post(path, json=body or ASKED[path], headers={"authorization": f"Bearer {name}"})


def left(response: Response, kind: str) -> int:
    return int(response.headers[f"x-ratelimit-remaining-{kind}"])


@every_route
def test_a_request_beyond_the_budget_is_refused_and_others_go_on(colours: ProductShelf, path: str):
    client = client_with(colours, requests="1/minute")
    assert [ask(client, path).status_code for _ in range(2)] == [200, 429]
    assert int(ask(client, path).headers["retry-after"]) >= 1
    assert ask(client, path, name="two").status_code == 200


@every_route
def test_tokens_are_counted_as_they_were_used(colours: ProductShelf, path: str):
    client = client_with(colours, tokens="1000/minute")
    first = ask(client, path)
    assert first.status_code == 200, first.text
    assert left(first, "tokens") - left(ask(client, path), "tokens") == USED[path]


@every_route
def test_tokens_end(colours: ProductShelf, path: str):
    client = client_with(colours, tokens=f"{USED[path]}/minute")
    assert [ask(client, path).status_code for _ in range(2)] == [200, 429]


@pytest.mark.parametrize("path", PICTURES)
def test_pictures_are_counted_and_a_refusal_costs_none(colours: ProductShelf, path: str):
    client = client_with(colours, pictures=f"{2 * PICTURES[path] - 1}/minute")
    for status in (200, 429):
        answer = ask(client, path)
        assert answer.status_code == status
        assert left(answer, "pictures") == PICTURES[path] - 1


def test_the_original_s_app_reads_that_its_budget_is_spent(colours: ProductShelf):
    client = client_with(colours, requests="1/minute")
    ask(client, "/")
    assert "budget" in client.post("/k/one", json={"text": "Hi"}).json()["response_text"]


def test_captions_that_fail_cost_no_tokens(colours: ProductShelf):
    client = client_with(colours, tokens="1000/minute")
    before = left(ask(client, "/v1/captions"), "tokens")
    broken = ask(client, "/v1/captions", {"images": [PICTURE, "data:image/png;base64,bm8gcGljdHVyZQ=="]})
    assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_image")
    assert before - left(ask(client, "/v1/captions"), "tokens") == USED["/v1/captions"]
