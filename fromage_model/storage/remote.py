"""URIs -> fsspec filesystems. Knows nothing of what is stored there.

`s3://` and `gs://` go through s3fs and gcsfs where these are installed, and else through pyarrow, which has clients of
its own. Both take credentials, region and endpoint from where the vendor's tools look for them (AWS_ACCESS_KEY_ID,
AWS_REGION, AWS_ENDPOINT_URL, ~/.aws; GOOGLE_APPLICATION_CREDENTIALS). A store that is silent is given up after a while:
waits that clients would draw out to a quarter of an hour and more are held to seconds or a few minutes.
"""

import os
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from typing import Any

# Stores of single files, from which a picture can be read when it is wanted. Others (http inside `simplecache::`, ssh,
# github) could reach what `catalogue/fetch.py` refuses.
STORE_SCHEMES = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory", "file", "local"))
# Scheme -> the package that serves it, and pyarrow's class that does otherwise.
STORES = {
    "s3": ("s3fs", "S3FileSystem"),
    "s3a": ("s3fs", "S3FileSystem"),
    "gs": ("gcsfs", "GcsFileSystem"),
    "gcs": ("gcsfs", "GcsFileSystem"),
}
MAX_REASON_CHARS = 400
# For so long pyarrow's GCS asks again, for credentials among others where there are none. A request without any answer
# it ends after two minutes.
GCS_RETRY_S = 10.0
# What other clients are told, which ask up to six times. Who sets the same in fsspec's own configuration is heard.
WAITS: dict[str, dict[str, Any]] = {
    "s3": {"config_kwargs": {"connect_timeout": 10, "read_timeout": 20, "retries": {"max_attempts": 0}}},
    "gs": {"requests_timeout": 20},
}


def is_store(uri: str) -> bool:
    """Whether single files of a folder at `uri` may be read when they are wanted."""
    return uri.partition("://")[0].lower() in STORE_SCHEMES and "::" not in uri


def reason(error: BaseException) -> str:
    """What went wrong with a file, in one line: stores raise their libraries' own types, at any length."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    words = " ".join(str(error).split()).partition(" error_info={")[0][:MAX_REASON_CHARS]
    words = words.encode("utf-8", "backslashreplace").decode()
    if isinstance(error, OSError | ValueError | ImportError | EOFError) and words:
        return words
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def open_filesystem(name: str) -> tuple[Any, str]:
    """The filesystem of a path or URI, and the path in it.

    Raises ImportError where a package for it is missing, ValueError for an unknown scheme.
    """
    import fsspec

    _register_stores()
    return fsspec.core.url_to_fs(name)


@cache
def _register_stores() -> None:
    import fsspec

    for scheme, (package, client) in STORES.items():
        if find_spec(package) is None:
            fsspec.register_implementation(scheme, _through_pyarrow(client), clobber=True)
    for scheme, waits in WAITS.items():
        fsspec.config.conf[scheme] = waits | fsspec.config.conf.get(scheme, {})


def _through_pyarrow(client: str) -> type:
    """A store of pyarrow's as fsspec has it. Small files go there in one request, and folders need not be made."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow import fs

    class Store(ArrowFSWrapper):
        def __init__(self, where: dict[str, Any] | None = None, **options: Any):
            super().__init__(getattr(fs, client)(**(_options_of(client) if where is None else where)), **options)

        @staticmethod
        def _get_kwargs_from_urls(path: str) -> dict[str, Any]:
            """fsspec keeps a filesystem by its arguments: one of an endpoint that was left is not given out again."""
            return {"where": _options_of(client)}

        def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
            """A part from the beginning on can't be had of a stream, which is what fsspec would open for it."""
            return super().cat_file(path, start, end, **({"seekable": (start, end) != (None, None)} | options))

        def makedirs(self, path: str, exist_ok: bool = False) -> None:
            """A store has no folders."""

    return Store


def _options_of(client: str) -> dict[str, Any]:
    """What pyarrow does not find by itself: where a store is that speaks S3 but is not Amazon's."""
    if client != "S3FileSystem":
        return {"retry_time_limit": timedelta(seconds=GCS_RETRY_S)}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    scheme, _, host = (endpoint or "").rpartition("://")
    elsewhere = {"endpoint_override": host, "scheme": scheme or "https"} if host else {}
    return {"allow_delayed_open": True, **elsewhere}
