"""What a conversation has shown has a part in what a search brings: its topic, and what it is compared with."""

import numpy as np
import pytest

from fromage_model.index import RetrievalIndex
from fromage_model.understanding import Said
from services.deployments.selection import Selector
from services.products import Narrowing
from tests.fromage_model.understanding.shops import table_of

DRESSES = {"mini": ("dress", "mini", "20"), "midi": ("dress", "midi", "30"), "maxi": ("dress", "maxi", "40")}
SHOP = DRESSES | {"scarf": ("scarf", "long", "10"), "shawl": ("scarf", "short", "15")}


@pytest.fixture
def selector() -> Selector:
    """Dresses lie along one axis and scarves along the other, each a little off it."""
    vectors = np.array([[1, 0, 0.1], [1, 0, 0.2], [1, 0, 0.3], [0, 1, 0.1], [0, 1, 0.2]], dtype=np.float32)
    rows = [
        {"id": id, "caption": id, "attributes": {"kind": kind, "length": length, "price": price, "currency": "EUR"}}
        for id, (kind, length, price) in SHOP.items()
    ]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return Selector(RetrievalIndex.build(vectors, table_of(rows), fingerprint="abc", catalogue="test"))


def brought(selector: Selector, *said: str | tuple[str, ...], query: tuple[float, float, float], **narrowing):
    turns = tuple(Said(one) if isinstance(one, str) else Said(shown=one) for one in said)
    found = selector.select(
        np.array(query, dtype=np.float32) / np.float32(np.linalg.norm(query)),
        top_k=2,
        narrowing=Narrowing(said=turns, **narrowing),
    )
    return [hit.id for hit in found.hits], dict(found.filters)


TOWARDS_SCARVES = (0.68, 0.73, 0.0)


def test_a_message_that_names_no_kind_is_about_what_was_shown(selector: Selector):
    ids, _ = brought(selector, "something nice", query=TOWARDS_SCARVES)
    assert {SHOP[id][0] for id in ids} == {"scarf"}
    ids, _ = brought(selector, "something nice", ("mini",), "in another colour", query=TOWARDS_SCARVES)
    assert {SHOP[id][0] for id in ids} == {"dress"}


@pytest.mark.parametrize("text", ["and a scarf?", "what would go with it"])
def test_another_kind_or_what_goes_with_it_leaves_the_topic(selector: Selector, text: str):
    ids, _ = brought(selector, "something nice", ("mini",), text, query=TOWARDS_SCARVES)
    assert {SHOP[id][0] for id in ids} == {"scarf"}


def test_what_is_shorter_comes_first_and_what_is_cheaper_alone(selector: Selector):
    along = (1.0, 0.0, 0.3)
    assert brought(selector, "a dress", query=along)[0][0] == "maxi"
    ids, filters = brought(selector, "a dress", ("maxi",), "shorter", query=along, exclude=frozenset({"maxi"}))
    assert set(ids) == {"mini", "midi"}
    assert filters == {}
    ids, filters = brought(selector, "a dress", ("midi", "maxi"), "cheaper", query=along)
    assert filters == {"attributes.price": {"lt": 35}}
    assert set(ids) == {"midi", "mini"}


def test_a_bound_that_leaves_nothing_is_unmet(selector: Selector):
    turns = (Said("a scarf"), Said(shown=("scarf",)), Said("cheaper"))
    found = selector.select(np.array([0, 1, 0], dtype=np.float32), top_k=2, narrowing=Narrowing(said=turns))
    assert (dict(found.filters), dict(found.unmet)) == ({}, {"attributes.price": {"lt": 10}})
    assert [hit.id for hit in found.hits] == ["scarf", "shawl"]


def test_what_was_said_gives_way_before_the_kind_of_things_does(selector: Selector):
    """Nothing but scarves costs so little: dresses are what was asked for, and the price is unmet."""
    turns = (Said("dresses"), Said("under 18 euros"))
    query = np.array([1.0, 1.02, 0.5], dtype=np.float32)
    found = selector.select(query / np.linalg.norm(query), top_k=2, narrowing=Narrowing(said=turns))
    assert (dict(found.filters), dict(found.unmet)) == ({}, {"attributes.price": {"lt": 18}})
    assert {SHOP[hit.id][0] for hit in found.hits} == {"dress"}


def test_where_nothing_of_the_kind_is_left_a_filter_holds_of_other_things(selector: Selector):
    turns = (Said("dresses"), Said("under 18 euros"))
    narrowing = Narrowing(said=turns, exclude=frozenset(DRESSES))
    found = selector.select(np.array([0, 1, 0], dtype=np.float32), top_k=2, narrowing=narrowing)
    assert dict(found.filters) == {"attributes.price": {"lt": 18}}
    assert {hit.id for hit in found.hits} == {"scarf", "shawl"}
    given = Narrowing(said=turns, filters={"attributes.price": {"lt": 12}})
    assert [
        hit.id for hit in selector.select(np.array([0, 1, 0], dtype=np.float32), top_k=2, narrowing=given).hits
    ] == ["scarf"]
