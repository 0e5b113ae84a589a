"""A store that does not answer is given up after a while, and said to be what it is."""

import time
from collections.abc import Iterator

import fsspec
import pytest

from fromage_model.catalogue.pictures.fetch import Fetcher, FetchLimits
from fromage_model.errors import MissingArtefact
from fromage_model.storage import remote
from fromage_model.storage.artefacts import locate
from tests.raw_server import answer, open_raw_server
from tests.s3_server import open_store


@pytest.fixture
def no_credentials(monkeypatch, tmp_path) -> Iterator[None]:
    """Google's client asks the machine that it runs on for credentials, and gets none, again and again."""
    with open_raw_server() as server:
        server.refuses_others = True
        server.answers = {
            "/computeMetadata/v1/instance/service-accounts/default/": answer(status=b"503 Busy"),
            "/computeMetadata/v1/instance/service-accounts/default/token": answer(status=b"503 Busy"),
        }
        monkeypatch.setenv("GCE_METADATA_ROOT", server.url.removeprefix("http://"))
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
        monkeypatch.setattr(remote, "GCS_RETRY_S", 0.5)
        remote.open_filesystem("gs://bucket")
        store = fsspec.get_filesystem_class("gs")
        store.clear_instance_cache()
        yield
        store.clear_instance_cache()


def test_gs_without_credentials_ends_with_that_reason(no_credentials):
    start_s = time.monotonic()
    found = Fetcher(limits=FetchLimits(total_s=100)).fetch("gs://bucket/a.png")
    assert "Could not create a OAuth2 access token" in str(found.error)
    assert "error_info" not in str(found.error)
    with pytest.raises(MissingArtefact, match=r"gs://bucket/a could not be fetched: .*OAuth2 access token"):
        locate("bundle", "gs://bucket/a")
    # By itself the client goes on for a quarter of an hour.
    assert time.monotonic() - start_s < 200


def test_clients_of_other_packages_are_told_how_long_to_wait_unless_the_user_says_so():
    remote.open_filesystem("memory://a")

    class Client:
        protocol = ("s3", "s3a")

    asked = fsspec.config.apply_config(Client, {})
    assert asked["config_kwargs"] == remote.WAITS["s3"]["config_kwargs"]
    assert fsspec.config.apply_config(Client, {"config_kwargs": {}})["config_kwargs"] == {}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(28, "No space left on device", "/a"), "No space left on device"),
        (OSError("Status(UNAVAILABLE: no\nroute error_info={a=b})"), "Status(UNAVAILABLE: no route"),
        (ValueError("embedded null byte"), "embedded null byte"),
        (KeyError("token"), "KeyError: 'token'"),
        (TimeoutError(), "TimeoutError"),
        (RuntimeError("caf\udce9"), r"RuntimeError: caf\udce9"),
    ],
)  # fmt: skip
def test_a_reason_is_one_line_that_can_be_written_down(error, told):
    assert remote.reason(error) == told


def test_a_filesystem_is_of_the_endpoint_that_is_set_when_it_is_opened(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "something")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for content in (b"first", b"second"):
        with open_store() as store:
            store.put("bucket/where.txt", content)
            monkeypatch.setenv("AWS_ENDPOINT_URL", store.url)
            files, path = remote.open_filesystem("s3://bucket/where.txt")
            again, _ = remote.open_filesystem("s3://bucket/where.txt")
            assert files.cat_file(path) == content
            assert again is files
