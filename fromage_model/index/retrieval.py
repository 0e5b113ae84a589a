"""The retrieval index: which items lie nearest to a retrieval embedding. Knows nothing of models or pictures.

An index is a folder: segments of vectors and of the catalogue's rows (`storage`), and `index.json` (`info`: the
fingerprint of the model that made the vectors, the catalogue's name, the kind of search and how well it does). Small
ones are searched exactly, large ones by faiss (`plan`), whose candidates are ranked by their exact cosines. Upserts add
a segment, deletes leave tombstones, and `compact` makes the index anew without them.

Shapes: N items, Q queries, S shared width.
"""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import SCHEMA, Item
from fromage_model.errors import FingerprintMismatch, InvalidInput, RetrievalIndexError
from fromage_model.index.approximate import Approximate
from fromage_model.index.checks import checked_ids, checked_queries, checked_sample, checked_top_k
from fromage_model.index.exact import Ranked, search_exactly
from fromage_model.index.filters import Filter, Filters
from fromage_model.index.info import FORMAT, IndexInfo, read_info
from fromage_model.index.items import ItemRows, checked_items
from fromage_model.index.measure import measure, search
from fromage_model.index.plan import Plan, checked_plan, kept_plan
from fromage_model.index.storage import Segment, Stored, read_index, write_files, write_index
from fromage_model.index.vectors import VectorRows, check_lengths, checked_vectors
from fromage_model.storage.artefacts import locate, place

log = logging.getLogger(__name__)

CHECKED_ROWS = 1024
EXACT = Plan("exact", "asked for by whoever built it")
Dtype = Literal["float32", "float16"]


@dataclass(frozen=True)
class Hit:
    """An item that was found. `score` is the cosine of query and item, between -1 and 1."""

    id: str
    score: float
    item: Item


class RetrievalIndex:
    """Unit vectors (N, S) and their items, in one order. Made by `build` or `load`.

    Searches may run in several threads at once; `upsert`, `delete` and `compact` may not run beside anything else.
    """

    def __init__(self, stored: Stored, info: IndexInfo):
        """Parts that fit together, as `build` and `load` check."""
        self.info = info
        self._stored: Stored
        self._vectors: VectorRows
        self._items: ItemRows
        self.filters: Filters
        self._set(stored)

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
        picture_share: float = 0.5,
        words: int = 0,
        plan: Plan = EXACT,
        dtype: Dtype = "float32",
        queries: np.ndarray | None = None,
    ) -> Self:
        """An index of vectors (N, S) of length 1, and the catalogue rows that they belong to.

        `plan` says by what it is searched; recall of another kind than exact is measured with `queries` (Q, S), unit
        vectors that are not among the indexed ones, or without them by leaving one out. `dtype` is how vectors are
        stored. Raises RetrievalIndexError where the two don't fit together, an id occurs twice, or a vector is not of
        length 1; ConfigError for a plan that so many items can't be searched by, and other settings that can't be.
        """
        found = checked_vectors(vectors)
        items = checked_items(items, vectors=len(found))
        rows, width = found.shape
        info = IndexInfo(fingerprint, catalogue, catalogue_fingerprint, rows, width, created_by, segments=(rows,))
        info = replace(info, vectors=vectors_of, picture_share=picture_share, words=words, dtype=dtype)
        plan, queries = checked_plan(plan, rows), checked_sample(queries, width=width)
        segment = Segment(np.ascontiguousarray(found, dtype=dtype), items)
        index = cls(Stored([segment], np.zeros(rows, dtype=bool), None), info)
        index._make_searchable(plan, queries=queries)
        return index

    @classmethod
    def load(cls, name: str | Path, *, fingerprint: str | None = None) -> Self:
        """Open an index by name, folder or URI; `fingerprint` is that of the bundle it is to be used with.

        Vectors, items and what faiss made stay on disk until they are searched; the lengths of a sample are checked.
        Raises MissingArtefact, FingerprintMismatch, and RetrievalIndexError for files that can't be read or don't fit.
        """
        folder = locate("index", name)
        info = read_info(folder)
        if fingerprint is not None and info.fingerprint != str(fingerprint):
            raise FingerprintMismatch(f"index {name}", expected=str(fingerprint), found=info.fingerprint)
        index = cls(read_index(folder, info), info)
        sample = np.unique(np.linspace(0, info.stored - 1, CHECKED_ROWS).astype(np.int64))
        check_lengths(index._vectors.take(sample))
        return index

    def save(self, name: str | Path) -> Path:
        """Write the index whole or not at all, under a name or as a folder; returns the folder.

        Raises ConfigError rather than replace a folder that holds something else, and RetrievalIndexError where the
        disk is full or can't be written to.
        """
        folder = place("index", name)
        self.info = replace(self.info, format=FORMAT)
        self._stored = replace(self._stored, segments=write_index(folder, self.info, self._stored))
        return folder

    def write(self, folder: Path) -> None:
        """The files alone, into a folder that the caller puts in its place. Raises OSError where they can't be."""
        write_files(folder, replace(self.info, format=FORMAT), self._stored)

    def upsert(self, vectors: np.ndarray, items: pa.Table) -> None:
        """Add items with their unit vectors (N', S); an item whose id is there already is replaced.

        The vectors become a further segment, and the last in the index's order. Raises RetrievalIndexError as `build`.
        """
        vectors = np.ascontiguousarray(checked_vectors(vectors), dtype=self.info.dtype)
        if vectors.shape[1] != self.info.width:
            raise RetrievalIndexError(f"expected vectors of width {self.info.width}, got {vectors.shape[1]}")
        items = checked_items(items, vectors=len(vectors))
        replaced = [self._items.row_of(id) for id in items.column("id").to_pylist()]
        tombstones = np.concatenate([self._stored.tombstones, np.zeros(len(vectors), dtype=bool)])
        tombstones[[row for row in replaced if row is not None]] = True
        approximate = self._stored.approximate
        if approximate is not None:
            approximate = approximate.owned()
            approximate.add(VectorRows([vectors]))
        self._set(Stored([*self._stored.segments, Segment(vectors, items)], tombstones, approximate))

    def delete(self, ids: Collection[str]) -> int:
        """Take items out; returns how many were there. Raises RetrievalIndexError where none stays, InvalidInput."""
        rows = [row for id in set(checked_ids(ids, field="ids")) if (row := self._items.row_of(id)) is not None]
        if len(rows) == len(self):
            raise RetrievalIndexError("an index must keep at least one item; delete its folder instead")
        tombstones = self._stored.tombstones.copy()
        tombstones[rows] = True
        self._stored = replace(self._stored, tombstones=tombstones)
        self._items = self._items.buried(tombstones)
        self._count()
        return len(rows)

    def compact(self, plan: Plan | None = None, *, queries: np.ndarray | None = None) -> None:
        """Make the index anew of its items alone, in one segment, by another `plan` if one is given; measures again.

        Raises ConfigError for a plan that so many items can't be searched by; without one these are searched exactly.
        """
        plan = kept_plan(self.kind, self.info.reason, len(self)) if plan is None else checked_plan(plan, len(self))
        queries = checked_sample(queries, width=self.info.width)
        rows = np.flatnonzero(~self._stored.tombstones)
        vectors = self._vectors.take(rows).astype(self.info.dtype, copy=False)
        segment = Segment(vectors, self._items.living().combine_chunks())
        fingerprint = self.info.catalogue_fingerprint
        self._set(Stored([segment], np.zeros(len(rows), dtype=bool), None))
        self.mark_catalogue(fingerprint)
        self._make_searchable(plan, queries=queries)

    def mark_catalogue(self, fingerprint: str | None) -> None:
        """Note which state of the catalogue the items are of; an upsert or a delete makes it unknown."""
        self.info = replace(self.info, catalogue_fingerprint=fingerprint)

    @property
    def fingerprint(self) -> str:
        return self.info.fingerprint

    @property
    def kind(self) -> Literal["exact", "hnsw", "ivfpq"]:
        return "exact" if self._stored.approximate is None else self._stored.approximate.kind

    @property
    def tombstone_share(self) -> float:
        """The share of stored vectors that are deleted or replaced, from 0 to 1."""
        return self.info.tombstones / self.info.stored

    @property
    def vectors(self) -> np.ndarray:
        """(N, S) float32, each of length 1; not to be written to."""
        if self.info.tombstones:
            return self._vectors.take(np.flatnonzero(~self._stored.tombstones))
        return self._vectors.matrix()

    @property
    def items(self) -> pa.Table:
        """The catalogue's rows in the order of the vectors."""
        return self._items.living().combine_chunks()

    @property
    def ids(self) -> list[str]:
        """The items' ids in the order of the vectors."""
        return self._items.living().column("id").to_pylist()

    def __len__(self) -> int:
        return self.info.rows

    def __contains__(self, id: object) -> bool:
        return self._items.row_of(id) is not None

    def item(self, id: str) -> Item:
        """Raises InvalidInput for an id that is not in the index."""
        row = self._items.row_of(id)
        if row is None:
            raise InvalidInput(f"no item {id!r} in the index of {self.info.catalogue}", field="id")
        return self._items[row]

    def vectors_for(self, ids: Sequence[str]) -> np.ndarray:
        """(len(ids), S) float32, the vectors of these items in their order. Raises InvalidInput for an unknown id."""
        ids = checked_ids(ids, field="ids")
        rows = [self._items.row_of(id) for id in ids]
        unknown = [id for id, row in zip(ids, rows, strict=True) if row is None]
        if unknown:
            raise InvalidInput(f"no item {unknown[0]!r} in the index of {self.info.catalogue}", field="id")
        return self._vectors.take(np.array(rows, dtype=np.int64))

    def search(
        self, queries: np.ndarray, *, top_k: int, exclude: Collection[str] = (), filter: Filter | None = None
    ) -> list[list[Hit]]:
        """The `top_k` nearest items of each unit query (Q, S) or (S,), best first; equal scores in the index's order.

        Items in `exclude`, and those that `filter` does not let pass, are left out inside the search, so `top_k` others
        come back while there are that many; an id that the index does not hold excludes nothing. Raises InvalidInput,
        whose `field` names the argument: a wrong width, a query that is not finite, top_k below 1, no ids to exclude,
        or a filter that can't be used.
        """
        queries = checked_queries(queries, width=self.info.width)
        top_k = checked_top_k(top_k)
        allowed = self._allowed(exclude, filter)
        return [
            [
                Hit(self._items.id(int(row)), float(score), self._items[int(row)])
                for row, score in zip(*found, strict=True)
            ]
            for found in self._ranked(queries, top_k=top_k, allowed=allowed)
        ]

    def count(self, *, exclude: Collection[str] = (), filter: Filter | None = None) -> int:
        """How many items a search may find. Raises InvalidInput as `search`."""
        allowed = self._allowed(exclude, filter)
        return len(self) if allowed is None else int(np.count_nonzero(allowed))

    def _ranked(self, queries: np.ndarray, *, top_k: int, allowed: np.ndarray | None) -> list[Ranked]:
        """By faiss where that is worth it; a query for which it finds too few is asked exactly."""
        possible = len(self) if allowed is None else int(np.count_nonzero(allowed))
        top_k = min(top_k, possible)
        approximate, measured = self._stored.approximate, self.info.measured
        if approximate is None or measured is None or possible < measured.exact_below * self.info.stored:
            return search_exactly(self._vectors, queries, top_k=top_k, allowed=allowed)
        found = search(approximate, self._vectors, queries, top_k=top_k, effort=measured.effort, allowed=allowed)
        for number, ranked in enumerate(found):
            if len(ranked.rows) < top_k:
                (found[number],) = search_exactly(self._vectors, queries[[number]], top_k=top_k, allowed=allowed)
        return found

    def _allowed(self, exclude: Collection[str], filter: Filter | None) -> np.ndarray | None:
        """(N,) bool over stored rows, or None where every one may be found."""
        excluded = [row for id in checked_ids(exclude, field="exclude") if (row := self._items.row_of(id)) is not None]
        if filter is None and not excluded and not self.info.tombstones:
            return None
        allowed = ~self._stored.tombstones
        allowed[excluded] = False
        return allowed if filter is None else allowed & self.filters.mask(filter)

    def _set(self, stored: Stored) -> None:
        """Take these parts, and say of them what index.json is to say."""
        self._stored = stored
        self._vectors = VectorRows([segment.vectors for segment in stored.segments])
        table = pa.concat_tables([segment.items.select(SCHEMA.names) for segment in stored.segments])
        self._items = ItemRows(table, stored.tombstones)
        self.filters = Filters(table)
        self._count()

    def _count(self) -> None:
        """Bring the counts of `info` up to date; where they change, the catalogue's state is unknown from now on."""
        dead = int(self._stored.tombstones.sum())
        segments = tuple(len(segment.vectors) for segment in self._stored.segments)
        if (segments, dead) != (self.info.segments, self.info.tombstones):
            rows = sum(segments) - dead
            self.info = replace(self.info, rows=rows, segments=segments, tombstones=dead, catalogue_fingerprint=None)

    def _make_searchable(self, plan: Plan, *, queries: np.ndarray | None) -> None:
        """Build what the plan asks for over the stored rows, and measure it. The plan is a checked one."""
        self.info = replace(self.info, kind=plan.kind, reason=plan.reason, measured=None)
        if plan.kind == "exact":
            return
        approximate = Approximate.build(self._vectors, plan.kind)
        self._stored = replace(self._stored, approximate=approximate)
        self.info = replace(self.info, measured=measure(approximate, self._vectors, queries=queries))
