"""A retrieval index as it is asked: which items lie nearest to a retrieval embedding. Knows no changes.

Shapes: N items, Q queries, S shared width, T width of sentence embeddings.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from fromage_model.catalogue import SCHEMA, Item
from fromage_model.errors import FingerprintMismatch, InvalidInput
from fromage_model.index.checks import checked_ids, checked_queries, checked_top_k, checked_weight
from fromage_model.index.conditions import Condition
from fromage_model.index.exact import Ranked
from fromage_model.index.filters import Filter, Filters
from fromage_model.index.hybrid import (
    DEFAULT_DEMOTION,
    DEFAULT_NEARNESS,
    DEFAULT_PREFERENCE,
    DEFAULT_TEXT_WEIGHT,
    drawn_near,
    ranked_together,
)
from fromage_model.index.info import IndexInfo, read_info
from fromage_model.index.items import ItemRows
from fromage_model.index.making import rows_of, texts_of
from fromage_model.index.space import Space
from fromage_model.index.storage import Stored, read_index
from fromage_model.index.vectors import check_lengths
from fromage_model.storage.artefacts import locate

CHECKED_ROWS = 1024


@dataclass(frozen=True)
class Hit:
    """An item that was found. `score` is the cosine of query and item, between -1 and 1, in a hybrid search too, whose
    order is another.
    """

    id: str
    score: float
    item: Item


class AskedIndex:
    """Unit vectors (N, S) and their items, in one order. Searches may run in several threads at once."""

    def __init__(self, stored: Stored, info: IndexInfo):
        """Parts that fit together, as `build` and `load` check."""
        self.info = info
        self._stored: Stored
        self._space: Space
        self._texts: Space | None
        self._items: ItemRows
        self.filters: Filters
        self._set(stored)

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
        check_lengths(index._space.vectors.take(sample))
        return index

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
        return self._space.of_items()

    @property
    def texts(self) -> np.ndarray | None:
        """(N, T) float32, the embeddings of the items' texts in the same order; None where there are none."""
        return None if self._texts is None else self._texts.of_items()

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
        return self._space.vectors.take(np.array(rows, dtype=np.int64))

    def search(
        self,
        queries: np.ndarray,
        *,
        top_k: int,
        exclude: Collection[str] = (),
        filter: Filter | None = None,
        texts: np.ndarray | None = None,
        text_weight: float = DEFAULT_TEXT_WEIGHT,
        preferred: Sequence[Mapping[str, Sequence[str]]] = (),
        preference: float = DEFAULT_PREFERENCE,
        demoted: Collection[str] = (),
        demotion: float = DEFAULT_DEMOTION,
        near: Collection[str] = (),
        nearness: float = DEFAULT_NEARNESS,
    ) -> list[list[Hit]]:
        """The `top_k` nearest items of each unit query (Q, S) or (S,), best first; equal scores in the index's order.

        Items in `exclude`, and those that `filter` does not let pass, are left out inside the search, so `top_k` others
        come back while there are that many; an id that the index does not hold excludes nothing. With `texts` (Q, T) or
        (T,), sentence embeddings of the users' words, the search is hybrid: items' texts count `text_weight`, from 0 to
        1, and the queries the rest. `preferred` are properties, each with the cells of columns that say so: for each
        that an item has it comes sooner, by `preference` deviations of the cosines; items in `demoted` (ids) come
        later, by `demotion` of them. What is looked for lies near the items in `near` (ids): the mean of their vectors
        counts `nearness` times what a query does. Raises InvalidInput, whose `field` names the argument: a wrong width,
        a query that is not finite, top_k below 1, no ids to exclude, to demote or to be near to, a filter or property
        that can't be used, or texts for an index without.
        """
        queries = checked_queries(queries, width=self.info.width)
        top_k = checked_top_k(top_k)
        allowed = self._allowed(exclude, filter)
        words = self._checked_words(texts, queries)
        bonus = self._bonus(preferred, preference, self._rows_of(demoted, field="demoted"), demotion)
        beside = np.array(self._rows_of(near, field="near"), dtype=np.int64)
        drawn = drawn_near(queries, self._space.vectors.take(beside), nearness) if len(beside) else queries
        found = self._ranked(drawn, words, text_weight, bonus, top_k=top_k, allowed=allowed)
        return [self._hits(rows, query) for (rows, _), query in zip(found, queries, strict=True)]

    def count(self, *, exclude: Collection[str] = (), filter: Filter | None = None) -> int:
        """How many items a search may find. Raises InvalidInput as `search`."""
        allowed = self._allowed(exclude, filter)
        return len(self) if allowed is None else int(np.count_nonzero(allowed))

    def holds_any(
        self, *, exclude: Collection[str] = (), filter: Filter | None = None, kind: Mapping[str, Sequence[str]]
    ) -> bool:
        """Whether a search may find an item with one of the cells of `kind`, by column; any item where that has none.
        Raises InvalidInput as `search`.
        """
        if not kind:
            return self.count(exclude=exclude, filter=filter) > 0
        allowed = self._allowed(exclude, filter)
        own = np.logical_or.reduce([self.filters.mask({column: list(cells)}) for column, cells in kind.items()])
        return bool((own if allowed is None else own & allowed).any())

    def met(
        self,
        said: Mapping[str, Condition],
        *,
        given: Mapping[str, Condition],
        exclude: Collection[str],
        kind: Mapping[str, Sequence[str]],
    ) -> dict[str, Condition]:
        """The filters `given`, with as many of those `said`, the last before earlier ones, as leave an item: one of
        `kind`, as for `holds_any`, where one of that is left at all. Raises InvalidInput as `search`.
        """
        left = kind if self.holds_any(exclude=exclude, filter=given or None, kind=kind) else {}
        held = dict(given)
        for column in reversed(list(said)):
            if self.holds_any(exclude=exclude, filter={**held, column: said[column]}, kind=left):
                held[column] = said[column]
        return {column: held[column] for column in (*given, *said) if column in held}

    def _ranked(
        self,
        queries: np.ndarray,
        words: np.ndarray | None,
        text_weight: float,
        bonus: np.ndarray | None,
        *,
        top_k: int,
        allowed: np.ndarray | None,
    ) -> list[Ranked]:
        """The rows of each query in their order, with what they are ordered by."""
        weight = checked_weight(text_weight)
        possible = len(self) if allowed is None else int(np.count_nonzero(allowed))
        top_k = min(top_k, possible)
        alone = words is None or self._texts is None or not weight
        if alone and bonus is None:
            return self._space.ranked(queries, top_k=top_k, allowed=allowed, possible=possible)
        spaces = [(self._space, queries, 1.0 if alone else 1 - weight)]
        if words is not None and self._texts is not None and weight:
            spaces.append((self._texts, words, weight))
        return ranked_together(spaces, top_k=top_k, allowed=allowed, possible=possible, bonus=bonus)

    def _hits(self, rows: np.ndarray, query: np.ndarray) -> list[Hit]:
        """Of rows in their order, with their cosines with a query (S,)."""
        scores = self._space.vectors.take(rows) @ query
        return [
            Hit(self._items.id(int(row)), float(score), self._items[int(row)])
            for row, score in zip(rows, scores, strict=True)
        ]

    def _checked_words(self, texts: np.ndarray | None, queries: np.ndarray) -> np.ndarray | None:
        if texts is None:
            return None
        if self.info.sentences is None:
            raise InvalidInput("expected no texts: the index was not made for hybrid search", field="texts")
        return checked_queries(texts, width=self.info.sentences.width, rows=len(queries), field="texts")

    def _bonus(
        self,
        preferred: Sequence[Mapping[str, Sequence[str]]],
        preference: float,
        demoted: Sequence[int],
        demotion: float,
    ) -> np.ndarray | None:
        """(N,) float32 over stored rows, or None where all are alike."""
        if not (preferred and preference) and not (demoted and demotion):
            return None
        bonus = np.zeros(self.info.stored, dtype=np.float32)
        bonus[demoted] -= demotion
        for cells in preferred:
            masks = [self.filters.mask({column: list(wanted)}) for column, wanted in cells.items()]
            bonus += preference * np.logical_or.reduce(masks)
        return bonus

    def _allowed(self, exclude: Collection[str], filter: Filter | None) -> np.ndarray | None:
        """(N,) bool over stored rows, or None where every one may be found."""
        excluded = self._rows_of(exclude, field="exclude")
        if filter is None and not excluded and not self.info.tombstones:
            return None
        allowed = ~self._stored.tombstones
        allowed[excluded] = False
        return allowed if filter is None else allowed & self.filters.mask(filter)

    def _rows_of(self, ids: Collection[str], *, field: str) -> list[int]:
        """The stored rows of these items; none of one that the index does not hold."""
        return [row for id in checked_ids(ids, field=field) if (row := self._items.row_of(id)) is not None]

    def _set(self, stored: Stored) -> None:
        """Take these parts, and say of them what index.json is to say."""
        self._stored = stored
        self._open_spaces()
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

    def _open_spaces(self) -> None:
        stored, told = self._stored, self.info.sentences
        living, texts = ~stored.tombstones, texts_of(stored)
        self._space = Space(rows_of(stored), living, stored.approximate, self.info.measured)
        self._texts = Space(texts, living, stored.approximate_texts, told.measured) if texts and told else None
