"""Preparing is tested with commands that only write a file: the jobs themselves have tests of their own."""

import json
import logging
import socket
import subprocess
import sys

import pytest

from fromage_model.storage.artefacts import SHIPPED_BUNDLES
from jobs.pipeline.config import read_pipeline
from scripts.demo import check_port
from scripts.prepare import OURS, Choice, Step, Unprepared, bundle_for, choose, pipeline_of, prepare, steps
from tests.lines import wrong


class Runner:
    """Runs nothing, and keeps what it was asked to run; exits with `codes` in turn, then 0."""

    def __init__(self, *codes):
        self.codes = list(codes)
        self.commands = []

    def run(self, command):
        self.commands.append(command)
        return self.codes.pop(0) if self.codes else 0


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "Spring Coats.tsv"
    path.write_text("image\tcaption\nred.png\ta red coat\n")
    return path


def write_bundle(home, name, *, encoder):
    """Its config alone, which is all that is read of it."""
    path = home / "bundles" / name / "bundle.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"config": {"vision_encoder": encoder}}))
    return path


def prepared(*codes, catalogue, bundle="default"):
    runner = Runner(*codes)
    prepare(runner, catalogue=catalogue, bundle=bundle)
    return [command[2] for command in runner.commands]


def test_a_feed_is_ingested_under_the_name_of_its_stem(home, feed):
    assert choose(str(feed)) == Choice("spring-coats", str(feed))


def test_a_catalogue_made_before_needs_no_source(home):
    (home / "catalogues" / "coats").mkdir(parents=True)
    titles = [step.title for step in steps(choose("coats"), bundle="default")]
    assert titles == ["weights", "features", "index"]


@pytest.mark.parametrize(("catalogue", "hybrid"), [("wardrobe", True), ("coats", True), ("openmoji", False)])
def test_all_but_what_measures_the_model_alone_is_searched_by_words_as_well(home, catalogue, hybrid):
    (home / "catalogues" / "coats").mkdir(parents=True)
    choice = choose(catalogue)
    *_, last = steps(choice, bundle="default")
    if choice.source:
        assert pipeline_of(choice, bundle="default")["index"] == ({"hybrid": "all-minilm-l6-v2"} if hybrid else {})
    else:
        assert (last.command[-2:] == ("--hybrid", "all-minilm-l6-v2")) == hybrid


@pytest.mark.parametrize("catalogue", ["nowhere.tsv", "s3://bucket/feed.tsv"])
def test_what_is_not_there_is_named_and_nothing_is_run(home, catalogue):
    with pytest.raises(Unprepared, match=catalogue):
        prepared(catalogue=catalogue)


@pytest.mark.parametrize("name", ["openmoji", "wardrobe"])
def test_a_feed_may_not_take_the_name_of_one_of_our_catalogues(home, tmp_path, name):
    assert choose(name) == Choice(name, name)
    (tmp_path / f"{name}.tsv").touch()
    with pytest.raises(Unprepared, match="rename"):
        choose(str(tmp_path / f"{name}.tsv"))


def test_each_step_is_told_with_the_command_that_does_it_alone(home, feed, caplog):
    with caplog.at_level(logging.INFO):
        prepared(catalogue=str(feed))
    first, done, second = caplog.messages[:3]
    config = home / "prepared" / "spring-coats.yaml"
    assert first == "[1/2] weights: python -m fromage_model.storage.pretrained"
    assert done.startswith("[1/2] weights: done in ")
    assert second == f"[2/2] catalogue, features and index: python -m jobs.pipeline --config {config}"
    pipeline = read_pipeline(config)
    assert (pipeline.catalogue, pipeline.index, pipeline.bundle) == ("spring-coats", "spring-coats", "default")
    assert (pipeline.stages["ingest"].source, pipeline.stages["ingest"].max_failed) == (str(feed), 1.0)


def test_each_catalogue_of_ours_has_a_bundle_that_is_shipped_and_others_the_default():
    assert bundle_for("coats") == "default"
    assert bundle_for("wardrobe", "mine") == "mine"
    assert [name for name in OURS if not (SHIPPED_BUNDLES / bundle_for(name) / "bundle.json").is_file()] == []


def test_what_can_not_be_prepared_is_one_dated_line(home):
    command = [sys.executable, "-m", "scripts.prepare", "--catalogue", "nowhere.tsv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = wrong(done.stderr)
    assert line.startswith("error: CATALOGUE=nowhere.tsv: there is no such file or folder")


def test_a_second_run_starts_nothing(home, feed):
    assert prepared(catalogue=str(feed)) == ["fromage_model.storage.pretrained", "jobs.pipeline"]
    assert prepared(catalogue=str(feed)) == []


@pytest.mark.parametrize("folder", ["catalogues", "features", "indexes"])
def test_a_changed_artefact_is_looked_at_again(home, feed, folder):
    prepared(catalogue=str(feed))
    changed = home / folder / "spring-coats"
    changed.mkdir(parents=True)
    (changed / "part.parquet").write_text("other")
    assert len(prepared(catalogue=str(feed))) == 2


def test_a_changed_feed_or_another_bundle_is_looked_at_again(home, feed):
    prepared(catalogue=str(feed))
    write_bundle(home, "mine", encoder="my-clip")
    assert len(prepared(catalogue=str(feed), bundle="mine")) == 2
    feed.write_text("image\nblue.png\n")
    assert len(prepared(catalogue=str(feed), bundle="mine")) == 2


def test_features_are_made_by_the_encoder_that_the_bundle_wants(home):
    write_bundle(home, "mine", encoder="my-clip")
    (home / "catalogues" / "coats").mkdir(parents=True)
    (features,) = (step for step in steps(choose("coats"), bundle="mine") if step.title == "features")
    assert features.command[2:] == ("jobs.embed", "--catalogue", "coats", "--encoder", "my-clip")


def test_a_bundle_in_a_folder_is_the_same_for_the_pipeline_wherever_its_file_lies(home, feed, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert pipeline_of(choose(str(feed)), bundle="mine")["bundle"] == str(tmp_path / "mine")


@pytest.mark.parametrize("said", ["", "[1]", '{"config": {}}'])
def test_a_bundle_that_is_missing_or_broken_is_named_before_anything_is_run(home, said):
    with pytest.raises(Unprepared, match="BUNDLE=mine"):
        prepared(catalogue="wardrobe", bundle="mine")
    write_bundle(home, "mine", encoder="my-clip").write_text(said)
    with pytest.raises(Unprepared, match="BUNDLE=mine"):
        prepared(catalogue="wardrobe", bundle="mine")


def test_a_failed_job_ends_preparing_with_its_exit_code_and_is_tried_again(home, feed):
    with pytest.raises(Unprepared, match="catalogue") as failure:
        prepared(0, 2, catalogue=str(feed))
    assert failure.value.code == 2
    assert len(prepared(catalogue=str(feed))) == 2


def test_every_step_runs_under_the_python_that_prepares():
    for step in steps(Choice("coats", "coats.tsv"), bundle="default"):
        assert isinstance(step, Step)
        assert step.command[:2] == (sys.executable, "-m")


def test_a_port_in_use_is_said_before_anything_is_prepared(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Unprepared, match="is in use"):
            check_port(taken.getsockname()[1])
    with pytest.raises(Unprepared, match="can't be used"):
        check_port(70_000)
