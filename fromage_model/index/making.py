"""What an index is made of: segments checked as they come, made searchable by a plan, and made anew without the dead.

Knows no queries but those that recall is measured with.

Shapes: N items, S shared width, T width of sentence embeddings, Q queries.
"""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from fromage_model.errors import ConfigError, RetrievalIndexError
from fromage_model.index.approximate import Approximate
from fromage_model.index.info import DTYPES, IndexInfo, Measured, Sentences
from fromage_model.index.items import checked_items
from fromage_model.index.measure import measure
from fromage_model.index.plan import Kind, Plan
from fromage_model.index.storage import Segment, Stored
from fromage_model.index.vectors import VectorRows, checked_vectors


def checked_segment(
    vectors: np.ndarray,
    items: pa.Table,
    *,
    dtype: str,
    width: int | None = None,
    texts: np.ndarray | None = None,
    sentences: Sentences | None = None,
) -> Segment:
    """Unit vectors (N, S), the rows they belong to and, of an index that has such, their texts' embeddings (N, T).

    Raises RetrievalIndexError where they don't fit together, or the index, whose vectors are of `width`; ConfigError
    for a dtype that vectors are not stored in.
    """
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ConfigError(f"dtype is {dtype!r:.80}; expected {' or '.join(DTYPES)}")
    found = checked_vectors(vectors)
    if width is not None and found.shape[1] != width:
        raise RetrievalIndexError(f"expected vectors of width {width}, got {found.shape[1]}")
    rows = checked_items(items, vectors=len(found))
    told = checked_texts(texts, sentences, rows=len(found), dtype=dtype)
    return Segment(np.ascontiguousarray(found, dtype=dtype), rows, texts=told)


def checked_texts(texts: np.ndarray | None, sentences: Sentences | None, *, rows: int, dtype: str) -> np.ndarray | None:
    """(N, T) as they are stored; None for an index without. Raises RetrievalIndexError."""
    if (texts is None) != (sentences is None):
        what = "no texts' embeddings, as the index has none" if sentences is None else "embeddings of the items' texts"
        raise RetrievalIndexError(f"expected {what}, got {'none' if texts is None else 'some'}")
    if texts is None or sentences is None:
        return None
    found = checked_vectors(texts)
    if found.shape != (rows, sentences.width):
        raise RetrievalIndexError(f"expected texts of shape {(rows, sentences.width)}, got {found.shape}")
    return np.ascontiguousarray(found, dtype=dtype)


def made_searchable(
    stored: Stored, info: IndexInfo, plan: Plan, *, queries: np.ndarray | None = None
) -> tuple[Stored, IndexInfo]:
    """With what the plan, a checked one, asks for over the stored rows, and how well that does."""
    approximate, measured = _faiss(plan.kind, rows_of(stored), queries)
    stored, info = (
        replace(stored, approximate=approximate),
        replace(info, kind=plan.kind, reason=plan.reason, measured=measured),
    )
    return texts_searchable(stored, info, kind=plan.kind)


def texts_searchable(stored: Stored, info: IndexInfo, *, kind: Kind) -> tuple[Stored, IndexInfo]:
    """The same of the texts alone, where there are some."""
    texts = texts_of(stored)
    if texts is None or info.sentences is None:
        return replace(stored, approximate_texts=None), replace(info, sentences=None)
    approximate, measured = _faiss(kind, texts, None)
    sentences = replace(info.sentences, measured=measured)
    return replace(stored, approximate_texts=approximate), replace(info, sentences=sentences)


def with_segment(stored: Stored, segment: Segment, tombstones: np.ndarray) -> Stored:
    """A further segment, for faiss too."""
    approximate, approximate_texts = stored.approximate, stored.approximate_texts
    if approximate is not None:
        approximate = approximate.owned()
        approximate.add(VectorRows([segment.vectors]))
    if approximate_texts is not None and segment.texts is not None:
        approximate_texts = approximate_texts.owned()
        approximate_texts.add(VectorRows([segment.texts]))
    return Stored([*stored.segments, segment], tombstones, approximate, approximate_texts)


def compacted(stored: Stored, items: pa.Table, *, dtype: str) -> Stored:
    """The living rows, whose items are given, in one segment; not searchable yet."""
    rows = np.flatnonzero(~stored.tombstones)
    texts = texts_of(stored)
    told = None if texts is None else texts.take(rows).astype(dtype, copy=False)
    segment = Segment(rows_of(stored).take(rows).astype(dtype, copy=False), items, texts=told)
    return Stored([segment], np.zeros(len(rows), dtype=bool), None)


def rows_of(stored: Stored) -> VectorRows:
    return VectorRows([segment.vectors for segment in stored.segments])


def texts_of(stored: Stored) -> VectorRows | None:
    """None for an index without."""
    told = [segment.texts for segment in stored.segments if segment.texts is not None]
    return VectorRows(told) if told else None


def _faiss(kind: Kind, rows: VectorRows, queries: np.ndarray | None) -> tuple[Approximate | None, Measured | None]:
    if kind == "exact":
        return None, None
    approximate = Approximate.build(rows, kind)
    return approximate, measure(approximate, rows, queries=queries)
