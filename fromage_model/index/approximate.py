"""Approximate search by faiss: a graph (HNSW) or quantized lists (IVF-PQ) that name candidates among the rows.

Scores are not taken from here: faiss holds rounded vectors, and whoever asks ranks the candidates by the stored ones.

Shapes: N rows, Q queries, S shared width, C candidates.
Sources: Malkov and Yashunin 2016 (HNSW), Jegou et al. 2011 (IVF-PQ), Douze et al. 2024 (faiss).
"""

import logging
import time
from pathlib import Path
from typing import Any, Self

import numpy as np

from fromage_model.errors import RetrievalIndexError
from fromage_model.index.plan import HNSW_NEIGHBOURS, Kind, code_bytes, list_count
from fromage_model.index.vectors import VectorRows

log = logging.getLogger(__name__)

EF_CONSTRUCTION = 80
ADDED_ROWS = 20_000
TRAINING_ROWS = 100_000
TRAINING_ROWS_PER_LIST = 64
PROGRESS_EVERY_S = 10.0
# What a query may be made to cost by a filter, in multiples of the effort without one.
MOST_EFFORT = 64

# Candidates for each item that is asked for; their exact cosines decide. IVF-PQ rounds more than HNSW does.
CANDIDATES: dict[Kind, int] = {"hnsw": 4, "ivfpq": 40}
EFFORTS: dict[Kind, tuple[int, ...]] = {
    "hnsw": (48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 2048),
    "ivfpq": (4, 8, 16, 32, 64, 128, 256, 512, 1024),
}


class Approximate:
    """A faiss index over rows 0 to N - 1. `mapped` says that it is read from a file and can't be added to."""

    def __init__(self, index: Any, kind: Kind, *, mapped: bool = False):
        self.kind = kind
        self.mapped = mapped
        self._index = index

    @classmethod
    def build(cls, vectors: VectorRows, kind: Kind) -> Self:
        """Train and fill one over unit vectors (N, S); logs how far it is."""
        import faiss

        rows, width = len(vectors), vectors.width
        if kind == "hnsw":
            index = faiss.IndexHNSWSQ(width, faiss.ScalarQuantizer.QT_8bit, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = EF_CONSTRUCTION
            wanted = TRAINING_ROWS
        else:
            lists = list_count(rows)
            quantizer = faiss.IndexFlat(width, faiss.METRIC_INNER_PRODUCT)
            index = faiss.IndexIVFPQ(quantizer, width, lists, code_bytes(width), 8, faiss.METRIC_INNER_PRODUCT)
            wanted = max(TRAINING_ROWS, TRAINING_ROWS_PER_LIST * lists)
        index.train(vectors.take(_sample(rows, wanted)))
        made = cls(index, kind)
        made.add(vectors)
        return made

    @classmethod
    def load(cls, path: Path, kind: Kind, *, rows: int, width: int) -> Self:
        """Open a file by memory map. Raises RetrievalIndexError where it can't be read or is not of these rows."""
        import faiss

        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except (RuntimeError, OSError) as error:
            raise RetrievalIndexError(f"{path} can't be read: {error}") from error
        if (index.ntotal, index.d) != (rows, width):
            raise RetrievalIndexError(f"{path}: expected {rows} vectors of {width}, got {index.ntotal} of {index.d}")
        return cls(index, kind, mapped=True)

    def owned(self) -> "Approximate":
        """This one, or a copy in memory where it is mapped from a file."""
        import faiss

        if not self.mapped:
            return self
        return Approximate(faiss.deserialize_index(faiss.serialize_index(self._index)), self.kind)

    def save(self, path: Path) -> None:
        """Raises OSError, for a full disk too."""
        import faiss

        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:
            raise OSError(str(error)) from error

    def __len__(self) -> int:
        return self._index.ntotal

    def add(self, vectors: VectorRows) -> None:
        """Vectors (N', S) that become the next rows. Not for a mapped one: faiss would end the process."""
        if self.mapped:
            raise RetrievalIndexError("an index that is mapped from its file can't be added to")
        start_s = logged_s = time.monotonic()
        done = 0
        for _, block in vectors.blocks(ADDED_ROWS):
            self._index.add(np.ascontiguousarray(block))
            done += len(block)
            if time.monotonic() - logged_s >= PROGRESS_EVERY_S:
                logged_s = time.monotonic()
                log.info("%s: %d of %d vectors, %.0f/s", self.kind, done, len(vectors), done / (logged_s - start_s))

    def candidates(
        self, queries: np.ndarray, *, top_k: int, effort: int, allowed: np.ndarray | None = None
    ) -> np.ndarray:
        """(Q, S) -> (Q, C) row numbers, likely to hold the `top_k` nearest; -1 where fewer were found.

        `allowed` (N,) bool leaves out rows inside the search; a search that few rows may answer looks further.
        """
        import faiss

        count = min(CANDIDATES[self.kind] * top_k, len(self))
        selector = None
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
            share = max(np.count_nonzero(allowed) / len(allowed), 1 / MOST_EFFORT)
            effort = int(effort / share)
        if self.kind == "hnsw":
            settings = faiss.SearchParametersHNSW(efSearch=max(effort, count), sel=selector)
        else:
            settings = faiss.SearchParametersIVF(nprobe=min(effort, self._index.nlist), sel=selector)
        return self._index.search(np.ascontiguousarray(queries), count, params=settings)[1]


def _sample(rows: int, wanted: int) -> np.ndarray:
    """At most `wanted` row numbers, drawn without replacement, the same ones each time, in their order."""
    if rows <= wanted:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, wanted, replace=False))
