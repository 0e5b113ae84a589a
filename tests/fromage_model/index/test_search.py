"""The retrieval index: exact, with exclusions inside the search, and unwilling to open what does not fit together."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fromage_model.errors import FingerprintMismatch, InvalidInput, MissingArtefact, RetrievalIndexError
from fromage_model.index import RetrievalIndex, top_rows
from tests.fromage_model.index.items import items, unit_vectors


def small_index(count=20, width=8):
    return RetrievalIndex.build(unit_vectors(count, width), items(count), fingerprint="abc", catalogue="test")


@settings(max_examples=80, deadline=None)
@given(
    scores=st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    top_k=st.integers(1, 35),
)
def test_top_rows_equal_a_stable_sort(scores, top_k):
    expected = sorted(range(len(scores)), key=lambda row: -scores[row])[:top_k]
    assert top_rows(np.array(scores, dtype=np.float32), top_k).tolist() == expected


def test_search_equals_a_sort_of_every_cosine():
    vectors, queries = unit_vectors(200, seed=1), unit_vectors(7, seed=2)
    index = RetrievalIndex.build(vectors, items(200), fingerprint="abc", catalogue="test")
    for query, hits in zip(queries, index.search(queries, top_k=10), strict=True):
        cosines = [float(sum(a * b for a, b in zip(query, vector, strict=True))) for vector in vectors]
        expected = sorted(range(200), key=lambda row: -cosines[row])[:10]
        assert [hit.id for hit in hits] == [f"id{row}" for row in expected]
        assert [hit.score for hit in hits] == pytest.approx([cosines[row] for row in expected], abs=1e-5)


def test_a_hit_carries_the_whole_item():
    index = small_index()
    hit = index.search(unit_vectors(20)[3], top_k=1)[0][0]
    assert (hit.item.caption, hit.item.item_url) == ("item 3", "https://example.org/3")
    assert hit.item.attributes == {"subgroup": "clothing", "parity": "odd"}
    assert hit.item == index.item("id3")


def test_excluded_items_leave_their_places_to_others():
    index, query = small_index(), unit_vectors(1, seed=5)
    best = [hit.id for hit in index.search(query, top_k=8)[0]]
    without = [hit.id for hit in index.search(query, top_k=5, exclude={best[0], best[2], "unknown"})[0]]
    assert without == [id for id in best if id not in (best[0], best[2])][:5]


def test_fewer_items_than_asked_for_come_without_the_excluded():
    index = small_index(count=4)
    hits = index.search(unit_vectors(1, seed=5), top_k=10, exclude=["id1"])[0]
    assert sorted(hit.id for hit in hits) == ["id0", "id2", "id3"]
    assert index.search(unit_vectors(1), top_k=3, exclude=index.ids) == [[]]


def test_what_may_be_found_is_counted():
    index = small_index(count=4)
    index.delete(["id0"])
    assert (index.count(), index.count(exclude=["id1", "unknown"])) == (3, 2)
    odd = {"attributes.parity": "odd"}
    assert (index.count(filter=odd), index.count(filter=odd, exclude=["id1"])) == (2, 1)


def test_more_queries_than_a_chunk_are_answered_one_by_one(monkeypatch):
    index, queries = small_index(), unit_vectors(7, seed=9)
    whole = [[hit.id for hit in hits] for hits in index.search(queries, top_k=3)]
    monkeypatch.setattr("fromage_model.index.exact.CHUNK_QUERIES", 2)
    assert [[hit.id for hit in hits] for hits in index.search(queries, top_k=3)] == whole


def test_a_saved_index_answers_as_before(tmp_path):
    index, query = small_index(), unit_vectors(2, seed=3)
    folder = index.save(tmp_path / "saved")
    loaded = RetrievalIndex.load(folder, fingerprint="abc")
    assert loaded.info == index.info
    assert (len(loaded), "id7" in loaded, "id99" in loaded) == (20, True, False)
    assert loaded.search(query, top_k=4) == index.search(query, top_k=4)


def test_an_index_saved_under_a_name_opens_by_it(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path))
    small_index().save("mine")
    assert len(RetrievalIndex.load("mine")) == 20
    with pytest.raises(MissingArtefact, match=r"jobs\.index"):
        RetrievalIndex.load("other")


def test_an_index_of_another_model_names_both_fingerprints(tmp_path):
    folder = small_index().save(tmp_path / "saved")
    with pytest.raises(FingerprintMismatch, match="expected fingerprint xyz, found abc"):
        RetrievalIndex.load(folder, fingerprint="xyz")


def test_vectors_of_another_length_or_not_finite_are_refused():
    for wrong in (2.0, np.nan, np.inf, 0.0):
        vectors = unit_vectors(3000)
        vectors[1501] *= wrong
        with pytest.raises(RetrievalIndexError, match="length 1"):
            RetrievalIndex.build(vectors, items(3000), fingerprint="abc", catalogue="test")


def test_items_that_do_not_fit_the_vectors_are_refused():
    def build(vectors, table):
        RetrievalIndex.build(vectors, table, fingerprint="abc", catalogue="test")

    with pytest.raises(RetrievalIndexError, match="3 items for 3 vectors, got 4"):
        build(unit_vectors(3), items(4))
    with pytest.raises(RetrievalIndexError, match="id1 more than once"):
        build(unit_vectors(4), pa.concat_tables([items(3), items(3).slice(1, 1)]))
    with pytest.raises(RetrievalIndexError, match="missing caption"):
        build(unit_vectors(3), items(3).drop_columns("caption"))
    with pytest.raises(RetrievalIndexError, match="at least one item"):
        build(np.empty((0, 8), np.float32), items(0))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "vectors-00000.npy").unlink(), "vectors-00000.npy"),
        (lambda folder: (folder / "items-00000.arrow").write_bytes(b"no arrow"), "jobs.index"),
        (lambda folder: np.save(folder / "vectors-00000.npy", unit_vectors(19)), "shape"),
        (lambda folder: np.save(folder / "vectors-00000.npy", unit_vectors(20) * 3), "length 1"),
        (lambda folder: np.save(folder / "vectors-00000.npy", unit_vectors(20).astype(np.float64)), "float32"),
        (lambda folder: (folder / "index.json").unlink(), "index.json"),
        (lambda folder: (folder / "index.json").write_text("{}"), "index.json"),
        (lambda folder: changed_info(folder, rows=19), "19 items and 0 tombstones"),
        (lambda folder: changed_info(folder, format=3), "format 1 or 2, got 3"),
    ],
)
def test_a_folder_whose_files_contradict_each_other_does_not_open(tmp_path, spoil, message):
    folder = small_index().save(tmp_path / "saved")
    spoil(folder)
    with pytest.raises(RetrievalIndexError, match=message):
        RetrievalIndex.load(folder)


def changed_info(folder, **changes):
    info = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(info | changes))


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"queries": np.ones((2, 9), np.float32)}, "queries", r"width 8, got shape \(2, 9\)"),
        ({"queries": np.full(8, np.nan, np.float32)}, "queries", "finite"),
        ({"queries": np.full(8, 1e300)}, "queries", "finite"),
        ({"queries": "a hat"}, "queries", r"numbers, \(Q, 8\), got str"),
        ({"top_k": 0}, "top_k", "at least 1, got 0"),
        ({"top_k": 1.5}, "top_k", "a whole number, for example 5, got 1.5"),
        ({"top_k": True}, "top_k", "at least 1, got True"),
        ({"exclude": "id1"}, "exclude", "a collection of ids, for example a list, got str 'id1'"),
        ({"exclude": [7]}, "exclude", "ids as texts, got int 7"),
    ],
)
def test_an_argument_of_a_search_that_can_not_be_is_named(changed, field, message):
    with pytest.raises(InvalidInput, match=message) as refused:
        small_index().search(**({"queries": unit_vectors(1), "top_k": 1} | changed))
    assert refused.value.field == field


def test_queries_may_be_lists_and_top_k_of_numpy():
    index = small_index()
    found = index.search(unit_vectors(20)[3].tolist(), top_k=np.int64(2))
    assert [len(hits) for hits in found] == [2]
    assert found[0][0].id == "id3"


def test_what_is_no_text_is_no_item():
    index = small_index()
    assert [id in index for id in (None, 3, b"id3", "id3")] == [False, False, False, True]
    with pytest.raises(InvalidInput, match="no item None"):
        index.item(None)
    with pytest.raises(InvalidInput, match="a collection of ids"):
        index.vectors_for("id3")


def test_an_unknown_id_is_the_callers_mistake():
    with pytest.raises(InvalidInput, match="id99"):
        small_index().item("id99")
