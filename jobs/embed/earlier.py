"""Which features of an earlier run still hold: all, those of pictures that are the same, or none.

Knows nothing of Ray, and of torch only where our code has changed since.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import (
    FULL_VIEW,
    INFO_FILE,
    FeaturesInfo,
    FeaturesWriter,
    parse_info,
    read_shards,
    write_info,
)
from fromage_model.errors import CatalogueError, SettingsDiffer
from fromage_model.storage.artefacts import file_sha256
from jobs.common.durable.publish import read_marker

# What features have that were made before these could be chosen.
BEFORE = {"dtype": "float32", "compute": "float32", "views": [FULL_VIEW]}


@dataclass(frozen=True)
class Earlier:
    """Features of an earlier state of the catalogue that still hold: those of `ids`, in `folder`."""

    folder: Path
    info: FeaturesInfo
    ids: frozenset[str]
    digest: str

    @classmethod
    def find(cls, folder: Path | str, settings: dict[str, Any], catalogue: Catalogue) -> "Earlier | None":
        """What the same settings made of pictures that are the same. Raises SettingsDiffer for other settings."""
        info = _info(folder)
        if info is None:
            return None
        if others := differing(info, settings):
            raise SettingsDiffer(
                f"{folder} has other settings ({'; '.join(others)}). Another --out keeps both; --force replaces it"
            )
        if isinstance(folder, str) or not same_encoder(info, settings):
            return None  # at a URI, reading what was there would cost about as much as making it again
        now = dict(zip(catalogue.table["id"].to_pylist(), catalogue.table["image_sha256"].to_pylist(), strict=True))
        ids: set[str] = set()
        for table in read_shards(folder, info):
            table = table.filter(pc.equal(table["view"], FULL_VIEW))
            if info.catalogue_fingerprint == catalogue.fingerprint:
                ids |= {id for id in table["id"].to_pylist() if id in now}
            elif info.hashed:
                pairs = zip(table["id"].to_pylist(), table["image_sha256"].to_pylist(), strict=True)
                ids |= {id for id, sha256 in pairs if now.get(id) == sha256}
        return cls(folder, info, frozenset(ids), file_sha256(folder / INFO_FILE)) if ids else None

    def copy(self, writer: FeaturesWriter, catalogue: Catalogue) -> None:
        """Hand the rows that still hold to `writer`, a shard at a time."""
        now = dict(zip(catalogue.table["id"].to_pylist(), catalogue.table["image_sha256"].to_pylist(), strict=True))
        for table in read_shards(self.folder, self.info):
            ids = table["id"].to_pylist()
            kept = table.filter(pa.array([id in self.ids for id in ids], pa.bool_()))
            flat = kept["vector"].combine_chunks().flatten()
            hashes = [now[id] for id in kept["id"].to_pylist()]
            vectors = np.asarray(flat).reshape(-1, self.info.width)
            writer.add(kept["id"].to_pylist(), kept["view"].to_pylist(), vectors, sha256s=hashes)


def up_to_date(folder: Path | str, catalogue: Catalogue, settings: dict[str, Any]) -> FeaturesInfo | None:
    """What features.json says, if this state of the catalogue and these settings made what is there.

    Where nothing but our code changed, the encoder's fingerprint decides, and the code is noted: a comment is no reason
    to look at a million pictures again.
    """
    info = _info(folder)
    if info is None or info.catalogue_fingerprint != catalogue.fingerprint:
        return None
    if BEFORE | info.settings == settings:
        return info
    if differing(info, settings) or not same_encoder(info, settings):
        return None
    info = replace(info, settings=settings)
    if not isinstance(folder, str):
        write_info(folder, info)
    return info


def computed_in(folder: Path | str) -> str | None:
    """The number format in which the features that are there were computed."""
    info = _info(folder)
    return None if info is None else (BEFORE | info.settings)["compute"]


def _info(folder: Path | str) -> FeaturesInfo | None:
    """What features.json says; None where there is none, or it is damaged and is to be made again."""
    data = read_marker(folder, INFO_FILE)
    try:
        return None if data is None else parse_info(data, source=f"{folder}/{INFO_FILE}")
    except CatalogueError:
        return None


def differing(info: FeaturesInfo, settings: dict[str, Any]) -> list[str]:
    """The settings that were others, our code left aside, each with both values."""
    before = BEFORE | info.settings
    names = sorted({*before, *settings} - {"code"})
    return [
        f"{name}: {before.get(name)!r} then, {settings.get(name)!r} now"
        for name in names
        if before.get(name) != settings.get(name)
    ]


def same_encoder(info: FeaturesInfo, settings: dict[str, Any]) -> bool:
    """Whether the encoder still is what it was when the features were made, whatever became of our code."""
    if info.settings.get("code") == settings["code"]:
        return True
    from fromage_model.vision.encoders import load_vision_encoder

    return load_vision_encoder(settings["encoder"]).fingerprint == info.encoder_fingerprint
