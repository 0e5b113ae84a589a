"""The files of a folder say that they can't be reached, whatever a store raises; what is not there is no error."""

import fsspec
import pytest

from fromage_model.errors import WriteError
from jobs.common.durable import Files

REASON = "NoCredentials: unable to locate credentials"


class NoCredentials(Exception):
    """As vendors' libraries raise it: of no type that others know."""


@pytest.fixture
def files():
    files = Files("memory://files")
    yield files
    files.remove_all()


def test_what_is_not_there_is_no_error(files, tmp_path):
    for there in (files, Files(tmp_path / "absent")):
        assert (there.read("a"), there.names(), there.has("a"), there.read_all(["a"])) == (None, {}, False, {})
        there.remove("a")
        there.remove_all()


@pytest.mark.parametrize(
    "ask",
    [
        lambda files: files.read("a"),
        lambda files: files.read_all(["a"]),
        lambda files: files.has("a"),
        lambda files: files.names(),
        lambda files: files.remove("a"),
        lambda files: files.remove_all(),
        lambda files: files.write("a", b""),
        lambda files: files.make(),
    ],
)
def test_a_store_that_fails_is_named_whatever_it_raises(files, monkeypatch, ask):
    def fail(*args, **options):
        raise NoCredentials("unable to locate credentials")

    with monkeypatch.context() as failing:
        for name in ("info", "ls", "cat_file", "rm_file", "pipe_file", "makedirs"):
            failing.setattr(type(fsspec.filesystem("memory")), name, fail)
        with pytest.raises(WriteError, match=f"files.* can't be (read|written|removed): {REASON}"):
            ask(files)


def test_a_folder_that_may_not_be_looked_into_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(WriteError, match="/a can't be read: Is a directory"):
        Files(tmp_path).read("a")
