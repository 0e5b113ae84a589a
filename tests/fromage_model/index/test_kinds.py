"""Approximate kinds of index: chosen from size and memory, filtered inside, measured, and exact in their scores."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from fromage_model.errors import ConfigError, InvalidInput, RetrievalIndexError
from fromage_model.index import Plan, RetrievalIndex, plan_index, read_info
from fromage_model.index.plan import IVFPQ_MIN_ROWS, hnsw_bytes, ivfpq_bytes
from tests.fromage_model.index.items import BRANDS, items, unit_vectors

ROWS = {"hnsw": 4000, "ivfpq": IVFPQ_MIN_ROWS}


def clustered(count, *, width=16, seed=0):
    """Unit vectors near some hundred centres, as pictures of products are; noise alone has no structure to find."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(100, width))
    vectors = centres[rng.integers(100, size=count)] + rng.normal(size=(count, width)) * 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def cosines(query, vectors):
    return vectors.astype(np.float64) @ query.astype(np.float64)


@pytest.fixture(scope="module", params=["hnsw", "ivfpq"])
def built(request):
    count = ROWS[request.param]
    return RetrievalIndex.build(
        clustered(count),
        items(count),
        fingerprint="abc",
        catalogue="test",
        plan=Plan(request.param, "for a test"),
        queries=clustered(200, seed=1),
    )


def recall(index, queries, allowed=None, **search):
    """Against a sort of all cosines, in float64."""
    vectors = index.vectors
    rows = np.arange(len(vectors)) if allowed is None else np.flatnonzero(allowed)
    found = 0
    for query, hits in zip(queries, index.search(queries, top_k=10, **search), strict=True):
        nearest = rows[np.argsort(-cosines(query, vectors[rows]), kind="stable")[:10]]
        found += len({f"id{row}" for row in nearest} & {hit.id for hit in hits})
        assert len(hits) == len(nearest)
    return found / sum(min(10, len(rows)) for _ in queries)


def test_what_the_build_measured_holds_for_other_queries(built):
    measured = built.info.measured
    assert (measured.queries, measured.queries_of) == (200, "apart")
    assert 0.98 <= measured.recall_at_10 <= 1
    assert recall(built, clustered(100, seed=2)) == pytest.approx(measured.recall_at_10, abs=0.02)


def test_scores_are_the_exact_cosines_of_the_items_best_first(built):
    vectors = built.vectors
    for query, hits in zip(queries := clustered(20, seed=3), built.search(queries, top_k=10), strict=True):
        exact = [cosines(query, vectors[int(hit.id[2:])]) for hit in hits]
        assert [hit.score for hit in hits] == pytest.approx(exact, abs=1e-6)
        assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("brand_number", range(len(BRANDS)))
def test_a_filter_leaves_only_what_passes_and_misses_little_of_it(built, brand_number):
    """Brands hold half, a tenth, a hundredth of the rows, and three rows: both sides of `exact_below`."""
    brand, queries = BRANDS[brand_number], clustered(40, seed=4)
    allowed = np.array([item == brand for item in built.items.column("brand").to_pylist()])
    assert allowed.any()
    assert recall(built, queries, allowed, filter={"brand": brand}) >= 0.95
    hits = built.search(queries, top_k=10, filter={"brand": [brand]})
    assert {hit.item.brand for found in hits for hit in found} == {brand}


def test_exclusions_are_left_out_inside_the_search(built):
    query = clustered(1, seed=5)
    first = [hit.id for hit in built.search(query, top_k=30)[0]]
    without = [hit.id for hit in built.search(query, top_k=10, exclude=[*first[:10], "unknown"])[0]]
    assert len(set(without) & set(first[10:20])) >= 9
    assert not set(without) & set(first[:10])


def test_a_saved_index_answers_as_before_from_mapped_files(built, tmp_path):
    folder, queries = built.save(tmp_path / "saved"), clustered(5, seed=6)
    loaded = RetrievalIndex.load(folder, fingerprint="abc")
    assert loaded.info == built.info == read_info(folder)
    assert loaded.search(queries, top_k=4) == built.search(queries, top_k=4)
    assert str(folder / "faiss.index") in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-99])])
def test_what_faiss_made_must_be_whole(built, tmp_path, spoil):
    folder = built.save(tmp_path / "saved")
    spoil(folder / "faiss.index")
    with pytest.raises(RetrievalIndexError, match=r"faiss\.index can't be read"):
        RetrievalIndex.load(folder)


def test_what_faiss_made_of_other_rows_does_not_open(tmp_path):
    def build(count):
        plan = Plan("hnsw", "for a test")
        return RetrievalIndex.build(clustered(count), items(count), fingerprint="abc", catalogue="test", plan=plan)

    folder, other = build(300).save(tmp_path / "saved"), build(299).save(tmp_path / "other")
    (folder / "faiss.index").write_bytes((other / "faiss.index").read_bytes())
    with pytest.raises(RetrievalIndexError, match="expected 300 vectors of 16, got 299"):
        RetrievalIndex.load(folder)


def test_without_queries_apart_each_sampled_item_looks_for_its_neighbours_but_not_itself():
    index = RetrievalIndex.build(
        clustered(500), items(500), fingerprint="abc", catalogue="test", plan=Plan("hnsw", "for a test")
    )
    measured = index.info.measured
    assert (measured.queries, measured.queries_of) == (300, "leave-one-out")
    assert measured.recall_at_10 >= 0.98


def test_the_kind_is_chosen_from_rows_width_and_memory():
    assert plan_index(60_000, 256, memory_gib=8).kind == "exact"
    graph = plan_index(1_000_000, 256, memory_gib=1)
    assert graph.kind == "hnsw"
    assert "1,000,000 vectors of width 256 need 0.49 GiB" in graph.reason
    lists = plan_index(1_000_000, 256, memory_gib=0.4)
    assert lists.kind == "ivfpq"
    assert "0.4 GiB that may be used" in lists.reason
    assert plan_index(100, 8, kind="hnsw", memory_gib=1) == Plan(
        "hnsw", "hnsw was asked for, over 100 vectors of width 8"
    )
    assert ivfpq_bytes(1_000_000, 256) < hnsw_bytes(1_000_000, 256) / 5


def test_a_kind_that_can_not_be_had_is_refused():
    with pytest.raises(ConfigError, match="at least 9,984 items"):
        plan_index(100, 8, kind="ivfpq", memory_gib=1)
    with pytest.raises(ConfigError, match="auto, exact, hnsw or ivfpq"):
        plan_index(100, 8, kind="annoy", memory_gib=1)
    with pytest.raises(ConfigError, match="memory_gib is 0"):
        plan_index(100, 8, memory_gib=0)


@pytest.mark.parametrize("count", [200, 2186])
def test_a_plan_that_so_few_items_can_not_be_searched_by_is_refused_before_faiss_says_a_word(count, capfd):
    with pytest.raises(ConfigError, match=f"at least 9,984 items to learn from, got {count:,}; exact and hnsw"):
        RetrievalIndex.build(
            unit_vectors(count, 240), items(count), fingerprint="abc", catalogue="test", plan=Plan("ivfpq", "mine")
        )
    index = RetrievalIndex.build(unit_vectors(20), items(20), fingerprint="abc", catalogue="test")
    with pytest.raises(ConfigError, match="at least 9,984 items"):
        index.compact(Plan("ivfpq", "mine"))
    assert index.kind == index.info.kind == "exact"
    with pytest.raises(ConfigError, match="kind is 'annoy'; expected exact, hnsw or ivfpq"):
        Plan("annoy", "mine")
    assert capfd.readouterr() == ("", "")


def test_quantized_lists_of_too_few_items_left_become_an_exact_index_when_compacted(capfd):
    count = IVFPQ_MIN_ROWS
    index = RetrievalIndex.build(
        clustered(count), items(count), fingerprint="abc", catalogue="test", plan=Plan("ivfpq", "mine")
    )
    index.delete(["id0"])
    index.compact()
    assert (index.kind, len(index)) == ("exact", count - 1)
    assert index.info.reason == "9,983 vectors are too few for quantized lists"
    assert capfd.readouterr() == ("", "")


def test_the_plan_counts_the_bytes_that_faiss_holds(built, tmp_path):
    size = (built.save(tmp_path / "saved") / "faiss.index").stat().st_size
    planned = {"hnsw": hnsw_bytes, "ivfpq": ivfpq_bytes}[built.kind](len(built), 16)
    assert size == pytest.approx(planned, rel=0.2)


def test_vectors_may_be_stored_in_half_the_bytes(tmp_path):
    vectors = clustered(300)
    half = RetrievalIndex.build(vectors, items(300), fingerprint="abc", catalogue="test", dtype="float16")
    folder = half.save(tmp_path / "half")
    assert (folder / "vectors-00000.npy").stat().st_size < vectors.nbytes / 2 + 200
    query = clustered(1, seed=7)
    hits = RetrievalIndex.load(folder).search(query, top_k=5)[0]
    best = np.argsort(-cosines(query[0], vectors))[:5]
    assert [hit.score for hit in hits] == pytest.approx(cosines(query[0], vectors)[best], abs=2e-3)


def test_equally_near_items_come_in_the_order_of_the_index():
    vectors = np.repeat(unit_vectors(4, 16), 5, axis=0)
    for plan in (Plan("exact", ""), Plan("hnsw", "")):
        index = RetrievalIndex.build(vectors, items(20), fingerprint="abc", catalogue="test", plan=plan)
        assert [hit.id for hit in index.search(vectors[7], top_k=5)[0]] == ["id5", "id6", "id7", "id8", "id9"]


@pytest.fixture(scope="module")
def index():
    return RetrievalIndex.build(unit_vectors(200), items(200), fingerprint="abc", catalogue="test")


class TestFilters:
    def found(self, index, filter):
        return {int(hit.id[2:]) for hit in index.search(unit_vectors(1), top_k=200, filter=filter)[0]}

    def test_columns_and_attributes_are_combined(self, index):
        rows = range(200)
        assert self.found(index, {"attributes.parity": "odd"}) == {row for row in rows if row % 2}
        both = {"brand": [BRANDS[0], BRANDS[1]], "attributes.parity": ["even"]}
        brands = index.items.column("brand").to_pylist()
        assert self.found(index, both) == {row for row in rows if brands[row] in BRANDS[:2] and not row % 2}
        assert self.found(index, {}) == set(rows)

    def test_none_stands_for_an_empty_cell(self, index):
        brands = index.items.column("brand").to_pylist()
        assert None in brands
        assert self.found(index, {"brand": None}) == {row for row in range(200) if brands[row] is None}
        assert self.found(index, {"brand": [None, BRANDS[1]]}) == {
            row for row in range(200) if brands[row] in (None, BRANDS[1])
        }

    def test_a_pyarrow_expression_says_the_rest(self, index):
        brands = index.items.column("brand").to_pylist()
        filter = (pc.field("brand") != BRANDS[0]) & (pc.field("id") != "id1")
        expected = {row for row in range(200) if brands[row] not in (None, BRANDS[0])} - {1}
        assert self.found(index, filter) == expected

    def test_an_unlike_expression_leaves_out_empty_cells_unless_it_names_them(self, index):
        brands = index.items.column("brand").to_pylist()
        unlike = pc.field("brand") != BRANDS[0]
        assert self.found(index, unlike) == {row for row in range(200) if brands[row] not in (None, BRANDS[0])}
        everything_else = unlike | pc.field("brand").is_null()
        assert self.found(index, everything_else) == {row for row in range(200) if brands[row] != BRANDS[0]}

    def test_a_filter_that_nothing_passes_finds_nothing(self, index):
        assert self.found(index, {"brand": "nobody's"}) == set()

    @pytest.mark.parametrize(
        ("filter", "field", "message"),
        [
            ({"colour": "red"}, "filter.colour", r"known are id, .*brand.*attributes\.parity"),
            ({"attributes.size": "M"}, "filter.attributes.size", r"attributes\.parity"),
            ({"brand": b"A"}, "filter.brand", "must give texts, numbers, true or false, got bytes"),
            ({"brand": []}, "filter.brand", "a value, a list of values, or a range"),
            ({"brand": [["A"]]}, "filter.brand", r"got list \['A'\]"),
            ({"brand": "\ud800"}, "filter.brand", r"whole characters, got '\\ud800'"),
            ({"\ud800": "A"}, "filter", r"columns by name in a filter, got '\\ud800'"),
            ({3: "A"}, "filter", "columns by name in a filter, got 3"),
            (["brand"], "filter", "got list"),
            (pc.field("colour") == "red", "filter", "colour.*Columns are id"),
            (pc.field("brand"), "filter", "can't be used"),
        ],
    )
    def test_a_filter_that_can_not_be_used_names_what_could(self, index, filter, field, message):
        with pytest.raises(InvalidInput, match=message) as refused:
            index.search(unit_vectors(1), top_k=1, filter=filter)
        assert refused.value.field == field


@pytest.mark.parametrize("order", ["faiss, torch", "torch, faiss"])
def test_faiss_and_torch_compute_beside_one_another(order):
    """Two OpenMP runtimes of different makers in one process end it, or hang."""
    code = f"""
import {order}, numpy
vectors = numpy.random.default_rng(0).normal(size=(2000, 32)).astype("float32")
index = faiss.IndexFlatL2(32)
index.add(vectors)
for _ in range(3):
    assert torch.ones(300, 300).matmul(torch.ones(300, 300))[0, 0] == 300
    assert (index.search(vectors[:50], 1)[1][:, 0] == range(50)).all()
with open("/proc/self/maps") as maps:
    mapped = {{line.split("/")[-1].split("-")[0].split(".")[0] for line in maps}}
print(sorted(mapped & {{"libgomp", "libomp", "libiomp5"}}))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (result.returncode, result.stdout.strip()) == (0, "['libgomp']"), result.stderr


def test_recall_that_stays_under_the_target_is_told(caplog, monkeypatch):
    monkeypatch.setattr("fromage_model.index.measure.EFFORTS", {"hnsw": (1,)})
    monkeypatch.setattr("fromage_model.index.measure.RECALL_TARGET", 1.01)
    with caplog.at_level(logging.WARNING):
        index = RetrievalIndex.build(
            clustered(300), items(300), fingerprint="abc", catalogue="test", plan=Plan("hnsw", "for a test")
        )
    assert "of the nearest ten, not 1.010" in caplog.text
    assert index.info.measured.exact_below == 0.5
