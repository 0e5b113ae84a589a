"""A changed catalogue changes of its index what changed, and no more; what is dead is compacted away."""

import numpy as np
import pyarrow as pa
import pytest

from fromage_model.bundle import load_projection
from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import FeaturesInfo, read_features, write_features
from fromage_model.catalogue.table import write_catalogue
from fromage_model.errors import ConfigError, MissingArtefact
from fromage_model.index import RetrievalIndex
from fromage_model.storage.artefacts import writing
from jobs.common.tables import rows_of
from jobs.index.changes import Changes, changes_of
from jobs.index.job import IndexArgs, main
from tests.jobs import tiny

MORE = (*tiny.COLOURS, "cyan", "coral")


@pytest.fixture
def world(whole_index, index_args):
    """Options that bring the tiny catalogue's index of pictures up to date."""
    return index_args


def rewritten(catalogue, folder, **columns) -> Catalogue:
    """The same catalogue with other values in some columns, and without the pictures."""
    table = catalogue.table
    for name, values in columns.items():
        place = table.column_names.index(name)
        table = table.set_column(place, table.schema.field(name), pa.array(values, table.schema.field(name).type))
    with writing(folder) as scratch:
        write_catalogue(scratch, table=table, failures=[], info=catalogue.info)
    return Catalogue.open(folder)


def features_of_both(before, now, folder):
    """What embedding `now` would have given: known pictures as they were, new ones drawn at random."""
    known = read_features(before)
    ids = now.table["id"].to_pylist()
    drawn = np.random.default_rng(5).normal(size=(len(ids), known.info.width)).astype(np.float32)
    vectors = np.stack([known.of([id])[0] if id in known.ids else drawn[row] for row, id in enumerate(ids)])
    info = FeaturesInfo(**(vars(known.info) | {"catalogue_fingerprint": now.fingerprint, "rows": len(ids)}))
    with writing(folder) as scratch:
        write_features(scratch, ids=ids, vectors=vectors, info=info)
    return folder


def test_new_items_are_added_and_those_that_are_gone_are_not_found(world, tiny_world, tmp_path):
    now = tiny.write_squares(tmp_path / "now", colours=MORE[1:])
    features = str(features_of_both(tiny_world.features, now, tmp_path / "features"))
    report = main(world(catalogue=str(tmp_path / "now"), features=features)).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (13, 13, 0)
    assert (report["added"], report["deleted"], report["skipped"]) == (2, 1, False)
    index = RetrievalIndex.load(tmp_path / "index")
    assert index.info.catalogue_fingerprint == now.fingerprint
    ids = now.table["id"].to_pylist()
    expected = load_projection(str(tiny_world.bundle)).embed(read_features(features).of(ids))
    np.testing.assert_allclose(index.vectors_for(ids), expected, atol=1e-6)
    assert [index.item(id) for id in ids] == now.items()
    assert main(world(catalogue=str(tmp_path / "now"), features=features)).as_dict()["skipped"]


@pytest.mark.usefixtures("nothing_embedded")
def test_other_columns_are_brought_up_to_date_without_embedding_anything(world, tiny_world, tmp_path):
    """Not even the fingerprint of the catalogue tells of them, but filters and links depend on them."""
    before = Catalogue.open(tiny_world.catalogue)
    now = rewritten(before, tmp_path / "now", brand=["Acme"] * 2 + [None] * 10)
    assert now.fingerprint == before.fingerprint
    report = main(world(catalogue=str(tmp_path / "now"), compact_above=1.0)).as_dict()
    assert (report["added"], report["changed"], report["deleted"], report["compacted"]) == (0, 2, 0, False)
    index = RetrievalIndex.load(tmp_path / "index")
    assert (len(index), index.info.tombstones) == (12, 2)
    hits = index.search(index.vectors[0], top_k=12, filter={"brand": "Acme"})[0]
    assert {hit.id for hit in hits} == set(now.table["id"].to_pylist()[:2])


@pytest.mark.usefixtures("nothing_embedded")
def test_an_index_is_compacted_above_a_share_of_tombstones_or_when_told_to(world, tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    rewritten(catalogue, tmp_path / "worn", brand=["Acme"] * 6 + [None] * 6)
    report = main(world(catalogue=str(tmp_path / "worn"))).as_dict()
    assert (report["changed"], report["compacted"]) == (6, True)
    assert RetrievalIndex.load(tmp_path / "index").info.segments == (12,)
    rewritten(catalogue, tmp_path / "little", brand=["Acme"] * 5 + [None] * 7)
    assert not main(world(catalogue=str(tmp_path / "little"))).as_dict()["compacted"]
    assert main(world(catalogue=str(tmp_path / "little"), compact=True)).as_dict()["compacted"]
    info = RetrievalIndex.load(tmp_path / "index").info
    assert (info.segments, info.tombstones, info.rows) == ((12,), 0, 12)


@pytest.mark.usefixtures("nothing_embedded")
def test_another_kind_is_made_of_what_is_there_and_its_recall_is_reported(world, tmp_path):
    report = main(world(kind="hnsw")).as_dict()
    assert (report["kind"], report["compacted"], report["recall_at_10"]) == ("hnsw", True, 1.0)
    assert report["reason"] == "hnsw was asked for, over 12 vectors of width 16"
    assert RetrievalIndex.load(tmp_path / "index").info.measured.queries == 12
    with pytest.raises(ConfigError, match="at least 9,984 items"):
        main(world(kind="ivfpq"))
    assert RetrievalIndex.load(tmp_path / "index").kind == "hnsw"


def test_a_changed_item_that_has_lost_its_features_leaves_the_index(world, tiny_world, tmp_path):
    catalogue = Catalogue.open(tiny_world.catalogue)
    digests = catalogue.table["image_sha256"].to_pylist()
    now = rewritten(catalogue, tmp_path / "now", image_sha256=[*digests[:-1], "0" * 64])
    features = tiny.write_random_features(tmp_path / "features", now, without=1)
    report = main(world(catalogue=str(tmp_path / "now"), features=str(features))).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 11, 1)
    assert now.table["id"][11].as_py() not in RetrievalIndex.load(tmp_path / "index")


def test_nothing_is_made_of_options_that_can_not_be():
    with pytest.raises(ConfigError, match=r"compact_above is 2.*share from 0 to 1"):
        IndexArgs(compact_above=2)
    with pytest.raises(ConfigError, match="memory_gib is -1"):
        IndexArgs(memory_gib=-1)


def test_a_missing_catalogue_is_named_before_anything_is_done(world, tmp_path):
    with pytest.raises(MissingArtefact, match=r"jobs\.ingest"):
        main(world(catalogue=str(tmp_path / "none")))


def test_what_changed_is_told_by_picture_caption_and_the_other_columns(tiny_world, tmp_path):
    before = Catalogue.open(tiny_world.catalogue)
    ids = before.table["id"].to_pylist()
    captions = before.table["caption"].to_pylist()
    now = rewritten(
        before,
        tmp_path / "now",
        caption=["other", *captions[1:]],
        brand=["Acme", None, "Acme", *[None] * 9],
        updated_at=[0] * 12,
    )
    read = {"vectors": "both", "words": 4}
    some = changes_of(before.table.slice(0, 11), now.table.slice(0, 12), **read)
    assert some == Changes([ids[0], ids[11]], [ids[2]], [])
    assert changes_of(before.table, before.table.slice(1), **read) == Changes([], [], [ids[0]])
    assert not changes_of(before.table, rewritten(before, tmp_path / "same", updated_at=[0] * 12).table, **read)
    assert rows_of(before.table, [ids[3], ids[1]])["id"].to_pylist() == [ids[3], ids[1]]


@pytest.mark.parametrize(
    ("column", "value", "vectors", "words", "embedded"),
    [
        ("attributes", [("tags", "square, flat"), ("subgroup", "bright"), ("price", "9.99")], "both", 4, False),
        ("attributes", [("tags", "square, round"), ("subgroup", "bright")], "both", 4, True),
        ("attributes", [("tags", "square, round"), ("subgroup", "bright")], "both", 1, False),
        ("attributes", [("tags", "square, round"), ("subgroup", "bright")], "image", 4, False),
        ("caption", "a tile", "caption", 4, True),
        ("caption", "a tile", "image", 4, False),
        ("image_sha256", "0" * 64, "image", 4, True),
    ],
)
def test_only_what_the_index_reads_of_an_item_has_it_embedded_again(
    tiny_world, tmp_path, column, value, vectors, words, embedded
):
    before = Catalogue.open(tiny_world.catalogue)
    now = rewritten(before, tmp_path / "now", **{column: [value, *before.table[column].to_pylist()[1:]]})
    changed = [before.table["id"][0].as_py()]
    expected = Changes(changed, [], []) if embedded else Changes([], changed, [])
    assert changes_of(before.table, now.table, vectors=vectors, words=words) == expected
