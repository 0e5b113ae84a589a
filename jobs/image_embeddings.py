"""Features + bundle -> retrieval embeddings of a catalogue's pictures, by Ray Data actors. Knows nothing of indexes.

Shapes: N items, F feature width, S shared width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.features import Features, read_features
from fromage_model.errors import CatalogueError, FingerprintMismatch
from jobs.stages import require_columns
from jobs.tables import matrix_of, vectors_of

BATCH_ROWS = 1024


@dataclass(frozen=True)
class ImageEmbeddings:
    """Unit vectors (N, S) float32 in the order of `ids`, the catalogue's; `missing` are items without features."""

    ids: list[str]
    vectors: np.ndarray
    missing: list[str]
    fingerprint: str


class ProjectFeatures:
    """Ray Data stage: columns `id` and `vector` (F,) -> `id` and the retrieval embedding `vector` (S,)."""

    columns = ("id", "vector")

    def __init__(self, bundle: str, threads: int):
        import torch

        from fromage_model.bundle import load_projection

        torch.set_num_threads(threads)
        self.projection = load_projection(bundle)

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="ProjectFeatures")
        embedded = self.projection.embed(matrix_of(batch.column("vector")))
        return pa.table({"id": batch.column("id"), "vector": vectors_of(embedded)})


def image_embeddings(
    catalogue: Catalogue,
    *,
    bundle: str,
    features: str | None = None,
    ids: Sequence[str] | None = None,
    workers: int = 1,
    threads: int = 1,
) -> ImageEmbeddings:
    """The embeddings of every item that has features, or of those of `ids`. Needs a Ray that runs.

    Raises FingerprintMismatch where the features come from another catalogue or another encoder than the bundle's.
    """
    from fromage_model.bundle import load_projection

    found = read_features(features or catalogue.name)
    projection = load_projection(bundle)
    check_features(found, catalogue=catalogue, bundle=bundle, encoder_fingerprint=projection.encoder_fingerprint)
    have = set(found.ids)
    wanted = catalogue.table.column("id").to_pylist() if ids is None else list(ids)
    kept = [id for id in wanted if id in have]
    if ids is None and not kept:
        raise CatalogueError(
            f"no item of the catalogue {catalogue.name} has features. `python -m jobs.embed` makes them"
        )
    vectors = _project(kept, found.of(kept), bundle=bundle, workers=workers, threads=threads)
    return ImageEmbeddings(kept, vectors, [id for id in wanted if id not in have], projection.fingerprint)


def check_features(features: Features, *, catalogue: Catalogue, bundle: str, encoder_fingerprint: str) -> None:
    """Raises FingerprintMismatch, naming which of the two does not fit."""
    if features.encoder_fingerprint != encoder_fingerprint:
        raise FingerprintMismatch(
            f"the features of {catalogue.name} were made by another vision encoder than the bundle {bundle} wants",
            expected=encoder_fingerprint,
            found=features.encoder_fingerprint,
        )
    if features.catalogue_fingerprint != catalogue.fingerprint:
        raise FingerprintMismatch(
            f"the features of {catalogue.name} are of another state of it; `python -m jobs.embed` renews them",
            expected=catalogue.fingerprint,
            found=features.catalogue_fingerprint,
        )


def _project(ids: list[str], features: np.ndarray, *, bundle: str, workers: int, threads: int) -> np.ndarray:
    """(N, F) -> (N, S), in the order of `ids`, however Ray orders the batches; (0, 0) where there are none."""
    if not ids:
        return np.empty((0, 0), dtype=np.float32)
    import ray
    from ray.data import ActorPoolStrategy

    table = pa.table({"id": ids, "vector": vectors_of(features)})
    batches = (
        ray.data.from_arrow(table)
        .map_batches(
            ProjectFeatures,
            fn_constructor_kwargs={"bundle": bundle, "threads": threads},
            compute=ActorPoolStrategy(size=workers),
            batch_size=BATCH_ROWS,
            batch_format="pyarrow",
            num_cpus=1,
        )
        .iter_batches(batch_size=None, batch_format="pyarrow")
    )
    embedded = pa.concat_tables(list(batches))
    row_of = {id: row for row, id in enumerate(embedded.column("id").to_pylist())}
    return matrix_of(embedded.column("vector"))[[row_of[id] for id in ids]]
