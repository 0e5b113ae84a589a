"""jobs.index stopped on the way goes on where it was, and a text that can't be read is a failure of its item alone."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.errors import CatalogueError, SettingsDiffer
from fromage_model.index import RetrievalIndex
from jobs.common.durable import ShardDone, work_folder
from jobs.common.reporting.progress import Progress
from jobs.index.job import main
from tests.jobs import tiny
from tests.jobs.common.durable.stages import RefusingTexts
from tests.jobs.conftest import without_ray

SHARD_ROWS = 4


@pytest.fixture(autouse=True)
def here() -> Iterator[None]:
    """No workers: every shard is done in this process."""
    with without_ray(shards=len(tiny.COLOURS)):
        yield


@pytest.fixture
def captioned(tiny_world, tmp_path, index_args):
    """Options that index a catalogue of squares with these captions by caption and picture."""

    def of(colours=tiny.COLOURS, captions=None, **changes):
        catalogue = tiny.write_squares(tmp_path / "captioned", colours=colours, captions=captions or {})
        features = tiny.write_random_features(tmp_path / "captioned features", catalogue)
        settings = {"catalogue": str(catalogue.folder), "features": str(features), "vectors": "both"}
        return index_args(**(settings | {"shard_rows": SHARD_ROWS} | changes))

    return of


@pytest.fixture
def unreadable(monkeypatch) -> str:
    """A caption that the reading stage refuses."""
    monkeypatch.setattr("jobs.index.embeddings.ReadTexts", RefusingTexts)
    return RefusingTexts.refused


@pytest.fixture
def stopped_after_two_shards(monkeypatch):
    """Has the job stopped, as by Ctrl-C, when two shards are done."""

    def stop(args) -> None:
        shards = []

        def told(progress: Progress, done: ShardDone) -> None:
            shards.append(done)
            if len(shards) == 2:
                raise KeyboardInterrupt

        with monkeypatch.context() as stopping:
            stopping.setattr(Progress, "shard", told)
            with pytest.raises(KeyboardInterrupt):
                main(args)

    return stop


def test_a_job_that_was_stopped_goes_on_and_ends_with_the_index_of_an_undisturbed_run(
    captioned, stopped_after_two_shards, tmp_path, caplog
):
    args = captioned()
    stopped_after_two_shards(args)
    assert not (tmp_path / "index").exists()
    with caplog.at_level(logging.INFO):
        report = main(args).as_dict()
    assert "going on, 8 of 12 rows are done" in caplog.text
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 12, 0)
    assert not Path(work_folder(args.out)).exists()
    undisturbed = captioned(out=str(tmp_path / "undisturbed"))
    main(undisturbed)
    found, expected = RetrievalIndex.load(args.out), RetrievalIndex.load(undisturbed.out)
    assert found.ids == expected.ids
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)


def test_a_text_that_can_not_be_read_is_a_failure_and_the_others_are_found(captioned, unreadable, tmp_path):
    args = captioned(captions={"green": unreadable})
    catalogue = Catalogue.open(args.catalogue)
    report = main(args).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (12, 11, 1)
    (failure,) = pq.read_table(tmp_path / "index" / "failures.parquet").to_pylist()
    green = catalogue.items()[tiny.COLOURS.index("green")]
    assert (failure["row"], failure["id"], failure["image"]) == (2, green.id, green.image)
    assert (failure["stage"], failure["error"]) == ("read", "InvalidInput")
    assert failure["message"] == "nobody can read unreadable"
    assert green.id not in RetrievalIndex.load(args.out)
    assert "InvalidInput" in (tmp_path / "index" / "report.html").read_text()


def test_what_can_not_be_read_is_read_again_when_that_is_asked_for_or_it_changed(captioned, unreadable, tmp_path):
    args = captioned(captions={"green": unreadable})
    main(args)
    again = main(args).as_dict()
    assert (again["skipped"], again["rows_failed"]) == (True, 1)
    asked = main(captioned(captions={"green": unreadable}, retry_failed=True)).as_dict()
    assert (asked["skipped"], asked["rows_failed"]) == (True, 1)
    changed = main(captioned(captions={"green": "green square"})).as_dict()
    assert (changed["skipped"], changed["added"], changed["rows_out"], changed["rows_failed"]) == (False, 1, 12, 0)
    assert pq.read_table(tmp_path / "index" / "failures.parquet").num_rows == 0


def test_work_begun_with_other_settings_is_refused_by_name(captioned, stopped_after_two_shards):
    stopped_after_two_shards(captioned())
    with pytest.raises(SettingsDiffer, match=r"words: 4 then, 0 now.*--force"):
        main(captioned(words=0))
    assert main(captioned(tiny.COLOURS[:3], words=0, force=True)).as_dict()["rows_out"] == 3


def test_texts_none_of_which_can_be_read_make_no_index(captioned, unreadable, tmp_path):
    args = captioned(tiny.COLOURS[:2], {"red": unreadable, "green": unreadable})
    with pytest.raises(CatalogueError, match=r"no text of the 2 items of captioned could be read.*nobody can read"):
        main(args)
    assert not (tmp_path / "index").exists()
