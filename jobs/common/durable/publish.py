"""Where a finished artefact goes: a local folder, replaced in one step, or a URI, uploaded with its marker last.

Knows nothing of what is in it.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fromage_model.errors import ConfigError, WriteError
from fromage_model.storage.artefacts import Kind, check_replaceable, is_uri, place, writing
from jobs.common.durable.files import Files


def target(kind: Kind, name: str) -> Path | str:
    """The folder or the URI that a job writes for `name`."""
    return name.rstrip("/") if is_uri(name) else place(kind, name)


def check_target(place: Path | str, *, marker: str) -> None:
    """Raises ConfigError where something stands there, but not the file `marker`; WriteError where it can't be read."""
    if not isinstance(place, str):
        check_replaceable(place, marker=marker)
        return
    names = Files(place).names()
    if names and marker not in names:
        raise ConfigError(f"{place} holds something else (no {marker} in it) and is not replaced; choose another place")


def read_marker(place: Path | str, marker: str) -> bytes | None:
    """The bytes of the file that says what the artefact is, or None where there is none."""
    return Files(place).read(marker) if isinstance(place, str) or Path(place).is_dir() else None


@contextmanager
def publishing(place: Path | str, *, marker: str) -> Iterator[Path]:
    """A folder to write into, put in its place when the block ends well.

    A local folder is replaced in one step (`artefacts.writing`). At a URI the marker is taken away first and comes
    last, so that a reader finds all of the old artefact, all of the new one, or none; folders that are there and not
    written stay. Raises ConfigError, WriteError.
    """
    if not isinstance(place, str):
        with _told_where(place), writing(place, marker=marker) as scratch:
            yield scratch
        return
    check_target(place, marker=marker)
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        Files(place).remove(marker)
        _upload(Path(folder), place, last=marker)


@contextmanager
def placing(out: str, *, last: str = "") -> Iterator[Path]:
    """Where to write a file or a folder `out`: there itself, or for a URI here, uploaded when the block ends well.

    Of a folder the file `last` comes last, and says whether what is there may be replaced. Raises ConfigError,
    WriteError.
    """
    if not is_uri(out):
        with _told_where(out):
            yield Path(out).expanduser()
        return
    if last:
        check_target(out, marker=last)
    folder, _, name = out.rstrip("/").rpartition("/")
    with tempfile.TemporaryDirectory() as scratch:
        written = Path(scratch, name)
        yield written
        if written.is_dir():
            _upload(written, f"{folder}/{name}", last=last)
        else:
            files = Files(folder)
            files.make()
            files.put(name, written)


def write_json(out: str | Path, content: Any) -> None:
    """A file or URI, whole or not at all. Raises WriteError."""
    with placing(str(out)) as path:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        partial.replace(path)


@contextmanager
def _told_where(place: Path | str) -> Iterator[None]:
    """A full disk, a folder without permission: nobody who reads of them wants a traceback."""
    try:
        yield
    except OSError as error:
        raise WriteError(f"{place} can't be written: {error.strerror or error}") from error


def _upload(folder: Path, uri: str, *, last: str = "") -> None:
    """A folder and those in it, in place of the files that are there."""
    files = Files(uri)
    files.make()
    inside = sorted(folder.iterdir())
    for path in inside:
        if path.is_dir():
            _upload(path, f"{uri}/{path.name}")
    written = sorted((path for path in inside if path.is_file()), key=lambda path: path.name == last)
    for path in written:
        files.put(path.name, path)
    for stale in set(files.names()) - {path.name for path in written}:
        files.remove(stale)
