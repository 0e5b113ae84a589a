"""The pair that is served: a bundle, and an index that it made. A request ends with the pair that it began with.

Knows nothing of Ray, and opens nothing but small files.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from fromage_model.errors import FingerprintMismatch
from fromage_model.index import read_info
from fromage_model.storage.artefacts import STATE_FILE, locate


class Wanted(BaseModel):
    """A pair as it is asked for: names, folders or URIs. Without `catalogue`, the one that the index names.

    `version` is free: another one has the same names read again, whose files have changed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle: str = Field(min_length=1)
    index: str = Field(min_length=1)
    catalogue: str | None = None
    version: str | None = None


@dataclass(frozen=True)
class Pair:
    """A pair as it was found. `id`: another one as soon as the bundle, the index or the catalogue is another or has
    changed; `fingerprint`: the bundle's, and what the index was made by; `encoder`: the encoder's fingerprint.
    `catalogue_asked`: whether the catalogue was asked for, and is not the one that the index names.
    """

    id: str
    bundle: str
    index: str
    catalogue: str
    fingerprint: str
    encoder: str
    catalogue_asked: bool = False

    def renewed(self, *, bundle: str | None = None, index: str | None = None, catalogue: str | None = None) -> Wanted:
        """What is asked for by those who name these parts alone; the others stay what they were called."""
        kept = self.catalogue if self.catalogue_asked and index in (None, self.index) else None
        return Wanted(bundle=bundle or self.bundle, index=index or self.index, catalogue=catalogue or kept)


@dataclass(frozen=True)
class Notice:
    """`pair` is served. `over`: of which configuration (its `digest`) that is so, until there is another; `refused`:
    why the configuration's own pair is not, where it was refused.
    """

    over: str | None
    pair: Pair
    refused: str | None = None


def digest(config: dict[str, Any]) -> str:
    """Of a configuration; another for another."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class FoundIndex:
    """What an index and its catalogue say of themselves. `state`: changes with any file of the two."""

    made_by: str
    catalogue: str
    state: str


def find_index(wanted: Wanted) -> FoundIndex:
    """Raises MissingArtefact or RetrievalIndexError."""
    folder = locate("index", wanted.index)
    info = read_info(folder)
    catalogue = wanted.catalogue or info.catalogue
    pictures = locate("catalogue", catalogue)
    said = "\n".join([wanted.index, state_of(folder), catalogue, state_of(pictures)])
    return FoundIndex(info.fingerprint, catalogue, hashlib.sha256(said.encode()).hexdigest())


def pair_of(wanted: Wanted, *, fingerprint: str, encoder: str, index: FoundIndex) -> Pair:
    """`fingerprint` and `encoder` are the bundle's. Raises FingerprintMismatch where it did not make the index."""
    if index.made_by != fingerprint:
        raise FingerprintMismatch(
            f"index {wanted.index!r} was not made by bundle {wanted.bundle!r}; "
            f"`python -m jobs.index --bundle {wanted.bundle}` makes one that is",
            expected=fingerprint,
            found=index.made_by,
        )
    return Pair(
        id=hashlib.sha256(f"{fingerprint} {index.state}".encode()).hexdigest()[:16],
        bundle=wanted.bundle,
        index=wanted.index,
        catalogue=index.catalogue,
        fingerprint=fingerprint,
        encoder=encoder,
        catalogue_asked=wanted.catalogue is not None,
    )


def state_of(folder: Path) -> str:
    """Changes whenever one of the folder's files is written again, or in the store that it was fetched from."""
    fetched = folder / STATE_FILE
    if fetched.is_file():
        return fetched.read_text()
    stats = sorted((path.name, path.stat()) for path in folder.iterdir() if path.is_file())
    return "\n".join(f"{name} {stat.st_size} {stat.st_mtime_ns}" for name, stat in stats)


_pinned: ContextVar[Pair | None] = ContextVar("pair", default=None)


def pinned() -> Pair | None:
    """The pair that the request began with; None outside a request."""
    return _pinned.get()


@contextmanager
def pin(pair: Pair) -> Iterator[None]:
    """What runs in the block, and the tasks that it starts, is served by this pair."""
    token = _pinned.set(pair)
    try:
        yield
    finally:
        _pinned.reset(token)
