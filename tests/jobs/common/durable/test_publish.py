"""An artefact at a URI is there with its marker last, and nothing else is overwritten."""

import subprocess
import sys

import fsspec
import pytest

from fromage_model.errors import ConfigError, WriteError
from jobs.common.durable.publish import check_target, publishing, read_marker, target, write_json


@pytest.fixture
def uri():
    yield "memory://shop/features"
    fsspec.filesystem("memory").rm("/shop", recursive=True)


def publish(uri: str, **files: str) -> None:
    with publishing(uri, marker="info") as scratch:
        for name, text in files.items():
            (scratch / name).write_text(text)


def test_files_of_before_that_are_no_more_are_removed(uri):
    publish(uri, info="first", a="1", b="2")
    publish(uri, info="second", a="3")
    found = fsspec.filesystem("memory").ls("/shop/features", detail=False)
    assert sorted(path.rpartition("/")[2] for path in found) == ["a", "info"]
    assert read_marker(uri, "info") == b"second"
    assert fsspec.filesystem("memory").cat_file("/shop/features/a") == b"3"


def test_what_goes_wrong_while_writing_leaves_what_was_there(uri):
    publish(uri, info="first", a="1")
    with pytest.raises(TypeError):
        publish(uri, info="second", a=None)
    assert read_marker(uri, "info") == b"first"


def test_a_place_that_holds_something_else_is_left_alone(uri):
    publish(uri, info="first", a="1")
    with pytest.raises(ConfigError, match="no marker in it"):
        check_target(uri, marker="marker")
    check_target("memory://shop/empty", marker="marker")


def test_a_name_is_a_folder_at_home_and_a_uri_stays_one(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path))
    assert target("features", "shop") == tmp_path / "features" / "shop"
    assert target("features", "s3://bucket/shop/") == "s3://bucket/shop"
    assert read_marker(tmp_path / "absent", "info") is None


@pytest.mark.parametrize("place", ["file/features", "file/deep/features"])
def test_a_place_that_can_not_be_written_is_named(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WriteError, match=rf"{place} can't be written: (Not a directory|File exists)"):
        with_nothing(publishing(tmp_path / place, marker="info"))
    with pytest.raises(WriteError, match=rf"{place}\.json can't be written: (Not a directory|File exists)"):
        write_json(tmp_path / f"{place}.json", {})


def with_nothing(context) -> None:
    with context:
        pass


def test_a_disk_that_fills_up_while_an_artefact_is_written_leaves_what_was_there(tmp_path):
    program = (
        "import resource, signal, sys; from pathlib import Path; from jobs.common.durable.publish import publishing\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (999, 999))\n"
        "with publishing(Path(sys.argv[1]), marker='info') as scratch: (scratch / 'info').write_bytes(bytes(1000))"
    )
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "info").write_text("before")
    command = [sys.executable, "-c", program, str(tmp_path / "features")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert f"WriteError: {tmp_path}/features can't be written: File too large" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["features"]
    assert (tmp_path / "features" / "info").read_text() == "before"
