"""What a chat says of price, brand and attributes narrows its products, and the reply tells by what."""

from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from fromage_model.prompts.messages import Finished, Retrieval, TextDelta
from services.deployments.retrieval import ProductShelf
from tests.services.http.chatting import CHAT, events_of
from tests.services.http.colours import ODD_ID, ColourLlm, client_over, unit

SHOWS = (TextDelta("Look: "), Retrieval(unit("red"), 6), Finished("stop", 3, 4))
SILENT = (TextDelta("Good day."), Finished("stop", 3, 4))
PRICE = "attributes.price"
EVERYTHING = {"red", "green", "blue", ODD_ID}


@pytest.fixture
def client(colours: ProductShelf) -> TestClient:
    return client_over(colours, ColourLlm(SHOWS))


def conversation(*turns: str | dict[str, Any]) -> list[dict[str, Any]]:
    return [turn if isinstance(turn, dict) else {"role": "user", "content": turn} for turn in turns]


def reply(client: TestClient, *turns: str | dict[str, Any], **retrieval: Any) -> dict[str, Any]:
    response = client.post(CHAT, json={"messages": conversation(*turns), "retrieval": {"top_k": 4, **retrieval}})
    assert response.status_code == 200, response.text
    return response.json()["choices"][0]["message"]


def ids(message: dict[str, Any]) -> list[str]:
    return [product["id"] for product in message["products"]]


@pytest.mark.parametrize(
    ("text", "filters", "found"),
    [
        ("something under 50 euros", {PRICE: {"lt": 50}}, {"red", "blue"}),
        ("between 30 and 60", {PRICE: {"gte": 30, "lte": 60}}, {"blue"}),
        ("anything from Ada?", {"brand": "Ada"}, {"red", "blue"}),
        ("not from Ada", {"brand": {"not": "Ada"}}, {"green", ODD_ID}),
        ("from Ada over 30 euros", {"brand": "Ada", PRICE: {"gt": 30}}, {"blue"}),
        ("under 50 dollars, or just under, from Nobody", {}, EVERYTHING),
        ("between 60 and 30 euros", {}, EVERYTHING),
    ],
)
def test_what_is_said_narrows_the_products_and_comes_back_as_filters(
    client: TestClient, text: str, filters: dict[str, Any], found: set[str]
):
    message = reply(client, text)
    assert (message["filters"], message["unmet_filters"], set(ids(message))) == (filters, {}, found)
    assert set(ids(reply(client, "Hello", filters=message["filters"]))) == found


def test_a_stream_brings_filters_with_the_products(client: TestClient):
    body = {"messages": conversation("from Ada, under 50 euros"), "stream": True}
    chunks = events_of(client.post(CHAT, json=body).text)[:-1]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    (shown,) = [delta for delta in deltas if "products" in delta]
    assert shown["filters"] == {"brand": "Ada", PRICE: {"lt": 50}}
    assert shown["unmet_filters"] == {}
    assert not any("filters" in delta for delta in deltas if delta is not shown)


def test_a_reply_that_shows_nothing_has_no_filters_and_a_message_without_any_is_left_alone(colours: ProductShelf):
    message = reply(client_over(colours, ColourLlm(SILENT)), "I paid for Ada, under 50 euros")
    assert (message["filters"], message["unmet_filters"], message["products"]) == (None, None, [])
    plain = reply(client_over(colours, ColourLlm(SHOWS)), "Hello", parse=False)
    assert reply(client_over(colours, ColourLlm(SHOWS)), "Hello") == plain


def test_parse_false_leaves_words_alone_and_filters_of_the_request_overrule_them_by_column(client: TestClient):
    said = "from Ada, under 30 euros"
    assert reply(client, said, parse=False)["filters"] == {}
    assert set(ids(reply(client, said, parse=False))) == EVERYTHING
    ruled = reply(client, said, filters={PRICE: {"gt": 30}})
    assert (ruled["filters"], ids(ruled)) == ({PRICE: {"gt": 30}, "brand": "Ada"}, ["blue"])
    only = reply(client, said, parse=False, filters={"brand": "Bob"})
    assert (only["filters"], ids(only)) == ({"brand": "Bob"}, ["green"])


def test_a_filter_of_an_earlier_turn_holds_until_it_is_replaced_or_removed(client: TestClient):
    said = {"role": "assistant", "content": "Sure."}
    assert reply(client, "from Ada", said, "something nice")["filters"] == {"brand": "Ada"}
    assert reply(client, "from Ada", said, "from Bob")["filters"] == {"brand": "Bob"}
    assert reply(client, "from Ada", said, "any brand")["filters"] == {}
    kept = {**said, "filters": {"brand": "Ada", PRICE: {"lt": 50}}}
    assert reply(client, "from Bob", kept, "something nice")["filters"] == kept["filters"]
    assert reply(client, "from Bob", {**said, "filters": {}}, "something nice")["filters"] == {}
    assert reply(client, "from Bob", {**said, "filters": None}, "something nice")["filters"] == {"brand": "Bob"}
    negated = {**said, "filters": {"brand": {"not": ["Ada"]}}}
    assert set(ids(reply(client, "Hello", negated, "more"))) == {"green", ODD_ID}


def test_what_leaves_nothing_is_left_out_and_told_the_latest_staying(client: TestClient):
    message = reply(client, "something under 1 euro")
    assert (message["filters"], message["unmet_filters"]) == ({}, {PRICE: {"lt": 1}})
    assert set(ids(message)) == EVERYTHING
    both = reply(client, "under 20 euros", {"role": "assistant", "content": "Sure."}, "from Bob")
    assert (both["filters"], both["unmet_filters"]) == ({"brand": "Bob"}, {PRICE: {"lt": 20}})
    shown = {"role": "assistant", "content": "", "products": [{"id": "green", "offset": 0}]}
    more = reply(client, "from Bob", shown, "more of them")
    assert "green" not in ids(more)
    assert (more["filters"], more["unmet_filters"]) == ({}, {"brand": "Bob"})


@pytest.mark.parametrize("parse", [None, False])
def test_what_was_shown_comes_after_others_and_not_at_all_where_others_are_asked_for(client: TestClient, parse):
    shown = {"role": "assistant", "content": "", "products": [{"id": "red", "offset": 0}, {"id": "blue", "offset": 0}]}
    first = ids(reply(client, "Hello", parse=parse))
    assert first[0] == "red"
    narrowed = ids(reply(client, "Hello", shown, "and warm", parse=parse))
    assert set(narrowed) == set(first)
    for text in ("what else is there?", "not these"):
        assert set(ids(reply(client, "Hello", shown, text, parse=parse))) == EVERYTHING - {"red", "blue"}
    later = ids(reply(client, "Hello", shown, "not these", {"role": "assistant", "content": "Sure."}, "and warm"))
    assert set(later) == EVERYTHING - {"red", "blue"}


def test_the_one_that_fits_comes_again_from_among_those_that_were_shown(client: TestClient):
    shown = {"role": "assistant", "content": "", "products": [{"id": id, "offset": 0} for id in ("red", "green")]}
    assert ids(reply(client, "something from Ada or Bob", shown, "from Ada, under 30 euros"))[0] == "red"


def test_filters_of_the_request_hold_even_where_they_leave_nothing(client: TestClient):
    message = reply(client, "from Ada", filters={PRICE: {"lt": 1}})
    assert (message["filters"], message["products"]) == ({PRICE: {"lt": 1}}, [])


def test_filters_that_came_with_another_catalogue_are_left_out_and_others_refused(client: TestClient):
    old = {"role": "assistant", "content": "Sure.", "filters": {"attributes.colour": "red", "brand": "Ada"}}
    assert reply(client, "Hello", old, "more")["filters"] == {"brand": "Ada"}
    for filters, field in (({"attributes.colour": "red"}, "attributes.colour"), ({"brand": {"not": {}}}, "brand")):
        refused = client.post(CHAT, json={"messages": conversation("Hello"), "retrieval": {"filters": filters}})
        assert refused.status_code == 400
        assert refused.json()["error"]["param"].startswith(f"retrieval.filters.{field}")
    bad = {"role": "assistant", "content": "Sure.", "filters": {"brand": {"above": 3}}}
    refused = client.post(CHAT, json={"messages": conversation("Hello", bad, "more")})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"].startswith("messages.1.filters.brand")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Do you have a blue square?", "blue"),
        ("a blue square, please", "blue"),
        ("blue", "blue"),
        ("Bob, maybe?", "green"),
        (ODD_ID, ODD_ID),
        (f"what about https://shop.example/items/{quote(ODD_ID, safe='')}", ODD_ID),
    ],
)
def test_what_is_named_exactly_comes_first_and_the_others_behind_it(client: TestClient, text: str, first: str):
    found = ids(reply(client, text))
    assert (found[0], set(found)) == (first, EVERYTHING)


def test_what_a_search_names_comes_first_too_within_its_filters(client: TestClient):
    asked: dict[str, Any] = {"text": "a blue square in red", "top_k": 2}
    assert [one["id"] for one in client.post("/v1/search", json=asked).json()["data"]] == ["blue", "red"]
    asked["filters"] = {"brand": "Bob"}
    assert [one["id"] for one in client.post("/v1/search", json=asked).json()["data"]] == ["green"]
