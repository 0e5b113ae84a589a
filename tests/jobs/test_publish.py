"""An artefact at a URI is there with its marker last, and nothing else is overwritten."""

import fsspec
import pytest

from fromage_model.errors import ConfigError
from jobs.durable.publish import check_target, publishing, read_marker, target


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
