"""Upserts, deletes and compaction: what an index holds after them, in memory and on disk, and after a full disk."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from fromage_model.errors import InvalidInput, RetrievalIndexError
from fromage_model.index import Plan, RetrievalIndex, read_info
from tests.fromage_model.index.items import items, unit_vectors

KINDS = ("exact", "hnsw")


def build(kind="exact", count=400, dtype="float32"):
    return RetrievalIndex.build(
        unit_vectors(count, 16),
        items(count),
        fingerprint="abc",
        catalogue="test",
        catalogue_fingerprint="first",
        plan=Plan(kind, "for a test"),
        dtype=dtype,
    )


def changed(index):
    """Ten new items, five replaced by other vectors and captions, and three deleted."""
    rows = items(10, first=1000)
    index.upsert(unit_vectors(10, 16, seed=1), rows)
    again = items(5, first=20)
    captions = [f"again {row}" for row in range(5)]
    again = again.set_column(again.column_names.index("caption"), again.schema.field("caption"), [captions])
    index.upsert(unit_vectors(5, 16, seed=2), again)
    assert index.delete(["id3", "id1004", "id399", "unknown"]) == 3
    return index


def expected():
    """What `changed` should leave: id -> (vector, caption), in the index's order."""
    held = {f"id{row}": (vector, f"item {row}") for row, vector in enumerate(unit_vectors(400, 16))}
    held |= {
        f"id{1000 + row}": (vector, f"item {1000 + row}") for row, vector in enumerate(unit_vectors(10, 16, seed=1))
    }
    for row, vector in enumerate(unit_vectors(5, 16, seed=2)):
        del held[f"id{20 + row}"]
        held[f"id{20 + row}"] = (vector, f"again {row}")
    for id in ("id3", "id1004", "id399"):
        del held[id]
    return held


def check(index):
    held = expected()
    assert index.ids == list(held)
    assert len(index) == len(held) == index.info.rows == index.items.num_rows == 407
    np.testing.assert_array_equal(index.vectors, np.stack([vector for vector, _ in held.values()]))
    for gone in ("id3", "id1004", "id399"):
        assert gone not in index
        with pytest.raises(InvalidInput, match=gone):
            index.item(gone)
    for id, (vector, caption) in held.items():
        assert index.item(id).caption == caption
        (hit,) = index.search(vector, top_k=1)[0]
        assert (hit.id, hit.item.caption) == (id, caption)
    nowhere = index.search(unit_vectors(400, 16)[3], top_k=407)[0]
    assert sorted(hit.id for hit in nowhere) == sorted(held)


@pytest.mark.parametrize("kind", KINDS)
def test_upserts_and_deletes_hold_before_and_after_saving_and_opening(kind, tmp_path):
    index = changed(build(kind))
    assert (index.info.segments, index.info.tombstones) == ((400, 10, 5), 8)
    check(index)
    folder = index.save(tmp_path / "saved")
    check(RetrievalIndex.load(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_an_opened_index_is_changed_and_saved_over_itself(kind, tmp_path):
    folder = build(kind).save(tmp_path / "saved")
    vectors_file = (folder / "vectors-00000.npy").stat().st_ino
    index = changed(RetrievalIndex.load(folder))
    index.save(folder)
    assert (folder / "vectors-00000.npy").stat().st_ino == vectors_file, "an unchanged segment was written again"
    check(RetrievalIndex.load(folder))
    check(index)


@pytest.mark.parametrize("kind", KINDS)
def test_compaction_leaves_the_items_alone_in_one_segment(kind, tmp_path):
    index = changed(build(kind))
    index.compact()
    assert (index.info.segments, index.info.tombstones, index.kind) == ((407,), 0, kind)
    check(index)
    check(RetrievalIndex.load(index.save(tmp_path / "saved")))


def test_compaction_may_change_the_kind_and_measures_it():
    index = changed(build("exact"))
    index.compact(Plan("hnsw", "it has grown"))
    assert (index.kind, index.info.reason) == ("hnsw", "it has grown")
    assert index.info.measured.recall_at_10 >= 0.98
    check(index)


def test_changes_make_the_state_of_the_catalogue_unknown_until_it_is_told(tmp_path):
    index = build()
    index.delete(["unknown"])
    assert index.info.catalogue_fingerprint == "first"
    index.delete(["id1"])
    assert index.info.catalogue_fingerprint is None
    index.mark_catalogue("second")
    index.compact()
    assert read_info(index.save(tmp_path / "saved")).catalogue_fingerprint == "second"


def test_the_same_item_replaced_again_and_again_is_there_once(tmp_path):
    index = build(dtype="float16", count=10)
    for seed in range(4):
        index.upsert(unit_vectors(1, 16, seed=seed), items(1, first=4))
    assert (len(index), index.info.tombstones) == (10, 4)
    assert index.tombstone_share == pytest.approx(4 / 14)
    index = RetrievalIndex.load(index.save(tmp_path / "saved"))
    np.testing.assert_allclose(index.vectors_for(["id4"]), unit_vectors(1, 16, seed=3), atol=1e-3)


def test_changes_that_do_not_fit_are_refused_and_change_nothing():
    index = build(count=10)
    with pytest.raises(RetrievalIndexError, match="width 16, got 8"):
        index.upsert(unit_vectors(2, 8), items(2))
    with pytest.raises(RetrievalIndexError, match="3 items for 3 vectors, got 2"):
        index.upsert(unit_vectors(3, 16), items(2))
    with pytest.raises(RetrievalIndexError, match="length 1"):
        index.upsert(unit_vectors(2, 16) * 2, items(2))
    with pytest.raises(RetrievalIndexError, match="at least one item"):
        index.delete(index.ids)
    assert index.info == build(count=10).info


def test_a_folder_of_the_first_format_opens_and_is_saved_in_the_second(tmp_path):
    folder = write_first_format(tmp_path / "old")
    index = RetrievalIndex.load(folder, fingerprint="abc")
    assert (index.kind, len(index), index.info.format) == ("exact", 20, 1)
    query = unit_vectors(1, 16, seed=5)
    assert index.search(query, top_k=5) == build(count=20).search(query, top_k=5)
    index.delete(["id0"])
    again = RetrievalIndex.load(index.save(folder))
    assert (len(again), again.info.format) == (19, 2)
    assert not (folder / "vectors.npy").exists()


def write_first_format(folder: Path) -> Path:
    """As indexes were written before there was more than one kind."""
    folder.mkdir()
    np.save(folder / "vectors.npy", unit_vectors(20, 16))
    parquet.write_table(items(20), folder / "items.parquet")
    info = {"fingerprint": "abc", "catalogue": "test", "catalogue_fingerprint": "c", "rows": 20, "width": 16}
    info |= {"created_by": "jobs.index", "format": 1, "vectors": "both"}
    (folder / "index.json").write_text(json.dumps(info))
    return folder


@pytest.mark.parametrize("fails_at", ["np.save", "faiss"])
def test_a_full_disk_is_told_and_the_old_index_stays(fails_at, tmp_path, monkeypatch):
    folder = build("hnsw").save(tmp_path / "saved")
    before = read_info(folder)

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    where = {"np.save": "numpy.save", "faiss": "fromage_model.index.approximate.Approximate.save"}[fails_at]
    monkeypatch.setattr(where, full)
    with pytest.raises(RetrievalIndexError, match=r"saved: .*No space left on device.* as it was"):
        changed(RetrievalIndex.load(folder)).save(folder)
    monkeypatch.undo()
    index = RetrievalIndex.load(folder)
    assert (index.info, index.ids) == (before, build().ids)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_target_that_can_not_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(RetrievalIndexError, match="can't be written to"):
        build(count=3).save(tmp_path / "file" / "index")


def test_where_files_can_not_be_linked_they_are_copied(tmp_path, monkeypatch):
    folder = build().save(tmp_path / "saved")

    def refuse(*args, **kwargs):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    changed(RetrievalIndex.load(folder)).save(tmp_path / "other")
    shutil.rmtree(folder)
    check(RetrievalIndex.load(tmp_path / "other"))
