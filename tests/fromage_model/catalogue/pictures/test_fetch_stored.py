"""Pictures come from files and object stores within limits, whatever those say of themselves."""

import os
from collections.abc import Iterator

import fsspec
import pytest

from fromage_model.catalogue.pictures.addresses import AddressError
from fromage_model.catalogue.pictures.fetch import Fetcher, FetchLimits


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
