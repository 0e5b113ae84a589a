"""A search near some items: the mean of their vectors counts beside the query, and the score stays the query's own."""

import numpy as np
import pytest

from fromage_model.errors import InvalidInput
from fromage_model.index import Plan, RetrievalIndex
from fromage_model.index.hybrid import drawn_near
from tests.fromage_model.index.items import items, unit_vectors

QUERY = unit_vectors(1, seed=7)[0]


def build(count: int = 60, **settings) -> RetrievalIndex:
    return RetrievalIndex.build(unit_vectors(count), items(count), fingerprint="abc", catalogue="test", **settings)


@pytest.mark.parametrize("nearness", [0.0, 0.5, 2.0, 100.0])
@pytest.mark.parametrize("beside", [[3], [3, 8, 20]])
def test_the_mean_of_their_vectors_is_added_to_the_query(nearness: float, beside: list[int]):
    index = build()
    mean = index.vectors[beside].mean(axis=0)
    wanted = QUERY + nearness * mean / np.linalg.norm(mean)
    order = np.argsort(-(index.vectors @ wanted), kind="stable")[:10]
    hits = index.search(QUERY, top_k=10, near=[index.ids[row] for row in beside], nearness=nearness)[0]
    assert [hit.id for hit in hits] == [index.ids[row] for row in order]
    np.testing.assert_allclose([hit.score for hit in hits], index.vectors[order] @ QUERY, atol=1e-6)


def test_it_counts_for_each_query_and_beside_what_is_preferred_and_left_out():
    index = build()
    queries = unit_vectors(3, seed=9)
    near, gone = index.ids[:2], index.ids[2:9]
    options = {"top_k": 4, "near": near, "exclude": gone, "preferred": [{"attributes.parity": ["odd"]}]}
    together = index.search(queries, **options)
    assert [[hit.id for hit in hits] for hits in together] == [
        [hit.id for hit in index.search(query, **options)[0]] for query in queries
    ]
    drawn = drawn_near(queries, index.vectors[:2], 0.5)
    plain = index.search(drawn, top_k=4, exclude=gone, preferred=[{"attributes.parity": ["odd"]}])
    assert [[hit.id for hit in hits] for hits in together] == [[hit.id for hit in hits] for hits in plain]


def test_faiss_searches_there_too():
    exact, graph = build(2000), build(2000, plan=Plan("hnsw", "for the test"))
    near = exact.ids[100:103]
    ids = [[hit.id for hit in one.search(QUERY, top_k=5, near=near, nearness=5.0)[0]] for one in (exact, graph)]
    assert ids[0] == ids[1]
    assert ids[0] != [hit.id for hit in exact.search(QUERY, top_k=5)[0]]


def test_items_of_another_index_change_nothing_and_ids_must_be_texts():
    index = build()
    assert index.search(QUERY, top_k=5, near=["nobody"]) == index.search(QUERY, top_k=5)
    with pytest.raises(InvalidInput, match="expected ids as texts") as refused:
        index.search(QUERY, top_k=5, near=[1])
    assert refused.value.field == "near"


def test_where_query_and_items_cancel_each_other_the_query_stays():
    queries = unit_vectors(2, seed=3)
    np.testing.assert_array_equal(drawn_near(queries, np.stack([queries[0], -queries[0]]), 0.5), queries)
    drawn = drawn_near(queries, -queries[:1], 1.0)
    np.testing.assert_array_equal(drawn[0], queries[0])
    assert np.linalg.norm(drawn[1]) == pytest.approx(1.0, abs=1e-6)
