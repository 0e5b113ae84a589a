"""A picture that could not be captioned is left alone while nothing changed that could help it."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.schema import FAILURES_SCHEMA
from fromage_model.catalogue.table import write_items
from jobs.caption.failures import CAPTIONS_FOLDER, Failures
from tests.jobs import tiny

SETTINGS = {"captioner": "a", "sampling": (1, 2)}


@pytest.fixture
def catalogue(tmp_path) -> Catalogue:
    """Four squares of 2026-01-01, of which the first two failed a day later."""
    catalogue = tiny.write_squares(tmp_path / "squares", colours=tiny.COLOURS[:4])
    (catalogue.folder / CAPTIONS_FOLDER).mkdir()
    ids = catalogue.table["id"].to_pylist()
    failed = [failure(1, ids[0], "decode"), failure(2, ids[1], "caption")]
    Failures({}, SETTINGS).and_those_of([failed[0], failed[1]]).write(catalogue.folder / CAPTIONS_FOLDER, catalogue)
    return catalogue


def failure(row: int, id: str, stage: str) -> pa.Table:
    said = {"row": row, "id": id, "image": "x.png", "stage": stage, "error": "ImageError", "message": "cut off"}
    at = {"attempts": 1, "failed_at": datetime(2026, 1, 2, tzinfo=UTC)}
    return pa.Table.from_pylist([said | at], schema=FAILURES_SCHEMA)


def places(failures: Failures, catalogue: Catalogue) -> list[int]:
    ids = catalogue.table["id"].to_pylist()
    return sorted(ids.index(id) for id in failures.by_id)


def test_the_same_settings_would_meet_the_same_failures(catalogue):
    assert places(Failures.read(catalogue, SETTINGS), catalogue) == [0, 1]


def test_other_settings_may_find_words_but_do_not_mend_a_picture(catalogue):
    assert places(Failures.read(catalogue, SETTINGS | {"captioner": "b"}), catalogue) == [0]


def test_an_item_that_has_changed_since_is_worth_another_try(catalogue):
    rows = catalogue.table.to_pylist()
    rows[0]["updated_at"] = datetime(2026, 1, 3, tzinfo=UTC)
    write_items(catalogue.folder, pa.Table.from_pylist(rows, schema=SCHEMA))
    assert places(Failures.read(Catalogue.open(catalogue.folder), SETTINGS), catalogue) == [1]


def test_failures_stand_at_the_rows_that_their_items_have_now(catalogue, tmp_path):
    known = Failures.read(catalogue, SETTINGS)
    moved = Catalogue(catalogue.folder, table=catalogue.table.take([3, 1]), info=catalogue.info)
    known.write(tmp_path, moved)
    rows = pq.read_table(tmp_path / "failures.parquet").to_pylist()
    assert [(row["row"], row["id"]) for row in rows] == [(2, catalogue.table["id"][1].as_py())]
    assert known.reasons == {"ImageError": 2}


def test_a_catalogue_that_was_never_captioned_has_no_failures(tmp_path):
    assert not Failures.read(tiny.write_squares(tmp_path / "new", colours=tiny.COLOURS[:4]), SETTINGS).by_id
