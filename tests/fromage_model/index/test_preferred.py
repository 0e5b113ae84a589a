"""Items that have what is preferred come sooner, and those that are demoted later, by deviations of the cosines."""

import numpy as np
import pytest

from fromage_model.errors import InvalidInput
from fromage_model.index import Plan, RetrievalIndex
from tests.fromage_model.index.items import items, unit_vectors

QUERY = unit_vectors(1, seed=7)[0]
ODD, TENTH = {"attributes.parity": ["odd"]}, {"brand": ["Tenth", "Hundredth"]}


def build(count: int = 60, **settings) -> RetrievalIndex:
    return RetrievalIndex.build(unit_vectors(count), items(count), fingerprint="abc", catalogue="test", **settings)


def found(index: RetrievalIndex, *, top_k: int = 10, **options) -> list[str]:
    return [hit.id for hit in index.search(QUERY, top_k=top_k, **options)[0]]


@pytest.mark.parametrize("preference", [0.0, 0.4, 1.5, 100.0])
def test_each_property_adds_as_many_deviations_to_an_item(preference: float):
    index = build()
    cosines = index.vectors @ QUERY
    table = index.items.to_pylist()
    has = np.array(
        [
            (dict(row["attributes"])["parity"] == "odd") * 1.0 + (row["brand"] in ("Tenth", "Hundredth")) * 1.0
            for row in table
        ]
    )
    order = np.argsort(-(cosines / cosines.std() + preference * has), kind="stable")
    ids = found(index, preferred=[ODD, TENTH], preference=preference)
    assert ids == [index.ids[row] for row in order[:10]]


def test_one_of_several_columns_is_enough_and_counts_once():
    index = build()
    either = {**ODD, "brand": ["Half", "Tenth", "Hundredth", "Three"]}
    has = np.array(
        [dict(row["attributes"])["parity"] == "odd" or row["brand"] is not None for row in index.items.to_pylist()]
    )
    cosines = index.vectors @ QUERY
    order = np.argsort(-(cosines / cosines.std() + has), kind="stable")
    assert found(index, preferred=[either], preference=1.0) == [index.ids[row] for row in order[:10]]


def test_scores_stay_cosines_and_filters_hold():
    index = build()
    hits = index.search(QUERY, top_k=5, filter={"attributes.parity": "even"}, preferred=[ODD, TENTH])[0]
    assert all(int(hit.id[2:]) % 2 == 0 for hit in hits)
    for hit in hits:
        assert hit.score == pytest.approx(float(index.vectors_for([hit.id])[0] @ QUERY), abs=1e-6)


def test_what_is_preferred_is_found_by_faiss_however_far_it_lies():
    exact, graph = build(2000), build(2000, plan=Plan("hnsw", "for the test"))
    rare = {"brand": ["Three"]}
    assert graph.kind == "hnsw"
    far = found(exact, top_k=3, preferred=[rare], preference=100.0)
    assert found(graph, top_k=3, preferred=[rare], preference=100.0) == far
    assert {graph.item(id).brand for id in far} == {"Three"}


@pytest.mark.parametrize("demotion", [0.0, 0.5, 1.0, 100.0])
def test_what_is_demoted_loses_as_many_deviations(demotion: float):
    index = build()
    cosines = index.vectors @ QUERY
    nearest = found(index, top_k=5)
    loses = np.array([id in nearest for id in index.ids])
    order = np.argsort(-(cosines / cosines.std() - demotion * loses), kind="stable")
    ids = found(index, demoted=nearest, demotion=demotion)
    assert ids == [index.ids[row] for row in order[:10]]
    assert (ids[:5] == nearest) == (demotion == 0)
    assert not set(ids) & set(nearest) or demotion < 100


def test_what_is_demoted_and_what_is_preferred_are_weighed_together():
    index = build()
    cosines = index.vectors @ QUERY
    first = found(index, preferred=[ODD], top_k=3)
    odd = np.array([int(id[2:]) % 2 == 1 for id in index.ids])
    loses = np.array([id in first for id in index.ids])
    assert odd[loses].all()
    order = np.argsort(-(cosines / cosines.std() + 1.5 * odd - 1.0 * loses), kind="stable")
    ids = found(index, preferred=[ODD], preference=1.5, demoted=first, demotion=1.0)
    assert ids == [index.ids[row] for row in order[:10]] != found(index, preferred=[ODD], preference=1.5)


def test_demoted_items_of_another_index_change_nothing_and_ids_must_be_texts():
    index = build()
    assert found(index, demoted=["nobody"]) == found(index)
    with pytest.raises(InvalidInput, match="expected ids as texts") as refused:
        found(index, demoted=[1])
    assert refused.value.field == "demoted"


def test_faiss_finds_what_comes_in_place_of_what_is_demoted():
    exact, graph = build(2000), build(2000, plan=Plan("hnsw", "for the test"))
    nearest = found(exact, top_k=20)
    assert found(graph, demoted=nearest, demotion=100.0) == found(exact, demoted=nearest, demotion=100.0)


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(InvalidInput, match=r"no column 'attributes\.size'"):
        found(build(), preferred=[{"attributes.size": ["M"]}])


def test_whether_an_item_of_a_kind_is_left():
    index = build(6)
    odd = [id for id in index.ids if int(id[2:]) % 2]
    assert index.holds_any(kind=ODD)
    assert index.holds_any(kind={})
    assert not index.holds_any(kind=ODD, exclude=odd)
    assert index.holds_any(kind={}, exclude=odd)
    assert not index.holds_any(kind={}, exclude=index.ids)
    assert not index.holds_any(kind=ODD, filter={"attributes.parity": "even"})
    assert index.holds_any(kind={**ODD, "brand": ["Nobody"]}, filter={"attributes.parity": "odd"})
