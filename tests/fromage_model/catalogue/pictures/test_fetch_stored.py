"""Pictures come from files and object stores within limits, whatever those say of themselves."""

import os
import threading
from collections.abc import Iterator

import fsspec
import pytest

from fromage_model.catalogue.pictures.addresses import AddressError
from fromage_model.catalogue.pictures.fetch import Fetched, Fetcher, FetchLimits, Wanted


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    fetcher = Fetcher(limits=FetchLimits(max_bytes=1000), allow_private=True)
    yield fetcher
    fetcher.close()


def test_a_picture_comes_from_a_file(tmp_path, fetcher):
    (tmp_path / "a.png").write_bytes(b"picture")
    assert fetcher.fetch(str(tmp_path / "a.png")).data == b"picture"


def test_what_is_no_readable_file_is_an_error_with_its_reason(tmp_path, fetcher):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 1001)
    for path, reason in [
        (tmp_path / "absent", "No such file"),
        (tmp_path, "not a file"),
        (tmp_path / "pipe", "not a file"),
        (tmp_path / "large", "1,001 bytes"),
        ("nul\0byte", "null byte"),
    ]:
        found = fetcher.fetch(str(path))
        assert found.data is None
        assert reason in str(found.error)


def test_a_picture_comes_from_an_object_store(fetcher):
    fsspec.filesystem("memory").pipe({"/shop/a.png": b"picture", "/shop/large": b"x" * 1001})
    assert fetcher.fetch("memory://shop/a.png").data == b"picture"
    assert "1,001 bytes" in str(fetcher.fetch("memory://shop/large").error)
    assert "can't be read" in str(fetcher.fetch("memory://shop/absent").error)


@pytest.mark.parametrize("scheme", ["file", "local"])
def test_a_local_uri_leads_to_files_alone_and_within_the_limit(tmp_path, fetcher, scheme):
    (tmp_path / "a.png").write_bytes(b"picture")
    (tmp_path / "large").write_bytes(b"x" * 1001)
    os.mkfifo(tmp_path / "pipe")
    assert fetcher.fetch(f"{scheme}://{tmp_path}/a.png").data == b"picture"
    for path, reason in [
        (tmp_path / "large", "1,001 bytes"),
        (tmp_path / "pipe", "not a file"),
        (tmp_path / "absent", "No such file"),
        ("/dev/zero", "not a file"),
    ]:
        found = fetcher.fetch(f"{scheme}://{path}")
        assert found.data is None
        assert reason in str(found.error)


def test_what_does_not_say_its_size_is_read_up_to_the_limit(monkeypatch, fetcher):
    """The kernel's files say that they hold nothing, and a store may not say how much an object holds."""
    assert "1,001 bytes or more, at most 1,000" in str(fetcher.fetch("/proc/self/maps").error)
    store = fsspec.filesystem("memory")
    store.pipe({"/shop/huge": b"x" * 100_000, "/shop/small": b"picture", "/shop/empty": b""})
    assert fetcher.fetch("memory://shop/empty").data == b""
    read = []
    monkeypatch.setattr(type(store), "info", lambda self, path, **kwargs: {"name": path, "type": "file"})
    cat_file = type(store).cat_file

    def note(self, path, **kwargs):
        read.append(cat_file(self, path, **kwargs))
        return read[-1]

    monkeypatch.setattr(type(store), "cat_file", note)
    assert fetcher.fetch("memory://shop/small").data == b"picture"
    assert "1,001 bytes or more, at most 1,000" in str(fetcher.fetch("memory://shop/huge").error)
    assert [len(data) for data in read] == [7, 1001]


@pytest.mark.parametrize(
    "image", ["simplecache::http://127.0.0.1/a", "memory://a::http://127.0.0.1/a", "sftp://10.0.0.1/a"]
)
def test_no_store_leads_around_the_rules_for_urls(fetcher, image):
    found = fetcher.fetch(image)
    assert found.data is None
    assert isinstance(found.error, AddressError)


def test_a_store_that_is_silent_is_left_when_time_is_up_and_keeps_nothing_else_waiting(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"picture")
    awake = threading.Event()
    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", lambda self, path, **options: awake.wait(60) and {})
    fetcher = Fetcher(limits=FetchLimits(total_s=0.3, per_host=2, at_once=3), threads=1)
    ended: list[str] = []

    def note(number: int, found: Fetched | None) -> None:
        ended.append(str(found.error or found.data))

    fetcher.each([*[Wanted(f"memory://shop/{number}") for number in range(5)], Wanted(str(tmp_path / "a.png"))], note)
    awake.set()
    assert ended == ["b'picture'", *["no answer in time: 0.3 s went by"] * 5]


def test_a_store_that_fails_may_answer_later_and_one_without_the_picture_will_not(monkeypatch, fetcher):
    class NoCredentials(Exception):
        """As vendors' libraries raise it: of no type that others know."""

    def info(self, path, **options):
        raise FileNotFoundError(path) if "absent" in path else NoCredentials("unable to\nlocate credentials")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", info)
    absent, failed = (fetcher.fetch(f"memory://shop/{name}").error for name in ("absent", "a.png"))
    assert (type(absent).__name__, type(failed).__name__) == ("FetchError", "Unreachable")
    assert str(failed) == "the store failed: NoCredentials: unable to locate credentials"
