"""A catalogue, its features and an LM become a bundle through Ray Train, on two workers."""

import dataclasses
import json
import logging
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from fromage_model.bundle import load_bundle
from fromage_model.catalogue import SCHEMA, Catalogue
from fromage_model.catalogue.table import write_items
from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.header import bundle_fingerprint, read_header
from fromage_model.storage.artefacts import home
from jobs.common.reporting.report import Report
from jobs.finetune.checkpoints import STATE_FILE
from jobs.finetune.data import select_items
from jobs.finetune.job import decisive_of, holds_bundle_of, main, run_folder
from jobs.finetune.not_finite import NotFinite
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.telling import read_lines
from jobs.finetune.training import SCALARS
from tests.jobs import tiny
from tests.jobs.finetune.test_step import tiny_args


@dataclasses.dataclass(frozen=True)
class Finished:
    args: FinetuneArgs
    report: Report
    heard: list[str]


class Hearer(logging.Handler):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(record.getMessage())


def folder_of(args: FinetuneArgs) -> Path:
    return run_folder(args, decisive_of(args, select_items(args)))


@pytest.fixture(scope="module")
def finished(tiny_world, tmp_path_factory, ray_session) -> Iterator[Finished]:
    """One run of two epochs of a few steps, in a home of its own, on a catalogue of which not all can be used."""
    folder = tmp_path_factory.mktemp("odd")
    captions = {"black": None, "navy": "...", "olive": "a square " * 40}
    catalogue = tiny.write_squares(folder / "squares", held_out=2, captions=captions)
    features = tiny.write_random_features(folder / "features", catalogue)
    data = {"catalogue": str(folder / "squares"), "features": str(features)}
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FROMAGE_HOME", str(tmp_path_factory.mktemp("home")))
        settings = {"workers": 2, "cpus_per_worker": 0.5, "validation": 0.3, "batch_size": 1}
        args = tiny_args(tiny_world, out="small", run="first", **data, **settings)
        hearer = Hearer()
        logging.getLogger("jobs").addHandler(hearer)
        report = main(args)
        logging.getLogger("jobs").removeHandler(hearer)
        yield Finished(args, report, hearer.heard)


def test_the_bundle_loads_and_says_what_it_was_trained_on(finished):
    model = load_bundle("small", dtype=torch.float32)
    assert model.text_embeddings(["A picture of a red square."]).shape == (1, 8)
    header, fingerprint = read_header(home() / "bundles" / "small")
    assert fingerprint == model.fingerprint
    lineage = header.lineage
    assert (lineage["job"], lineage["split"], lineage["epochs_done"]) == ("finetune", "train", 2)
    assert lineage["catalogue_fingerprints"] == {"squares": Catalogue.open(finished.args.catalogue).fingerprint}
    assert lineage["settings"]["seed"] == 0
    assert {"torch", "transformers", "ray"} <= set(lineage["versions"])


def test_what_the_first_worker_tells_of_its_progress_is_said_once(finished):
    told = [line.partition(":")[0] for line in finished.heard if line.startswith(("training", "epoch"))]
    assert told == ["training", *["epoch 1 of 2"] * 2, *["epoch 2 of 2"] * 2]


def test_the_report_says_where_the_time_went(finished):
    seconds = finished.report.extra["phases"]
    phases = ["reading items", "loading the LM", "replies to small talk", "reading texts", "warm start"]
    epochs = ["epoch 1 of 2", "looking at pictures", "epoch 2 of 2"]
    assert list(seconds) == [*phases, *epochs, "when to show products", "starting and ending Ray"]
    assert sum(seconds.values()) == pytest.approx(finished.report.seconds, abs=1.0)
    told = [line.removeprefix("phase: ") for line in finished.heard if line.startswith("phase: ")]
    assert told == [*phases, *epochs, "looking at pictures", "when to show products"]


def test_the_report_counts_the_items_trained_on(finished):
    report = finished.report
    assert report.rows_in == report.rows_out + 2 < len(Catalogue.open(finished.args.catalogue).items("train"))
    assert Path(report.output) == (home() / "bundles" / "small").resolve()
    assert report.extra["skipped"] is False
    assert {"loss", "validation_r_at_1", "examples_per_second"} <= set(report.extra["figures"])
    assert report.extra["figures"]["skipped_steps"] == 0


def test_items_that_were_left_out_stand_in_the_run_s_table_when_it_has_ended(finished):
    assert (finished.report.rows_failed, finished.report.extra["figures"]["captions_cut"]) == (2, 1)
    table = pq.read_table(folder_of(finished.args) / "failures.parquet")
    assert table["error"].to_pylist() == ["no_caption", "no_words"]


def test_what_is_kept_for_the_next_run_lies_in_the_home_of_the_workers(finished, home_of_tests):
    assert list((home_of_tests / "states").glob("*.sqlite"))


def test_scalars_of_steps_and_epochs_lie_in_the_run_s_folder(finished):
    (events,) = (folder_of(finished.args) / "scalars").glob("events*")
    content = events.read_bytes()
    for tag in (b"train/loss", b"train/info_nce", b"train/gradient_norm", b"epoch/validation_r_at_1"):
        assert tag in content
    for tag in (b"seen/captions", b"seen/retrieved"):
        assert content.count(tag) >= 2  # after each epoch


def test_the_run_s_page_has_curves_pictures_settings_and_lineage(finished):
    html = (folder_of(finished.args) / "report.html").read_text()
    for told in ("info nce: ", "data:image/jpeg", "validation held out", "learning rate", "catalogue fingerprints"):
        assert told in html


def test_the_same_command_again_finds_the_run_complete(finished):
    before = bundle_fingerprint("small")
    report = main(finished.args)
    assert report.extra["skipped"] is True
    assert report.extra["figures"] == finished.report.extra["figures"]
    assert bundle_fingerprint("small") == before


def test_other_settings_under_the_same_run_are_refused_by_name(finished):
    with pytest.raises(ConfigError, match="the run first was started with other settings: seed; give another --run"):
        main(dataclasses.replace(finished.args, seed=1))


@pytest.mark.parametrize("changed", ["caption", "tags"])
def test_a_run_on_other_data_is_another_run(tiny_world, tmp_path, changed):
    shutil.copytree(tiny_world.catalogue, tmp_path / "squares")
    same = tiny_args(tiny_world, catalogue=str(tmp_path / "squares"))
    before = folder_of(same)
    assert folder_of(same) == before
    catalogue = Catalogue.open(tmp_path / "squares")
    rows = catalogue.table.to_pylist()
    rows[-1] |= {"caption": "a lime tile"} if changed == "caption" else {"attributes": [("tags", "tile, round")]}
    write_items(tmp_path / "squares", pa.Table.from_pylist(rows, schema=SCHEMA))
    catalogue = Catalogue.open(tmp_path / "squares")
    features = tiny.write_random_features(tmp_path / "features", catalogue)
    assert folder_of(dataclasses.replace(same, features=str(features))) != before


def test_other_data_under_the_same_run_is_refused_by_name(finished, tmp_path):
    catalogue = tiny.write_squares(tmp_path / "squares", captions={"lime": "a lime tile"})
    features = tiny.write_random_features(tmp_path / "features", catalogue)
    args = dataclasses.replace(finished.args, catalogue=str(tmp_path / "squares"), features=str(features))
    with pytest.raises(ConfigError, match=r"the run first was started with other settings: .*catalogue_fingerprints"):
        main(args)


def test_a_run_from_a_bundle_that_changed_is_another_run(tiny_world, tmp_path):
    start = tiny.write_bundle(tmp_path / "start", lm=tiny_world.lm)
    args = tiny_args(tiny_world, start_from=str(start))
    before = folder_of(args)
    tiny.write_bundle(start, lm=tiny_world.lm, seed=1)
    assert folder_of(args) != before


def test_a_bundle_of_another_run_in_its_place_does_not_pass_for_this_run_s(finished, tiny_world):
    assert holds_bundle_of(folder_of(finished.args), home() / "bundles" / "small")
    assert not holds_bundle_of(folder_of(finished.args), tiny_world.bundle)
    assert not holds_bundle_of(folder_of(finished.args), home() / "bundles" / "gone")


def test_a_lost_bundle_comes_back_from_the_last_checkpoint_without_training(finished):
    before = bundle_fingerprint("small")
    shutil.rmtree(home() / "bundles" / "small")
    record = folder_of(finished.args) / "run.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"figures": None}))
    report = main(finished.args)
    assert report.extra["skipped"] is False
    assert bundle_fingerprint("small") == before


def test_a_folder_of_something_else_is_refused_before_training(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    keepsake = tmp_path / "pictures" / "holiday.jpg"
    keepsake.parent.mkdir()
    keepsake.write_bytes(b"irreplaceable")
    with pytest.raises(ConfigError, match=r"something else \(no bundle\.json"):
        main(tiny_args(tiny_world, out=str(keepsake.parent)))
    assert keepsake.read_bytes() == b"irreplaceable"


def test_features_that_lack_the_items_are_an_error_before_any_run(tiny_world, tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    catalogue = Catalogue.open(tiny_world.catalogue)
    features = tiny.write_random_features(tmp_path / "few", catalogue, without=len(catalogue) - 1)
    with pytest.raises(CatalogueError, match="at least 2 are needed"):
        main(tiny_args(tiny_world, features=str(features)))
    assert not Path(home() / "runs").exists()


def test_a_loss_that_is_no_number_stops_the_run_at_once_and_its_items_stand_in_a_table(
    tiny_world, tmp_path, monkeypatch, ray_session, caplog
):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    args = tiny_args(tiny_world, out="wild", run="wild", prefix_learning_rate=float("inf"), cpus_per_worker=0.5)
    with pytest.raises(NotFinite, match=r"epoch 1, step 2: .* in float32\. Its items: .*--prefix-learning-rate"):
        main(args)
    assert [record.getMessage() for record in caplog.records if "worker failed" in record.getMessage()] == []
    ids = set(pq.read_table(folder_of(args) / "failures.parquet")["id"].to_pylist())
    assert ids
    assert ids <= {item.id for item in select_items(args).items}
    assert not (home() / "bundles" / "wild").exists()


def kill_a_worker(scalars: Path, attempt: Path, *, after: int, killed: list[int]) -> None:
    """SIGKILL for one of the workers once step `after` has been told; half of the newest checkpoint is lost."""
    deadline = time.monotonic() + 200
    while not any(line["kind"] == "train" and line["at"] >= after for line in read_lines(scalars)):
        if time.monotonic() > deadline:
            return
        time.sleep(0.005)
    for process in psutil.Process().children(recursive=True):  # of this session's Ray and of no other
        if "RayTrainWorker" in " ".join(process.cmdline()):
            os.kill(process.pid, signal.SIGKILL)
            killed.append(process.pid)
            break
    newest = max(attempt.glob(f"checkpoint_*/{STATE_FILE}"))
    os.truncate(newest, newest.stat().st_size // 2)


def test_a_worker_killed_in_mid_epoch_costs_no_step_and_changes_nothing(finished, tmp_path, caplog):
    args = dataclasses.replace(
        finished.args, out="disturbed", run="disturbed", checkpoint_every=1, checkpoints=(tmp_path / "store").as_uri()
    )
    expected = finished.report.extra["figures"]
    steps = int(expected["optimizer_steps"])
    assert steps >= 4
    scalars, killed = folder_of(args) / SCALARS, []
    attempt = tmp_path / "store" / "disturbed" / "attempt-1"
    killer = threading.Thread(
        target=kill_a_worker, args=(scalars, attempt), kwargs={"after": steps - 2, "killed": killed}, daemon=True
    )
    killer.start()
    found = main(args).extra["figures"]
    killer.join()
    assert len(killed) == 1
    assert f"not whole ({STATE_FILE} has " in caplog.text
    assert found["optimizer_steps"] == steps
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-5)
    assert [line["at"] for line in read_lines(scalars) if line["kind"] == "train"] == list(range(steps))
    weights = [load_bundle(name, dtype=torch.float32).trained.state_dict() for name in ("disturbed", "small")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    assert not (folder_of(args) / "attempt-1").exists()
