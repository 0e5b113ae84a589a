"""Small real pairs: two bundles over one tiny LM, an index of each, and a catalogue, saved as any are."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from fromage_model.bundle import save_bundle
from fromage_model.catalogue import SCHEMA
from fromage_model.catalogue.table import write_catalogue
from fromage_model.header import bundle_fingerprint
from fromage_model.index import RetrievalIndex
from fromage_model.storage.artefacts import writing
from services.deployments.bundles import find_bundle
from services.swapping.pairs import Pair, Wanted, find_index, pair_of
from tests.fromage_model import tiny

ENCODER = "the encoder"
COLOURS = ("red", "green", "blue")


@dataclass(frozen=True)
class Made:
    """`old` and `new` share their LM; each bundle has an index of its own, all over one catalogue."""

    folder: Path

    def wanted(self, name: str, *, index: str | None = None) -> Wanted:
        return Wanted(bundle=str(self.folder / name), index=str(self.folder / f"{index or name}-index"))

    def config(self, name: str, *, index: str | None = None) -> dict[str, str]:
        return self.wanted(name, index=index).model_dump(exclude_none=True)

    def pair(self, name: str) -> Pair:
        wanted = self.wanted(name)
        fingerprint, encoder = find_bundle(wanted.bundle)
        return pair_of(wanted, fingerprint=fingerprint, encoder=encoder, index=find_index(wanted))

    def build_index(self, name: str, *, caption: str = "a {} square", fingerprint: str | None = None) -> None:
        """Over what was there before, if anything was."""
        table = pa.Table.from_pylist([row(colour, caption.format(colour)) for colour in COLOURS], schema=SCHEMA)
        index = RetrievalIndex.build(
            np.eye(3, tiny.SHARED_WIDTH, dtype=np.float32),
            table,
            fingerprint=fingerprint or bundle_fingerprint(str(self.folder / name)),
            catalogue=str(self.folder / "colours"),
        )
        index.save(self.folder / f"{name}-index")


def make_pairs(folder: Path, *, names: tuple[str, ...] = ("old", "new")) -> Made:
    made = Made(folder)
    lm = tiny.write_llama(folder / "lm")
    for seed, name in enumerate(names):
        model = tiny.build(lm, seed=seed)
        options = {"feature_width": tiny.FEATURE_WIDTH, "lineage": {}}
        save_bundle(model, folder / name, encoder_fingerprint=ENCODER, **options)
    with writing(folder / "colours") as place:
        table = pa.Table.from_pylist([row(colour, f"a {colour} square") for colour in COLOURS], schema=SCHEMA)
        write_catalogue(place, table=table, failures=[], info={"name": "colours", "attribution": "Painted here"})
    for name in names:
        made.build_index(name)
    return made


def row(colour: str, caption: str) -> dict:
    fixed = {"source": "test", "group": colour, "split": "train", "updated_at": datetime(2026, 1, 1, tzinfo=UTC)}
    sha = hashlib.sha256(colour.encode()).hexdigest()
    return fixed | {"id": colour, "image": f"images/{colour}.png", "image_sha256": sha, "caption": caption}
