"""A folder on a local disk or behind fsspec, whose files are whole or not there. Knows nothing of what is in them."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fromage_model.errors import ConfigError, FromageError, WriteError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.remote import open_filesystem, reason

PARTIAL = ".partial"
# Stores in which an object is there whole or not at all: what is written there needs no other name first.
WHOLE = frozenset(("s3", "s3a", "gs", "gcs", "abfs", "az", "memory"))


class Files:
    """The files of one folder by name. Every method raises WriteError where the target can't be written or read."""

    def __init__(self, root: str | Path):
        """`root` is a local path, or a URI such as s3://bucket/folder or file:///data/folder.

        Raises ConfigError for a URI that nothing here can open.
        """
        self.root = str(root).rstrip("/") if is_uri(root) else str(Path(root).expanduser().resolve())
        try:
            self._fs, self._folder = open_filesystem(self.root)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"{self.root} can't be reached: {error}") from error
        self.is_local = "file" in _protocols(self._fs)
        self._whole = not WHOLE.isdisjoint(_protocols(self._fs))

    def make(self) -> None:
        with self._writing():
            self._fs.makedirs(self._folder, exist_ok=True)

    def write(self, name: str, data: bytes | memoryview, *, sync: bool = True) -> None:
        """Under a temporary name, fsynced where that is possible, and renamed when whole.

        Without `sync` the file outlives the process, but perhaps not the machine.
        """
        final, partial = self._path(name), self._path(f".{name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
        with self._writing(name):
            if self.is_local:
                _write_local(final, partial, data, sync=sync)
            elif self._whole:
                self._fs.pipe_file(final, bytes(data))
            else:
                self._fs.pipe_file(partial, bytes(data))
                self._fs.mv(partial, final)

    def put(self, name: str, path: Path) -> None:
        """The content of a local file, whatever its size, whole or not at all."""
        final, partial = self._path(name), self._path(f".{name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
        with self._writing(name):
            self._fs.put_file(str(path), final if self._whole else partial)
            if not self._whole:
                self._fs.mv(partial, final)

    def read(self, name: str) -> bytes | None:
        """The bytes of a file, or None where there is none of that name."""
        with self._reading(name):
            return self._fs.cat_file(self._path(name))
        return None

    def read_all(self, names: list[str]) -> dict[str, bytes]:
        """The bytes of many small files at once; those that are gone are missing."""
        # Not `cat`, which takes a name such as shop[1] for a pattern.
        found = self._fs.cat_ranges([self._path(name) for name in names], None, None, on_error="return")
        there = {}
        for name, data in zip(names, found, strict=True):
            with self._reading(name):
                if isinstance(data, Exception):
                    raise data
                there[name] = data
        return there

    def open(self, name: str) -> BinaryIO:
        """Raises FileNotFoundError where there is none of that name."""
        return self._fs.open(self._path(name), "rb")

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """A file to be written piece by piece, there under its name when the block ends well."""
        final, partial = self._path(name), self._path(f".{name}.{uuid.uuid4().hex[:12]}{PARTIAL}")
        with self._writing(name):
            try:
                with self._fs.open(partial, "wb") as file:
                    yield file
                    if self.is_local:
                        file.flush()
                        os.fsync(file.fileno())
                self._fs.mv(partial, final)
            except BaseException:
                with suppress(OSError):
                    self._fs.rm_file(partial)
                raise

    def has(self, name: str = "") -> bool:
        """Whether there is a file of that name; without one, whether there is the folder."""
        with self._reading(name):
            return bool(self._fs.info(self._path(name)))
        return False

    def names(self) -> dict[str, int]:
        """The files that are there, with their sizes in bytes; half-written ones are left out."""
        entries = []
        with self._reading():
            entries = self._fs.ls(self._folder, detail=True, refresh=True)
        files = {_last(entry["name"]): int(entry["size"] or 0) for entry in entries if entry["type"] == "file"}
        return {name: size for name, size in files.items() if not name.endswith(PARTIAL)}

    def remove(self, name: str) -> None:
        """It may be gone already."""
        with self._telling(f"{self.root}/{name} can't be removed"), suppress(FileNotFoundError, NotADirectoryError):
            self._fs.rm_file(self._path(name))

    def remove_all(self) -> None:
        """The folder and all that is in it."""
        if self.has():
            with self._telling(f"{self.root} can't be removed"):
                self._fs.rm(self._folder, recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}" if name else self._folder

    @contextmanager
    def _reading(self, name: str = "") -> Iterator[None]:
        """Where there is nothing of that name, the block ends."""
        told = self._telling(f"{self.root}/{name}".rstrip("/") + " can't be read")
        with told, suppress(FileNotFoundError, NotADirectoryError):
            yield

    @contextmanager
    def _writing(self, name: str = "") -> Iterator[None]:
        with self._telling(f"{self.root}/{name}".rstrip("/") + " can't be written"):
            yield

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """What a store raises may be of any type; on this machine an OSError alone tells of the disk."""
        try:
            yield
        except Exception as error:
            if isinstance(error, FromageError) or (self.is_local and not isinstance(error, OSError)):
                raise
            raise WriteError(f"{what}: {reason(error)}") from error


def _write_local(final: str, partial: str, data: bytes | memoryview, *, sync: bool) -> None:
    try:
        with open(partial, "wb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(partial, final)
    except OSError:
        Path(partial).unlink(missing_ok=True)
        raise
    if sync:
        folder = os.open(os.path.dirname(final), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
