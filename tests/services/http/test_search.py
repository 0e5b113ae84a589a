"""Items are found by text, by picture, by an item, and by several weighed; filters narrow what is found."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from services.deployments.retrieval import ProductShelf
from tests.services.http.chatting import data_url
from tests.services.http.colours import ODD_ID, client_over

RED_PICTURE = data_url()


@pytest.fixture
def client(colours: ProductShelf) -> TestClient:
    return client_over(colours)


def found(client: TestClient, **asked: Any) -> list[str]:
    response = client.post("/v1/search", json=asked)
    assert response.status_code == 200, response.text
    return [one["id"] for one in response.json()["data"]]


def refused(client: TestClient, **asked: Any) -> dict[str, Any]:
    response = client.post("/v1/search", json=asked)
    assert response.status_code in (400, 404), response.text
    return response.json()["error"]


def test_a_text_finds_items_with_all_that_the_catalogue_says_of_them(client: TestClient):
    answer = client.post("/v1/search", json={"text": "something red", "top_k": 1}).json()
    (best,) = answer["data"]
    assert (best["id"], best["score"]) == ("red", 1.0)
    assert best["item"] == {
        "id": "red",
        "caption": "a red square",
        "title": None,
        "brand": "Ada",
        "item_url": "https://shop.example/red",
        "image_url": "/v1/items/red/image",
        "page_url": "/items/red",
        "price": "19.90 EUR",
        "attributes": {"price": "19.90 EUR", "new": "true"},
        "source": "test",
        "group": "red",
        "split": "train",
        "caption_by": None,
        "caption_at": None,
        "updated_at": "2026-01-01T00:00:00+00:00",
    }
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}


def test_a_picture_finds_what_looks_like_it(client: TestClient):
    assert found(client, image_url=RED_PICTURE)[:2] == ["red", ODD_ID]
    assert found(client, image_url={"url": RED_PICTURE}, top_k=1) == ["red"]


def test_an_item_finds_others_like_it_and_not_itself(client: TestClient):
    assert found(client, item_id="red") == [ODD_ID, "green", "blue"]


def test_weights_say_what_counts_of_several(client: TestClient):
    both = {"text": "blue", "image_url": RED_PICTURE, "top_k": 1}
    assert found(client, **both, weights={"text": 3}) == ["blue"]
    assert found(client, **both, weights={"image_url": 3}) == ["red"]
    assert found(client, **both, weights={"text": 0}) == ["red"]
    assert found(client, text="lime", item_id="red", top_k=1) == [ODD_ID]


@pytest.mark.parametrize(
    ("narrowed", "ids"),
    [
        ({"filters": {"brand": "Ada"}}, ["red", "blue"]),
        ({"filters": {"brand": ["Bob", None]}}, [ODD_ID, "green"]),
        ({"filters": {"attributes.price": {"lt": 50}}}, ["red", "blue"]),
        ({"filters": {"attributes.price": {"gte": 49, "lte": 1250}}}, ["green", "blue"]),
        ({"filters": {"attributes.price": 49}}, ["blue"]),
        ({"filters": {"attributes.new": True}}, ["red"]),
        ({"filters": {"updated_at": {"gt": 1_800_000_000}}}, []),
        ({"exclude_ids": ["red", "nothing"]}, [ODD_ID, "green", "blue"]),
        ({"min_score": 0.5}, ["red", ODD_ID]),
    ],
)
def test_filters_narrow_what_is_found(client: TestClient, narrowed: dict[str, Any], ids: list[str]):
    assert found(client, text="red", **narrowed) == ids


@pytest.mark.parametrize(
    ("asked", "field", "told"),
    [
        ({}, None, "text, image_url or item_id"),
        ({"text": " "}, "text", "empty"),
        ({"text": "no colour"}, "text", "colours only"),
        ({"text": "red", "item_id": "grey"}, "item_id", "no item 'grey'"),
        ({"text": "red", "weights": {"text": 0}}, "weights", "weighs 0"),
        ({"text": "red", "topk": 3}, "topk", "not permitted"),
        ({"text": "red", "filters": {"colour": "red"}}, "filters.colour", "attributes.price"),
        ({"text": "red", "filters": {"brand": {"gt": 3}}}, "filters.brand", "no item has a number"),
        ({"text": "red", "filters": {"attributes.price": {"gt": 3, "lt": 1}}}, "filters.attributes.price", "ends"),
        ({"text": "red", "filters": {"brand": {}}}, "filters.brand", "at least one of"),
        ({"image_url": "https://shop.example/red.png"}, "image_url", "remote pictures"),
        ({"image_url": "data:image/png;base64,AAAA"}, "image_url", "image"),
    ],
)
def test_what_can_not_be_searched_for_is_named(client: TestClient, asked: dict, field: str | None, told: str):
    error = refused(client, **asked)
    assert error["param"] == field
    assert told in error["message"]
