"""Artefacts open by name, folder or URI, and are replaced whole or not at all."""

import hashlib
import shutil

import pytest
from fsspec.implementations.local import LocalFileSystem

from fromage_model.errors import MissingArtefact
from fromage_model.storage import artefacts
from fromage_model.storage.artefacts import file_sha256, home, locate, place, writing


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_home_follows_the_environment_and_defaults_to_the_cache(tmp_path, monkeypatch):
    assert home() == tmp_path / "home"
    monkeypatch.delenv("FROMAGE_HOME")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(home()) == "/somewhere/.cache/fromage"


@pytest.mark.parametrize(
    ("kind", "folder"),
    [("bundle", "bundles"), ("catalogue", "catalogues"), ("features", "features"), ("index", "indexes")],
)
def test_each_kind_opens_by_name_under_home(kind, folder):
    expected = home() / folder / "shoes"
    expected.mkdir(parents=True)
    assert locate(kind, "shoes") == expected == place(kind, "shoes")


def test_a_shipped_bundle_wins_over_one_of_the_same_name(tmp_path, monkeypatch):
    monkeypatch.setattr(artefacts, "SHIPPED_BUNDLES", tmp_path / "shipped")
    (tmp_path / "shipped" / "default").mkdir(parents=True)
    (home() / "bundles" / "default").mkdir(parents=True)
    assert locate("bundle", "default") == tmp_path / "shipped" / "default"


def test_a_folder_opens_by_path_and_by_its_bare_name(tmp_path):
    (tmp_path / "mine").mkdir()
    assert locate("index", tmp_path / "mine") == tmp_path / "mine"
    assert locate("index", "./mine").resolve() == tmp_path / "mine"
    assert locate("index", "mine").resolve() == tmp_path / "mine"


def test_a_missing_artefact_is_named_with_the_place_and_the_command():
    with pytest.raises(MissingArtefact) as caught:
        locate("features", "absent")
    for part in ("features", "'absent'", str(home() / "features" / "absent"), "python -m jobs.embed"):
        assert part in str(caught.value)


def test_a_uri_opens_as_a_folder_copied_when_it_has_changed(tmp_path):
    remote = tmp_path / "remote"
    (remote / "captions").mkdir(parents=True)
    (remote / "captions" / "b.txt").write_bytes(b"b")
    (remote / "a.bin").write_bytes(b"a")
    uri = f"file://{remote}"
    folder = locate("catalogue", uri)
    assert (folder / "captions" / "b.txt").read_bytes() == b"b"
    (folder / "a.bin").write_bytes(b"of the copy")
    assert (locate("catalogue", f"{uri}/") / "a.bin").read_bytes() == b"of the copy"
    (remote / "a.bin").write_bytes(b"changed")
    assert (locate("catalogue", uri) / "a.bin").read_bytes() == b"changed"
    shutil.rmtree(remote)
    with pytest.raises(MissingArtefact, match="no catalogue"):
        locate("catalogue", uri)


def test_the_pictures_of_a_catalogue_stay_where_they_are(tmp_path):
    (tmp_path / "remote" / "images").mkdir(parents=True)
    (tmp_path / "remote" / "images" / "a.png").write_bytes(b"a")
    (tmp_path / "remote" / "catalogue.json").write_text("{}")
    assert [path.name for path in locate("catalogue", f"file://{tmp_path}/remote").glob("[a-z]*")] == ["catalogue.json"]


def test_a_store_that_does_not_answer_leaves_the_copy(tmp_path, monkeypatch, caplog):
    (tmp_path / "remote").mkdir()
    (tmp_path / "remote" / "a.bin").write_bytes(b"a")
    folder = locate("index", f"file://{tmp_path}/remote")

    def down(self, *args, **options):
        raise TimeoutError("timed out")

    monkeypatch.setattr(LocalFileSystem, "ls", down)
    assert locate("index", f"file://{tmp_path}/remote") == folder
    assert "does not answer (timed out); going on with the copy" in caplog.text
    with pytest.raises(MissingArtefact, match=r"other could not be fetched: timed out"):
        locate("index", f"file://{tmp_path}/other")


@pytest.mark.parametrize("uri", ["file:///nowhere/at/all", "nosuchscheme://bucket/x"])
def test_a_uri_that_can_not_be_fetched_is_a_missing_artefact_and_leaves_nothing(uri):
    with pytest.raises(MissingArtefact, match="catalogue"):
        locate("catalogue", uri)
    assert not list((home() / "remote").glob("*")) if (home() / "remote").exists() else True


def test_a_uri_is_no_place_to_write():
    with pytest.raises(MissingArtefact, match="s3://bucket/x"):
        place("catalogue", "s3://bucket/x")


def test_writing_replaces_the_whole_folder(tmp_path):
    target = tmp_path / "deep" / "catalogue"
    with writing(target) as scratch:
        (scratch / "old").write_text("1")
        assert not target.exists()
    with writing(target) as scratch:
        (scratch / "new").write_text("2")
        assert (target / "old").exists()
    assert [path.name for path in target.iterdir()] == ["new"]
    assert [path.name for path in target.parent.iterdir()] == ["catalogue"]


def test_writing_that_fails_leaves_what_was_there_and_nothing_else(tmp_path):
    target = tmp_path / "catalogue"
    target.mkdir()
    (target / "old").write_text("1")

    def half_a_job():
        with writing(target) as scratch:
            (scratch / "new").write_text("2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half_a_job()
    assert [path.name for path in target.iterdir()] == ["old"]
    assert [path.name for path in tmp_path.iterdir()] == ["catalogue"]


def test_file_sha256_is_the_hash_of_the_bytes(tmp_path):
    data = b"x" * (artefacts.READ_SIZE_BYTES + 1)
    (tmp_path / "file").write_bytes(data)
    assert file_sha256(tmp_path / "file") == hashlib.sha256(data).hexdigest()
