"""Many vectors like few real ones: embeddings drawn again with noise of their own spectrum.

Shapes: E real embeddings, N drawn ones, S shared width.
"""

import logging

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import SCHEMA
from fromage_model.catalogue.features import read_features
from fromage_model.errors import MissingArtefact

log = logging.getLogger(__name__)

BLOCK_ROWS = 50_000


class Resampled:
    """Draws unit vectors whose mean and covariance, before they are brought to length 1, are those of the real ones.

    A draw is mean + sqrt(1 - noise^2) (e - mean) + noise C^(1/2) z: e one of the real embeddings, C the covariance of
    all of them, z of the standard normal distribution.
    """

    def __init__(self, real: np.ndarray, *, noise: float):
        """`real` is (E, S); `noise` from 0 (the real ones alone) to 1 (none of them but their spectrum)."""
        self.noise = noise
        self.mean = real.mean(axis=0)
        values, axes = np.linalg.eigh(np.cov(real.T.astype(np.float64)))
        self.root = (axes * np.sqrt(np.clip(values, 0, None))).T.astype(np.float32)

    def draw(self, real: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """(N, S) float32 of length 1, each near one row of `real`."""
        drawn = np.empty((count, real.shape[1]), dtype=np.float32)
        for start in range(0, count, BLOCK_ROWS):
            block = drawn[start : start + BLOCK_ROWS]
            chosen = real[rng.integers(len(real), size=len(block))] - self.mean
            noise = rng.standard_normal(block.shape, dtype=np.float32) @ self.root
            block[:] = self.mean + np.sqrt(1 - self.noise**2) * chosen + self.noise * noise
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        return drawn


def real_embeddings(catalogues: list[str], *, bundle: str) -> np.ndarray:
    """(E, S) retrieval embeddings of the catalogues' pictures, by the bundle's map over their features.

    A catalogue that has none is told of and left out, as Open Clip Art must be where it is not installed. Raises
    MissingArtefact where none has any.
    """
    from fromage_model.bundle import load_projection

    found = []
    for name in catalogues:
        try:
            found.append(read_features(name).vectors)
        except MissingArtefact as error:
            log.warning("without %s: %s", name, error)
    if not found:
        raise MissingArtefact(f"none of {', '.join(catalogues)} has features. `python -m jobs.embed` makes them")
    projection = load_projection(bundle)
    return np.concatenate([projection.embed(vectors) for vectors in found])


def numbered_items(count: int, *, rare: np.ndarray) -> pa.Table:
    """Items whose ids are their row numbers; those of `rare` (N,) bool have the brand `rare`, the others `common`."""
    ids = pa.array(np.arange(count)).cast(pa.string())
    text = {"image_sha256": "", "source": "resampled", "split": "train"}
    columns = {name: pa.repeat(value, count) for name, value in text.items()}
    columns |= {"id": ids, "image": ids, "group": ids, "brand": pa.array(np.where(rare, "rare", "common"))}
    columns["updated_at"] = pa.repeat(pa.scalar(0, SCHEMA.field("updated_at").type), count)
    arrays = [columns[field.name] if field.name in columns else pa.nulls(count, field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)
