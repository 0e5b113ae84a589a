"""Features + bundle -> retrieval embeddings of a catalogue's pictures. Knows nothing of indexes, and needs no Ray.

One matrix product over features that are there: seconds for a million items, less than to begin anything elsewhere.
Features are read a shard at a time.

Shapes: N items, F feature width, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import FULL_VIEW, FeaturesInfo, read_info, read_shards
from fromage_model.errors import CatalogueError, FingerprintMismatch
from fromage_model.storage.artefacts import locate
from jobs.common.tables import matrix_of

BATCH_ROWS = 1024


@dataclass(frozen=True)
class ImageEmbeddings:
    """Unit vectors (N, S) float32 in the order of `ids`, the catalogue's; `missing` are items without features."""

    ids: list[str]
    vectors: np.ndarray
    missing: list[str]
    fingerprint: str


def image_embeddings(
    catalogue: Catalogue, *, bundle: str, features: str | None = None, ids: Sequence[str] | None = None
) -> ImageEmbeddings:
    """The embeddings of every item that has features, or of those of `ids`; (0, S) where that is none of these.

    Raises FingerprintMismatch where the features come from another catalogue or another encoder than the bundle's, and
    CatalogueError where no item of the catalogue has any.
    """
    from fromage_model.bundle import load_projection

    projection = load_projection(bundle)
    folder = locate("features", features or catalogue.name)
    info = read_info(folder)
    if info is None:
        raise CatalogueError(f"{folder} holds no features: it has no features.json")
    check_features(info, catalogue=catalogue, bundle=bundle, encoder_fingerprint=projection.encoder_fingerprint)
    wanted = catalogue.table.column("id").to_pylist() if ids is None else list(ids)
    among = pa.array(wanted, pa.string())
    found: list[str] = []
    embedded = [projection.embed(np.empty((0, info.width), dtype=np.float32))]
    for shard in read_shards(folder, info):
        kept = shard.filter(pc.and_(pc.equal(shard["view"], FULL_VIEW), pc.is_in(shard["id"], value_set=among)))
        for start in range(0, kept.num_rows, BATCH_ROWS):
            batch = kept.slice(start, BATCH_ROWS)
            found += batch["id"].to_pylist()
            embedded.append(projection.embed(matrix_of(batch["vector"])))
    if ids is None and not found:
        raise CatalogueError(
            f"no item of the catalogue {catalogue.name} has features. `python -m jobs.embed` makes them"
        )
    row_of = {id: row for row, id in enumerate(found)}
    have = [id for id in wanted if id in row_of]
    missing = [id for id in wanted if id not in row_of]
    rows = np.array([row_of[id] for id in have], dtype=np.int64)
    return ImageEmbeddings(have, np.concatenate(embedded)[rows], missing, projection.fingerprint)


def check_features(info: FeaturesInfo, *, catalogue: Catalogue, bundle: str, encoder_fingerprint: str) -> None:
    """Raises FingerprintMismatch, naming which of the two does not fit."""
    if info.encoder_fingerprint != encoder_fingerprint:
        raise FingerprintMismatch(
            f"the features of {catalogue.name} were made by another vision encoder than the bundle {bundle} wants",
            expected=encoder_fingerprint,
            found=info.encoder_fingerprint,
        )
    if info.catalogue_fingerprint != catalogue.fingerprint:
        raise FingerprintMismatch(
            f"the features of {catalogue.name} are of another state of it; `python -m jobs.embed` renews them",
            expected=catalogue.fingerprint,
            found=info.catalogue_fingerprint,
        )
