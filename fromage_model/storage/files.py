"""Files wherever fsspec reaches: local, s3, gs and their kind. Knows nothing of what is in them.

`http://` is not read here: pictures behind URLs have limits of their own, in `fetch.py`.
"""

import io
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urljoin

from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.remote import open_filesystem, reason

WEB_SCHEMES = frozenset(("http", "https"))
LOCAL_SCHEMES = frozenset(("", "file", "local"))
DATA_SCHEME = re.compile(r"\s*data:", re.IGNORECASE)


def is_data_url(text: str) -> bool:
    """Whether the picture itself stands in `text`, or is meant to."""
    return DATA_SCHEME.match(text) is not None


def scheme_of(name: str) -> str:
    """`s3` of `s3://bucket/a.png`, empty for a plain path."""
    return name.partition("://")[0].lower() if is_uri(name) else ""


def is_local(name: str) -> bool:
    """Whether it is a path of this machine, as such or as a URI."""
    return scheme_of(name) in LOCAL_SCHEMES


def local_path(name: str) -> str:
    """The path of a local file that may be given as a URI."""
    return filesystem(name)[1] if is_uri(name) else name


def beside(base: str, name: str) -> str:
    """A name as a file at `base` gives it: a URL or whole path stays as it is, others are relative to its folder."""
    if is_uri(name):
        return name
    scheme = scheme_of(base)
    if scheme in WEB_SCHEMES:
        return urljoin(base, name)
    if scheme:
        return f"{base.rpartition('/')[0]}/{name.lstrip('/')}"
    return str(Path(base).parent.resolve() / name)


def stem_of(name: str) -> str:
    """The name of a file or folder without its endings `.tsv`, `.csv.gz`: what a catalogue made from it is called."""
    last = posixpath.basename(name.rstrip("/")) if is_uri(name) else Path(name).expanduser().resolve().name
    stem = Path(last).stem
    return Path(stem).stem if Path(last).suffix in (".gz", ".bz2", ".xz", ".zst") else stem


def filesystem(name: str) -> tuple[Any, str]:
    """The fsspec filesystem of a path or URI, and the path in it. Raises CatalogueError, e.g. where s3fs is missing."""
    try:
        return open_filesystem(name if is_uri(name) else str(Path(name).expanduser()))
    except (ImportError, ValueError) as error:
        raise CatalogueError(f"{name} can't be reached: {error}") from error


def type_of(name: str) -> str | None:
    """`file` or `directory`, or None where nothing is there. Raises CatalogueError where that can't be found out.

    What fsspec's own `isdir` and `isfile` can't find out they take for a no.
    """
    files, path = filesystem(name)
    with explained(name):
        try:
            return files.info(path)["type"]
        except (FileNotFoundError, NotADirectoryError):
            return None


@contextmanager
def reading(name: str) -> Iterator[IO[bytes]]:
    """An open file. Raises CatalogueError with the reason where there is none."""
    files, path = filesystem(name)
    with explained(name), files.open(path, "rb") as file:
        yield file


def read_bytes(name: str) -> bytes:
    """A whole file, unpacked where its name ends in .gz, .bz2 or .xz. Raises CatalogueError."""
    import fsspec

    with reading(name) as file, explained(name):
        compression = fsspec.utils.infer_compression(name)
        if compression is None:
            return file.read()
        with fsspec.compression.compr[compression](io.BytesIO(file.read()), mode="rb") as unpacked:
            return unpacked.read()


def read_at_most(name: str, max_bytes: int) -> bytes:
    """A whole file as it is, where it is no larger, whatever it says of its size. A local one is no device or pipe.

    Raises CatalogueError, OSError, ValueError, or what the library of a store raises.
    """
    if is_local(name):
        path = local_path(name)
        found = os.stat(path)
        if not stat.S_ISREG(found.st_mode):
            raise CatalogueError("not a file")
        _refuse_larger(found.st_size, max_bytes)
        with open(path, "rb") as file:
            data = file.read(max_bytes + 1)
    else:
        files, path = filesystem(name)
        size_bytes = files.info(path).get("size")
        _refuse_larger(size_bytes or 0, max_bytes)
        # Stores answer a request for a part of nothing with an error.
        data = b"" if size_bytes == 0 else files.cat_file(path, start=0, end=max_bytes + 1)
    _refuse_larger(len(data), max_bytes)
    return data


def too_large(size_bytes: int, max_bytes: int) -> str:
    """Why a file is not read, or not to its end."""
    return f"{size_bytes:,} bytes or more, at most {max_bytes:,} are read"


def stamp(name: str) -> str:
    """What changes when a file does: its size, and its time of change or the store's tag. Raises CatalogueError."""
    files, path = filesystem(name)
    with explained(name):
        return stamp_of(files.info(path))


def stamp_of(info: dict[str, Any]) -> str:
    """`stamp` of what fsspec's `info` or `find(detail=True)` gave."""
    changed = [info.get(key) for key in ("mtime", "ETag", "etag", "md5Hash", "LastModified", "updated", "created")]
    return f"{info.get('size')} {next((str(value) for value in changed if value), '')}"


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turns what storage raises into a CatalogueError that names the file."""
    try:
        yield
    except CatalogueError:
        raise
    except FileNotFoundError as error:
        raise CatalogueError(f"{name} is not there") from error
    except Exception as error:  # stores raise their libraries' own types: no credentials, no bucket
        raise CatalogueError(f"{name} can't be read: {reason(error)}") from error


def _refuse_larger(size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        raise CatalogueError(too_large(size_bytes, max_bytes))
