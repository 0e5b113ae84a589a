"""Where artefacts live, and how one is written whole or not at all. Knows nothing of what is inside them.

An artefact is a folder: a bundle, a catalogue, features or an index. It opens by the name of a known one, by folder, or
by fsspec URI.
"""

import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from fromage_model.errors import ConfigError, FromageError, MissingArtefact

Kind = Literal["bundle", "catalogue", "features", "index"]

FOLDERS: dict[Kind, str] = {
    "bundle": "bundles",
    "catalogue": "catalogues",
    "features": "features",
    "index": "indexes",
}
COMMANDS: dict[Kind, str] = {
    "bundle": "python -m jobs.finetune",
    "catalogue": "python -m jobs.ingest",
    "features": "python -m jobs.embed",
    "index": "python -m jobs.index",
}
# What of an artefact in a store is read from there when it is wanted: a million pictures, of which one is shown.
LEFT_BEHIND: dict[Kind, tuple[str, ...]] = {"catalogue": ("images",)}
STATE_FILE = ".fetched.json"
SHIPPED_BUNDLES = Path(__file__).parents[1] / "bundles"
READ_SIZE_BYTES = 1 << 20

log = logging.getLogger(__name__)


def home() -> Path:
    """The folder of everything downloaded or made: `$FROMAGE_HOME`, by default `~/.cache/fromage`."""
    return Path(os.environ.get("FROMAGE_HOME") or "~/.cache/fromage").expanduser()


def is_uri(name: str | Path) -> bool:
    """Whether `name` is an fsspec URI, `scheme://...`."""
    return "://" in str(name)


def place(kind: Kind, name: str | Path) -> Path:
    """The folder that a job writes for `name`: a bare name goes under `home()`, anything else is a path."""
    _check_name(kind, name)
    if is_uri(name):
        raise MissingArtefact(f"{name}: a {kind} is written here to a local folder or under a name, not to a URI")
    return Path(name).expanduser() if _is_path(name) else home() / FOLDERS[kind] / str(name)


def locate(kind: Kind, name: str | Path) -> Path:
    """The local folder of an existing artefact, given its name, its folder, or a URI (downloaded when it has changed).

    A name is looked for among the shipped bundles, then under `home()`, then as a folder of the working directory. The
    pictures of a catalogue in a store stay there.
    Raises MissingArtefact, which says what was looked for, where, and the command that makes it, and ConfigError for
    what is no name.
    """
    _check_name(kind, name)
    if is_uri(name):
        return _download(kind, str(name))
    candidates: list[Path] = []
    try:
        if _is_path(name):
            candidates = [Path(name).expanduser()]
        else:
            shipped = [SHIPPED_BUNDLES / str(name)] if kind == "bundle" else []
            candidates = [*shipped, place(kind, name), Path(name)]
        for folder in candidates:
            if folder.is_dir():
                return folder
    except (OSError, RuntimeError) as error:  # a folder that may not be looked into, a name too long, no such user
        raise MissingArtefact(f"no {kind} {str(name)!r:.200}: {getattr(error, 'strerror', None) or error}") from error
    raise _missing(kind, name, candidates)


@contextmanager
def writing(path: Path | str, *, marker: str | None = None) -> Iterator[Path]:
    """A temporary folder beside `path`, put in its place when the block ends well and removed when it does not.

    A reader sees the old folder or the new one, never half of either. With `marker`, a folder that holds something is
    replaced only if that file is in it: a mistyped path must not cost someone their pictures. Raises ConfigError.
    """
    path = Path(path)
    if marker is not None:
        check_replaceable(path, marker=marker)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".writing", dir=path.parent))
    try:
        scratch.chmod(0o755)
        yield scratch
        _replace(path, scratch)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Where to write beside `path`: put in its place when the block ends well, and removed when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        scratch = Path(folder) / path.name
        yield scratch
        scratch.replace(path)


def check_replaceable(path: Path | str, *, marker: str) -> None:
    """Raises ConfigError where `path` holds something, but not the file `marker`."""
    if not _replaceable(Path(path), marker):
        raise ConfigError(f"{path} holds something else (no {marker} in it) and is not replaced; choose another place")


def file_sha256(path: Path | str) -> str:
    """The sha256 of a file's bytes, as 64 hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(READ_SIZE_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _check_name(kind: Kind, name: Any) -> None:
    if not isinstance(name, str | Path):
        raise ConfigError(f"expected the name, folder or URI of a {kind}, got {type(name).__name__} {name!r:.80}")
    if not str(name).strip():
        raise ConfigError(f"the name of a {kind} is empty; expected a name, a folder or a URI")


def _is_path(name: str | Path) -> bool:
    return isinstance(name, Path) or os.sep in name or name in (".", "..") or name.startswith("~")


def _replaceable(path: Path, marker: str) -> bool:
    return not path.exists() or (path.is_dir() and ((path / marker).is_file() or not any(path.iterdir())))


def _replace(path: Path, scratch: Path) -> None:
    """Put `scratch` at `path`; what stood there is moved aside first, because a rename can't replace a full folder."""
    if not path.exists():
        scratch.rename(path)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".old", dir=path.parent))
    path.rename(aside / "old")
    try:
        scratch.rename(path)
    except OSError:
        (aside / "old").rename(path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _download(kind: Kind, uri: str) -> Path:
    """The folder behind `uri`, copied to `home()/remote/` unless the copy that is there is of the same state.

    Of a catalogue in a store without its pictures. Where nobody answers, the copy that is there is good enough.
    """
    from fromage_model.storage.remote import is_store, open_filesystem, reason

    left = LEFT_BEHIND.get(kind, ()) if is_store(uri) else ()

    folder = home() / "remote" / hashlib.sha256(uri.rstrip("/").encode()).hexdigest()[:32]
    try:
        filesystem, remote = open_filesystem(uri.rstrip("/"))
        found = filesystem.ls(remote, detail=True)
        entries = {entry["name"].rstrip("/").rpartition("/")[2]: entry for entry in found}
        if not entries or any(entry["name"].strip("/") == remote.strip("/") for entry in found):
            raise FileNotFoundError(uri)
        state = _state(entries)
        if _remembered(folder) == state:
            return folder
        with writing(folder) as scratch:
            for name, entry in entries.items():
                if entry["type"] == "directory" and name not in left:
                    filesystem.get(f"{remote}/{name}/", f"{scratch / name}/", recursive=True)
                elif entry["type"] == "file" and name:
                    filesystem.get_file(f"{remote}/{name}", str(scratch / name))
            (scratch / STATE_FILE).write_text(state)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _missing(kind, uri, [uri]) from error
    except Exception as error:  # stores raise their libraries' own types
        if isinstance(error, FromageError):
            raise
        if not folder.is_dir():
            raise MissingArtefact(f"the {kind} {uri} could not be fetched: {reason(error)}") from error
        log.warning("%s does not answer (%s); going on with the copy of it in %s", uri, reason(error), folder)
    return folder


def _state(entries: dict[str, dict[str, Any]]) -> str:
    """What changes when a file of the folder does: sizes, and what the store tells of times and contents."""
    told = ("type", "size", "mtime", "LastModified", "updated", "created", "ETag", "etag", "md5Hash")
    files = [[name, *(str(entries[name].get(key)) for key in told)] for name in sorted(entries)]
    return json.dumps([file for file in files if file[1] == "file"])


def _remembered(folder: Path) -> str | None:
    path = folder / STATE_FILE
    return path.read_text() if path.is_file() else None


def _missing(kind: Kind, name: str | Path, candidates: list) -> MissingArtefact:
    looked = ", ".join(dict.fromkeys(str(candidate) for candidate in candidates))
    is_file = f"; a file lies there, and a {kind} is a folder" if any(map(os.path.isfile, candidates)) else ""
    return MissingArtefact(
        f"no {kind} {str(name)!r}: looked at {looked}{is_file}. `{COMMANDS[kind]} --help` tells how to make one"
    )
