"""Where a finished artefact goes: a local folder, replaced in one step, or a URI, uploaded with its marker last.

Knows nothing of what is in it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fromage_model.artefacts import Kind, check_replaceable, is_uri, place, writing
from fromage_model.errors import ConfigError
from jobs.durable.files import Files


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
    last, so that a reader finds all of the old artefact, all of the new one, or none. Raises ConfigError, WriteError.
    """
    if not isinstance(place, str):
        with writing(place, marker=marker) as scratch:
            yield scratch
        return
    check_target(place, marker=marker)
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)
        files = Files(place)
        files.make()
        written = sorted(path for path in Path(folder).iterdir() if path.is_file())
        files.remove(marker)
        for path in sorted(written, key=lambda path: path.name == marker):
            files.write(path.name, path.read_bytes())
        for stale in set(files.names()) - {path.name for path in written}:
            files.remove(stale)
