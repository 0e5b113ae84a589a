"""What a run goes on from is whole, the newest that is, and its own."""

import os
from pathlib import Path

import pytest
import torch
from pyarrow import fs

from fromage_model.errors import ConfigError
from jobs.finetune.checkpoints import check_settings, keeping_of, newest_whole, seal, storage
from jobs.finetune.job import open_run
from jobs.finetune.worker import Worker
from tests.jobs.finetune.test_step import state_hash, tiny_args
from tests.s3_server import open_store

SETTINGS = {"seed": 0, "text_layers": [-1]}
NAMES = ("checkpoint_2026-11-29_10-00-00.000001", "checkpoint_2026-11-29_10-00-00.000002")
STATE = "state.pt"


@pytest.fixture
def attempt(tmp_path) -> Path:
    """Two checkpoints as Ray Train lays them down."""
    for number, name in enumerate(NAMES):
        folder = tmp_path / "runs" / "first" / "attempt-1" / name
        (folder / "bundle").mkdir(parents=True)
        (folder / STATE).write_bytes(bytes([number]) * 1000)
        (folder / "bundle" / "bundle.json").write_text("{}")
        seal(folder, settings=SETTINGS)
    return folder.parent


def found(attempt: Path) -> str | None:
    chosen = newest_whole(fs.LocalFileSystem(), str(attempt))
    return None if chosen is None else Path(chosen.path).name


def test_the_newest_checkpoint_is_taken(attempt, caplog):
    assert found(attempt) == NAMES[1]
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: os.truncate(folder / STATE, 600), f"{STATE} has 600 bytes of 1000"),
        (lambda folder: (folder / STATE).unlink(), f"{STATE} is missing"),
        (lambda folder: (folder / STATE).write_bytes(bytes(1000)), f"{STATE} has other bytes than were written"),
        (lambda folder: os.truncate(folder / "manifest.json", 50), "its manifest.json is missing or cut short"),
        (lambda folder: (folder / "manifest.json").unlink(), "its manifest.json is missing or cut short"),
    ],
    ids=["cut short", "a file gone", "other bytes", "list cut short", "list gone"],
)
def test_a_half_written_checkpoint_is_passed_over_for_the_one_before_it_and_that_is_said(attempt, caplog, spoil, told):
    spoil(attempt / NAMES[1])
    assert found(attempt) == NAMES[0]
    assert f"{NAMES[1]} is not whole ({told}); the one before it is used" in caplog.text
    spoil_first = attempt / NAMES[0] / "manifest.json"
    spoil_first.unlink()
    assert found(attempt) is None
    assert "none of the checkpoints in" in caplog.text


def test_a_checkpoint_of_other_settings_is_refused_by_their_names(attempt, tmp_path):
    run = tmp_path / "runs" / "first"
    keeping = keeping_of(run, checkpoints=None, settings=SETTINGS, fresh=False)
    assert (keeping.folder, keeping.attempt) == (str(run), "attempt-1")
    with pytest.raises(ConfigError, match=r"of a run with other settings: seed, text_layers; give another --run"):
        keeping_of(run, checkpoints=None, settings={"seed": 1, "text_layers": (0,)}, fresh=False)
    assert keeping_of(run, checkpoints=None, settings={"seed": 1}, fresh=True).attempt == "attempt-2"
    elsewhere = keeping_of(Path("/nowhere/first"), checkpoints=(run.parent).as_uri(), settings=SETTINGS, fresh=False)
    assert (elsewhere.folder, elsewhere.attempt) == (str(run), "attempt-1")


@pytest.mark.parametrize(
    ("place", "told"), [("gone://bucket/runs", "can't be reached: .*gone"), ("memory://runs", "one process alone")]
)
def test_a_place_that_workers_cannot_reach_is_refused_before_any_starts(place, told):
    with pytest.raises(ConfigError, match=told):
        keeping_of(Path("/runs/first"), checkpoints=place, settings=SETTINGS, fresh=False)


def test_checkpoints_lie_in_a_store_that_speaks_s3(attempt, monkeypatch):
    with open_store() as store:
        monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_REGION", "eu-central-1")
        filesystem, folder = storage("s3://bucket/s3-runs/first/attempt-1")
        fs.copy_files(str(attempt), folder, destination_filesystem=filesystem)
        assert newest_whole(filesystem, folder).path == f"{folder}/{NAMES[1]}"
        store.put(f"bucket/s3-runs/first/attempt-1/{NAMES[1]}/{STATE}", b"half")
        chosen = newest_whole(filesystem, folder)
        assert chosen.path == f"{folder}/{NAMES[0]}"
        with chosen.as_directory() as local:
            assert (Path(local) / STATE).read_bytes() == bytes(1000)
        with pytest.raises(ConfigError, match="s3://bucket are of a run with other settings: seed"):
            check_settings(filesystem, folder, {"seed": 1}, place="s3://bucket")


def test_a_run_goes_on_within_an_epoch_as_if_nothing_had_been(tiny_world, tmp_path):
    def fresh(seed: int) -> Worker:
        torch.manual_seed(seed)
        return Worker(tiny_args(tiny_world, batch_size=2, checkpoint_every=3), rank=0, world_size=1)

    whole = fresh(0)
    whole.warm_start()
    saved = []

    def save() -> None:
        saved.append(whole.place.step)
        folder = tmp_path / str(whole.place.step)
        folder.mkdir()
        whole.save(folder, epochs_done=0)

    expected = whole.run_epoch(0, None, save=save)
    assert saved == [3]
    assert (whole.steps_per_epoch, whole.optimisation.steps) == (4, 4)
    resumed = fresh(99)
    assert resumed.load(tmp_path / "3") == 0
    torch.rand(7)  # other numbers, unless the checkpoint's are laid back
    resumed.load(tmp_path / "3")
    got = resumed.run_epoch(0, None)
    assert state_hash(resumed.model.trained) == state_hash(whole.model.trained)
    assert got.pop("examples_per_second") > 0
    expected.pop("examples_per_second")
    assert got == expected


@pytest.mark.parametrize("content", ["[]", '{"settings": 3, "files": {}}', '{"settings": {}}'])
def test_a_list_of_files_of_another_form_counts_as_cut_short(attempt, content, caplog):
    (attempt / NAMES[1] / "manifest.json").write_text(content)
    filesystem, folder = storage(attempt)
    check_settings(filesystem, folder, SETTINGS, place="here")
    assert newest_whole(filesystem, folder).path.endswith(NAMES[0])
    assert "its manifest.json is missing or cut short" in caplog.text


@pytest.mark.parametrize("content", ["{cut", "{}", "[]", '{"settings": {}}'])
def test_a_run_whose_record_is_damaged_is_refused_with_what_to_do(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(ConfigError, match=r"run\.json.*; remove it, or give another --run"):
        open_run(tmp_path, SETTINGS)
