"""The retrieval index: which items lie nearest to a retrieval embedding. Knows nothing of models or pictures.

An index is a folder: segments of vectors and of the catalogue's rows (`storage`), and `index.json` (`info`: the
fingerprint of the model that made the vectors, the catalogue's name, the kind of search and how well it does). Small
ones are searched exactly, large ones by faiss (`plan`), whose candidates are ranked by their exact cosines. Upserts add
a segment, deletes leave tombstones, and `compact` makes the index anew without them. One for hybrid search (`hybrid`)
has embeddings of the items' texts beside the vectors, by a sentence encoder that it names and does not hold.

Shapes: N items, Q queries, S shared width, T width of sentence embeddings.
"""

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pyarrow as pa

from fromage_model.errors import RetrievalIndexError
from fromage_model.index.asked import AskedIndex
from fromage_model.index.checks import checked_ids, checked_sample
from fromage_model.index.info import FORMAT, IndexInfo, Sentences
from fromage_model.index.making import (
    checked_segment,
    checked_texts,
    compacted,
    made_searchable,
    texts_searchable,
    with_segment,
)
from fromage_model.index.plan import Plan, checked_plan, kept_plan
from fromage_model.index.storage import Stored, write_files, write_index
from fromage_model.storage.artefacts import place

EXACT = Plan("exact", "asked for by whoever built it")
Dtype = Literal["float32", "float16"]


class RetrievalIndex(AskedIndex):
    """Unit vectors (N, S) and their items, in one order. Made by `build` or `load`.

    Searches may run in several threads at once; `upsert`, `delete`, `compact`, `tell` and `forget_texts` may not run
    beside anything else.
    """

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
        texts: np.ndarray | None = None,
        sentences: Sentences | None = None,
    ) -> Self:
        """An index of vectors (N, S) of length 1, and the catalogue rows that they belong to.

        `plan` says by what it is searched; recall of another kind than exact is measured with `queries` (Q, S), unit
        vectors that are not among the indexed ones, or without them by leaving one out. `dtype` is how vectors are
        stored. For hybrid search `texts` (N, T) are the embeddings of the items' texts, of length 1, by the encoder
        that `sentences` names. Raises RetrievalIndexError where they don't fit together, an id occurs twice, or a
        vector is not of length 1; ConfigError for a plan that so many items can't be searched by, and other settings
        that can't be.
        """
        segment = checked_segment(vectors, items, dtype=dtype, texts=texts, sentences=sentences)
        rows, width = segment.vectors.shape
        info = IndexInfo(fingerprint, catalogue, catalogue_fingerprint, rows, width, created_by, segments=(rows,))
        info = replace(info, vectors=vectors_of, picture_share=picture_share, words=words, dtype=dtype)
        plan, queries = checked_plan(plan, rows), checked_sample(queries, width=width)
        index = cls(Stored([segment], np.zeros(rows, dtype=bool), None), replace(info, sentences=sentences))
        index._make_searchable(plan, queries=queries)
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

    def upsert(self, vectors: np.ndarray, items: pa.Table, *, texts: np.ndarray | None = None) -> None:
        """Add items with their unit vectors (N', S), and `texts` (N', T) where the index has such; an item whose id is
        there already is replaced.

        The vectors become a further segment, and the last in the index's order. Raises RetrievalIndexError as `build`.
        """
        info = self.info
        segment = checked_segment(
            vectors, items, dtype=info.dtype, width=info.width, texts=texts, sentences=info.sentences
        )
        replaced = [self._items.row_of(id) for id in segment.items.column("id").to_pylist()]
        tombstones = np.concatenate([self._stored.tombstones, np.zeros(len(segment.vectors), dtype=bool)])
        tombstones[[row for row in replaced if row is not None]] = True
        self._set(with_segment(self._stored, segment, tombstones))

    def delete(self, ids: Collection[str]) -> int:
        """Take items out; returns how many were there. Raises RetrievalIndexError where none stays, InvalidInput."""
        rows = [row for id in set(checked_ids(ids, field="ids")) if (row := self._items.row_of(id)) is not None]
        if len(rows) == len(self):
            raise RetrievalIndexError("an index must keep at least one item; delete its folder instead")
        tombstones = self._stored.tombstones.copy()
        tombstones[rows] = True
        self._stored = replace(self._stored, tombstones=tombstones)
        self._items = self._items.buried(tombstones)
        self._open_spaces()
        self._count()
        return len(rows)

    def compact(self, plan: Plan | None = None, *, queries: np.ndarray | None = None) -> None:
        """Make the index anew of its items alone, in one segment, by another `plan` if one is given; measures again.

        Raises ConfigError for a plan that so many items can't be searched by; without one these are searched exactly.
        """
        plan = kept_plan(self.kind, self.info.reason, len(self)) if plan is None else checked_plan(plan, len(self))
        queries = checked_sample(queries, width=self.info.width)
        fingerprint = self.info.catalogue_fingerprint
        self._set(compacted(self._stored, self.items, dtype=self.info.dtype))
        self.mark_catalogue(fingerprint)
        self._make_searchable(plan, queries=queries)

    def tell(self, texts: np.ndarray, sentences: Sentences) -> None:
        """Make it one for hybrid search: `texts` (N, T) in the order of `items`, in the place of those it had. Without
        tombstones and with one segment afterwards where it had some. Raises RetrievalIndexError as `build`.
        """
        told = checked_texts(texts, sentences, rows=len(self), dtype=self.info.dtype)
        if self.info.tombstones or len(self.info.segments) > 1:
            self.compact()
        (segment,) = self._stored.segments
        bare = replace(segment, folder=None, texts=told)
        stored, self.info = texts_searchable(
            replace(self._stored, segments=[bare]), replace(self.info, sentences=sentences), kind=self.kind
        )
        self._set(stored)

    def forget_texts(self) -> None:
        """Make it one that is not for hybrid search."""
        segments = [replace(segment, texts=None) for segment in self._stored.segments]
        self.info = replace(self.info, sentences=None)
        self._set(replace(self._stored, segments=segments, approximate_texts=None))

    def mark_catalogue(self, fingerprint: str | None) -> None:
        """Note which state of the catalogue the items are of; an upsert or a delete makes it unknown."""
        self.info = replace(self.info, catalogue_fingerprint=fingerprint)

    def _make_searchable(self, plan: Plan, *, queries: np.ndarray | None) -> None:
        """Build what the plan, a checked one, asks for over the stored rows, and measure it."""
        self._stored, self.info = made_searchable(self._stored, self.info, plan, queries=queries)
        self._open_spaces()
