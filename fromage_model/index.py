"""The retrieval index: which items lie nearest to a retrieval embedding. Exact; knows nothing of models or pictures.

An index is a folder: `vectors.npy` (read by memory map), `items.parquet` (the catalogue's rows in the same order) and
`index.json` (the fingerprint of the model that made the vectors, the catalogue's name, the counts).

Shapes: N items, Q queries, S shared width.
"""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
from pyarrow import parquet

from fromage_model.artefacts import locate, place, writing
from fromage_model.catalogue import SCHEMA, Item
from fromage_model.errors import FingerprintMismatch, InvalidInput, RetrievalIndexError

FORMAT = 1
INFO_FILE = "index.json"
CHUNK_QUERIES = 256
CHECKED_ROWS = 1024
NORM_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Hit:
    """An item that was found. `score` is the cosine of query and item, between -1 and 1."""

    id: str
    score: float
    item: Item


@dataclass(frozen=True)
class IndexInfo:
    """What `index.json` says. `vectors`: what an item's vector is made of, `image`, `caption` or `both`."""

    fingerprint: str
    catalogue: str
    catalogue_fingerprint: str | None
    rows: int
    width: int
    created_by: str
    format: int = FORMAT
    vectors: str = "image"


class RetrievalIndex:
    """Unit vectors (N, S) float32 and their items, in one order. Made by `build` or `load`."""

    def __init__(self, vectors: np.ndarray, items: pa.Table, info: IndexInfo):
        """Checks what is cheap to check; `build` and `load` check the vectors' lengths."""
        _check(vectors, items, info)
        items = items.select(SCHEMA.names)
        self.info = info
        self.ids: list[str] = items.column("id").to_pylist()
        self._vectors = vectors
        self._items = items.combine_chunks()
        self._row_of = {id: row for row, id in enumerate(self.ids)}

    @classmethod
    def build(
        cls,
        vectors: np.ndarray,
        items: pa.Table,
        *,
        fingerprint: str,
        catalogue: str,
        catalogue_fingerprint: str | None = None,
        created_by: str = "fromage_model.index",
        vectors_of: str = "image",
    ) -> Self:
        """An index of vectors (N, S), float32 of length 1, and the catalogue rows that they belong to.

        Raises RetrievalIndexError where the two don't fit together, an id occurs twice, or a vector is not of length 1.
        """
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if vectors.ndim != 2:
            raise RetrievalIndexError(f"expected vectors of shape (items, width), got {vectors.shape}")
        rows, width = vectors.shape
        _check_lengths(vectors)
        info = IndexInfo(fingerprint, catalogue, catalogue_fingerprint, rows, width, created_by, vectors=vectors_of)
        return cls(vectors, items, info)

    @classmethod
    def load(cls, name: str | Path, *, fingerprint: str | None = None) -> Self:
        """Open an index by name, folder or URI; `fingerprint` is that of the bundle it is to be used with.

        Vectors stay on disk until they are searched; the lengths of a sample are checked. Raises MissingArtefact,
        FingerprintMismatch, and RetrievalIndexError for files that can't be read or don't fit together.
        """
        folder = locate("index", name)
        info = read_info(folder)
        if fingerprint is not None and info.fingerprint != fingerprint:
            raise FingerprintMismatch(f"index {name}", expected=fingerprint, found=info.fingerprint)
        try:
            vectors = np.asarray(np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False))
            items = parquet.read_table(folder / "items.parquet")
        except (OSError, ValueError) as error:
            raise RetrievalIndexError(f"index {name}: {error}. `python -m jobs.index` makes it again") from error
        index = cls(vectors, items, info)
        _check_lengths(vectors[np.unique(np.linspace(0, len(index) - 1, CHECKED_ROWS).astype(np.int64))])
        return index

    def save(self, name: str | Path) -> Path:
        """Write the index whole or not at all, under a name or as a folder; returns the folder.

        Raises ConfigError rather than replace a folder that holds something else.
        """
        folder = place("index", name)
        with writing(folder, marker=INFO_FILE) as scratch:
            np.save(scratch / "vectors.npy", self._vectors)
            parquet.write_table(self._items, scratch / "items.parquet")
            (scratch / INFO_FILE).write_text(json.dumps(asdict(self.info), indent=2) + "\n", encoding="utf-8")
        return folder

    @property
    def fingerprint(self) -> str:
        return self.info.fingerprint

    @property
    def vectors(self) -> np.ndarray:
        """(N, S) float32, each of length 1; not to be written to."""
        return self._vectors

    @property
    def items(self) -> pa.Table:
        """The catalogue's rows in the order of the vectors."""
        return self._items

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: str) -> bool:
        return id in self._row_of

    def item(self, id: str) -> Item:
        """Raises InvalidInput for an id that is not in the index."""
        row = self._row_of.get(id)
        if row is None:
            raise InvalidInput(f"no item {id!r} in the index of {self.info.catalogue}", field="id")
        return self._item(row)

    def search(self, queries: np.ndarray, *, top_k: int, exclude: Collection[str] = ()) -> list[list[Hit]]:
        """The `top_k` nearest items of each unit query (Q, S) or (S,), best first; equal scores in the index's order.

        Items in `exclude` are left out before ranking, so `top_k` others come back while there are that many; an id
        that the index does not hold excludes nothing. Raises ValueError for a wrong width, a query that is not finite,
        or top_k below 1.
        """
        queries = self._checked_queries(queries)
        if top_k < 1:
            raise ValueError(f"expected top_k of at least 1, got {top_k}")
        excluded = sorted({self._row_of[id] for id in exclude if id in self._row_of})
        results: list[list[Hit]] = []
        for start in range(0, len(queries), CHUNK_QUERIES):
            scores = queries[start : start + CHUNK_QUERIES] @ self._vectors.T
            scores[:, excluded] = -np.inf
            results += [self._hits(row, top_k=min(top_k, len(self) - len(excluded))) for row in scores]
        return results

    def _hits(self, scores: np.ndarray, *, top_k: int) -> list[Hit]:
        return [Hit(self.ids[row], float(scores[row]), self._item(int(row))) for row in top_rows(scores, top_k)]

    def _item(self, row: int) -> Item:
        (values,) = self._items.slice(row, 1).to_pylist()
        return Item(**(values | {"attributes": dict(values["attributes"] or ())}))

    def _checked_queries(self, queries: np.ndarray) -> np.ndarray:
        queries = np.atleast_2d(np.asarray(queries, dtype=np.float32))
        if queries.ndim != 2 or queries.shape[1] != self.info.width:
            raise ValueError(f"expected queries of width {self.info.width}, got shape {queries.shape}")
        if not np.isfinite(queries).all():
            raise ValueError("expected finite queries, got NaN or infinity")
        return queries


def top_rows(scores: np.ndarray, top_k: int) -> np.ndarray:
    """(N,) -> the rows of the `top_k` highest scores, highest first; equal scores in the order of their rows."""
    if top_k <= 0:
        return np.empty(0, dtype=np.int64)
    if top_k < len(scores):
        threshold = scores[np.argpartition(scores, -top_k)[-top_k]]
        above = np.flatnonzero(scores > threshold)
        level = np.flatnonzero(scores == threshold)[: top_k - len(above)]
        rows = np.sort(np.concatenate([above, level]))
    else:
        rows = np.arange(len(scores))
    return rows[np.argsort(-scores[rows], kind="stable")]


def read_info(folder: Path) -> IndexInfo:
    """What an index's folder says about itself. Raises RetrievalIndexError for a missing file or another form."""
    try:
        fields = json.loads((folder / INFO_FILE).read_text(encoding="utf-8"))
        info = IndexInfo(**fields)
    except (OSError, ValueError, TypeError) as error:
        raise RetrievalIndexError(
            f"{folder}: index.json can't be read ({error}). `python -m jobs.index` makes it again"
        ) from error
    if info.format != FORMAT:
        raise RetrievalIndexError(f"{folder}: expected index format {FORMAT}, got {info.format}")
    return info


def _check(vectors: np.ndarray, items: pa.Table, info: IndexInfo) -> None:
    """Raises RetrievalIndexError where vectors, items and counts contradict each other."""
    if vectors.shape != (info.rows, info.width) or vectors.dtype != np.float32:
        raise RetrievalIndexError(
            f"expected float32 vectors of shape {(info.rows, info.width)}, got {vectors.dtype} {vectors.shape}"
        )
    if items.num_rows != info.rows:
        raise RetrievalIndexError(f"expected {info.rows} items for {info.rows} vectors, got {items.num_rows}")
    if info.rows == 0:
        raise RetrievalIndexError("expected at least one item, got none")
    _check_items(items)


def _check_lengths(vectors: np.ndarray) -> None:
    """Raises RetrievalIndexError unless every vector is of length 1; one that is not finite has no length."""
    off = np.abs(np.linalg.norm(vectors, axis=1) - 1.0)
    if not (off <= NORM_TOLERANCE).all():
        worst = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        length = np.linalg.norm(vectors[worst])
        raise RetrievalIndexError(f"expected vectors of length 1, got one of length {length:.4g}")


def _check_items(items: pa.Table) -> None:
    missing = [name for name in SCHEMA.names if name not in items.column_names]
    if missing:
        raise RetrievalIndexError(f"expected the catalogue's columns among the items, missing {', '.join(missing)}")
    ids = items.column("id").to_pylist()
    if None in ids:
        raise RetrievalIndexError("expected an id for every item, got null")
    twice = [id for id, count in Counter(ids).items() if count > 1]
    if twice:
        raise RetrievalIndexError(f"expected every id once, got {', '.join(twice[:3])} more than once")
