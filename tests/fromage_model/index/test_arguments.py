"""Whatever an index is given, it answers or says in a way of our own what was wrong; and it is then as it was."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from fromage_model.catalogue import SCHEMA
from fromage_model.errors import FromageError
from fromage_model.index import Plan, RetrievalIndex
from fromage_model.storage.artefacts import is_uri
from tests.fromage_model.index.items import items, unit_vectors

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
WIDTH, COUNT = 8, 20
SETTINGS = ("fingerprint", "catalogue", "catalogue_fingerprint", "created_by", "vectors_of", "picture_share", "words")
SETTINGS += ("plan", "dtype", "queries")

# Half a surrogate pair and a null byte among them.
texts = st.text(st.characters(), max_size=6) | st.sampled_from(
    ["", "id1", "brand", "attributes.parity", "\ud800", "a\0b"]
)
arrays = st_numpy.arrays(
    dtype=st_numpy.scalar_dtypes(), shape=st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=9)
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=4)
odd = st.one_of(
    plain,
    st.complex_numbers(),
    st.lists(plain, max_size=3),
    st.tuples(plain),
    st.sets(texts, max_size=3),
    st.dictionaries(plain, plain, max_size=2),
    arrays,
    st.sampled_from([object(), items, range(3), pa.array(["id1"]), pa.scalar("id1"), Plan("exact", "mine")]),
)
ids = st.lists(st.sampled_from(["id0", "id1", "unknown"]) | plain, max_size=3)
columns = st.sampled_from(["brand", "attributes.parity", "id", "caption"]) | plain
filters = st.dictionaries(columns, odd, max_size=2)
expressions = st.builds(
    lambda name, other, combine: combine(pc.field(name), other),
    st.sampled_from(["brand", "updated_at", "attributes", "nothing", "", "__row__"]),
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.text(max_size=3),
    st.sampled_from(
        [
            lambda field, other: field == other,
            lambda field, other: field > other,
            lambda field, other: field + other,
            lambda field, other: field.isin([other]),
            lambda field, other: field.cast("int32") == 1,
            lambda field, other: field.is_null() & (field != other),
            lambda field, other: pc.scalar(other),
        ]
    ),
)


@pytest.fixture(scope="module", params=["exact", "hnsw"])
def index(request):
    """Of 20 items, one of them deleted."""
    made = RetrievalIndex.build(
        unit_vectors(COUNT, WIDTH), items(COUNT), fingerprint="abc", catalogue="test", plan=Plan(request.param, "mine")
    )
    made.delete(["id19"])
    return made


def answer(ask, *args, **options):
    """What comes, or None where it is refused as we refuse."""
    try:
        return ask(*args, **options)
    except FromageError:
        return None


@FUZZ
@given(queries=odd, top_k=odd)
def test_any_query_and_number_of_hits(index, queries, top_k):
    answer(index.search, queries, top_k=1)
    found = answer(index.search, unit_vectors(2, WIDTH), top_k=top_k)
    assert found is None or [len(hits) for hits in found] == [min(int(top_k), 19)] * 2


@FUZZ
@given(exclude=odd | ids, filter=odd | filters | expressions)
def test_any_exclusion_and_filter(index, exclude, filter):
    answer(index.search, unit_vectors(1, WIDTH), top_k=3, exclude=exclude)
    answer(index.search, unit_vectors(1, WIDTH), top_k=3, filter=filter)


@FUZZ
@given(wanted=odd | ids)
def test_any_ids(index, wanted):
    held = len(index)
    answer(index.item, wanted)
    found = answer(index.vectors_for, wanted)
    assert found is None or found.shape == (len(list(wanted)), WIDTH)
    assert (wanted in index) == (isinstance(wanted, str) and wanted in index.ids)
    assert len(index) == held


@FUZZ
@given(wanted=odd | ids)
def test_any_ids_to_delete(wanted):
    index = RetrievalIndex.build(unit_vectors(3, WIDTH), items(3), fingerprint="abc", catalogue="test")
    deleted = answer(index.delete, wanted)
    assert len(index) == 3 - (deleted or 0)
    assert len(index.search(unit_vectors(1, WIDTH), top_k=9)[0]) == len(index)


@FUZZ
@given(vectors=odd)
def test_any_vectors(index, vectors):
    before = index.info
    answer(index.upsert, vectors, items(1))
    answer(RetrievalIndex.build, vectors, items(1), fingerprint="abc", catalogue="test")
    assert index.info == before


@FUZZ
@given(data=st.data())
def test_any_items(index, data):
    before = index.info
    names = data.draw(st.lists(st.sampled_from(SCHEMA.names), min_size=12, unique=True))
    values = data.draw(
        st.sampled_from([["a"], [1], [None], [b"\xff"], [1.5], [["a"]], [{"a": 1}], [[("a", "b")]], [True]])
    )
    odd_items = data.draw(odd | st.just(pa.table(dict.fromkeys(names, values))))
    if answer(index.upsert, unit_vectors(1, WIDTH), odd_items) is None:
        assert index.info == before
    answer(RetrievalIndex.build, unit_vectors(1, WIDTH), odd_items, fingerprint="abc", catalogue="test")


@FUZZ
@given(
    name=st.sampled_from(SETTINGS),
    value=odd,
)
def test_any_setting_of_a_build_and_of_a_compaction(name, value, tmp_path):
    given = {"fingerprint": "abc", "catalogue": "test", name: value}
    index = answer(RetrievalIndex.build, unit_vectors(3, WIDTH), items(3), **given)
    if index is not None:
        assert RetrievalIndex.load(index.save(tmp_path / "index")).info == index.info
    made = RetrievalIndex.build(unit_vectors(3, WIDTH), items(3), fingerprint="abc", catalogue="test")
    answer(made.compact, value)
    answer(made.compact, Plan("hnsw", "mine"), queries=value)
    assert len(made.search(unit_vectors(1, WIDTH), top_k=3)[0]) == 3


@FUZZ
@given(
    name=(odd | st.text(st.characters(), min_size=1)).filter(lambda name: not isinstance(name, str) or not is_uri(name))
)
def test_any_name_and_fingerprint_to_load_by(index, name, tmp_path):
    assert answer(RetrievalIndex.load, name) is None
    folder = index.save(tmp_path / "saved")
    found = answer(RetrievalIndex.load, folder, fingerprint=name)
    assert (found is None) == (name is not None)


@pytest.mark.parametrize("name", ["a" * 5000, "~nobody-of-this-name/index", "a\0b", "nothing://here", ""])
def test_a_name_that_no_folder_can_have_is_refused(name):
    assert answer(RetrievalIndex.load, name) is None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_graph_of_few_items_is_searched(count):
    index = RetrievalIndex.build(
        unit_vectors(count), items(count), fingerprint="abc", catalogue="test", plan=Plan("hnsw", "mine")
    )
    assert len(index.search(unit_vectors(1), top_k=5)[0]) == count
