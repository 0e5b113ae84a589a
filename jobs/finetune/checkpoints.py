"""What a run goes on from: folders that Ray Train keeps, each with a list of its files. Knows no model and no step.

A checkpoint counts only where every file is what its list says: one that was cut short, by a full disk, a lost machine
or a store that failed, is passed over for the one before it. The list, MANIFEST, is written last.
"""

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs
from ray.train import Checkpoint

from fromage_model.errors import ConfigError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.remote import open_filesystem

MANIFEST = "manifest.json"
STATE_FILE, BUNDLE_FOLDER = "state.pt", "bundle"
"""What going on needs, and what is taken into use."""
ATTEMPT = "attempt-"
_READ_BYTES = 1 << 20

log = logging.getLogger(__name__)


def storage(place: str | Path) -> tuple[fs.FileSystem, str]:
    """A folder or fsspec URI -> pyarrow's filesystem, which is what Ray Train writes to, and the path in it.

    Raises ConfigError for a URI that can't be opened, or that no other process could.
    """
    try:
        found, path = open_filesystem(str(place) if is_uri(place) else str(Path(place).expanduser().resolve()))
    except (ImportError, ValueError) as error:
        raise ConfigError(f"checkpoints: {place} can't be reached: {error}") from error
    protocols = found.protocol if isinstance(found.protocol, tuple) else (found.protocol,)
    if "memory" in protocols:
        raise ConfigError(f"checkpoints: {place} is seen by one process alone; give a folder, or a URI such as s3://")
    if "file" in protocols:
        return fs.LocalFileSystem(), path
    return fs.PyFileSystem(fs.FSSpecHandler(found)), path


@dataclass(frozen=True)
class Keeping:
    """Where Ray Train keeps an attempt of a run: the folder `attempt` in `folder`, a path of `filesystem`."""

    filesystem: fs.FileSystem
    folder: str
    attempt: str


def keeping_of(run: Path, *, checkpoints: str | None, settings: Mapping[str, Any], fresh: bool) -> Keeping:
    """In the run's folder or, with `checkpoints`, in one of its name below that. Raises ConfigError where it can't be
    reached, or where what is there is of another run's settings.
    """
    place = str(run) if checkpoints is None else f"{checkpoints.rstrip('/')}/{run.name}"
    filesystem, folder = storage(place)
    attempt = attempt_of(filesystem, folder, fresh=fresh)
    if not fresh:
        check_settings(filesystem, f"{folder}/{attempt}", settings, place=place)
    return Keeping(filesystem, folder, attempt)


def attempt_of(filesystem: fs.FileSystem, folder: str, *, fresh: bool) -> str:
    """The attempt to go on with: Ray Train resumes what bears the same name, and a fresh start takes the next."""
    names = [Path(one.path).name for one in _below(filesystem, folder)]
    numbers = [int(name.removeprefix(ATTEMPT)) for name in names if name.removeprefix(ATTEMPT).isdecimal()]
    last = max(numbers, default=0)
    return f"{ATTEMPT}{last + 1 if fresh or not numbers else last}"


def seal(folder: Path, *, settings: Mapping[str, Any]) -> None:
    """List the files of a checkpoint, whole as it is, and the settings that decide what its run learns."""
    files = {str(path.relative_to(folder)): _digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
    (folder / MANIFEST).write_text(json.dumps({"settings": settings, "files": files}, indent=2) + "\n")


def newest_whole(filesystem: fs.FileSystem, attempt: str, *, holding_a_bundle: bool = False) -> Checkpoint | None:
    """The newest of the checkpoints in the folder `attempt` that is whole; those passed over for it are told."""
    for one in _newest_first(filesystem, attempt):
        problem = _problem_of(filesystem, one)
        if problem is not None:
            log.warning("the checkpoint %s is not whole (%s); the one before it is used", one, problem)
        elif not holding_a_bundle or filesystem.get_file_info(f"{one}/{BUNDLE_FOLDER}").type == fs.FileType.Directory:
            return Checkpoint(path=one, filesystem=filesystem)
    log.warning("none of the checkpoints in %s is whole", attempt)
    return None


def check_settings(filesystem: fs.FileSystem, attempt: str, settings: Mapping[str, Any], *, place: str) -> None:
    """Raises ConfigError where a checkpoint in the folder `attempt` is of another run; `place` is where it says."""
    wanted = json.loads(json.dumps(settings))
    for one in _newest_first(filesystem, attempt):
        manifest = _manifest_of(filesystem, one)
        known = wanted if manifest is None else manifest["settings"]
        differ = sorted(name for name in wanted if known.get(name) != wanted[name])
        if differ:
            raise ConfigError(
                f"the checkpoints in {place} are of a run with other settings: {', '.join(differ)}; give another --run "
                "or --checkpoints, or --force to train anew"
            )


def _newest_first(filesystem: fs.FileSystem, attempt: str) -> Iterator[str]:
    """Ray Train names them by the time at which they were made."""
    folders = [one.path for one in _below(filesystem, attempt) if one.type == fs.FileType.Directory]
    yield from sorted((path for path in folders if Path(path).name.startswith("checkpoint_")), reverse=True)


def _below(filesystem: fs.FileSystem, folder: str) -> list[fs.FileInfo]:
    return filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True))


def _problem_of(filesystem: fs.FileSystem, checkpoint: str) -> str | None:
    """What is not as the list of files says, in words; None where all is."""
    manifest = _manifest_of(filesystem, checkpoint)
    if manifest is None:
        return f"its {MANIFEST} is missing or cut short"
    for name, expected in manifest["files"].items():
        path = f"{checkpoint}/{name}"
        info = filesystem.get_file_info(path)
        if info.type != fs.FileType.File:
            return f"{name} is missing"
        if info.size != expected["size_bytes"]:
            return f"{name} has {info.size} bytes of {expected['size_bytes']}"
        with filesystem.open_input_stream(path) as stream:
            if _sha256(stream) != expected["sha256"]:
                return f"{name} has other bytes than were written"
    return None


def _manifest_of(filesystem: fs.FileSystem, checkpoint: str) -> dict[str, Any] | None:
    """None where it is not there, or half of it is, or it is of another form."""
    try:
        with filesystem.open_input_stream(f"{checkpoint}/{MANIFEST}") as stream:
            found = json.loads(stream.read())
    except (FileNotFoundError, ValueError):
        return None
    whole = isinstance(found, dict) and all(isinstance(found.get(part), dict) for part in ("settings", "files"))
    return found if whole else None


def _digest(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size_bytes": path.stat().st_size, "sha256": _sha256(file)}


def _sha256(stream: Any) -> str:
    digest = hashlib.sha256()
    while part := stream.read(_READ_BYTES):
        digest.update(part)
    return digest.hexdigest()
