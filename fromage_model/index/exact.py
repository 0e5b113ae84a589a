"""Exact search: every vector that may be found is compared, a block at a time. Knows nothing of items.

Shapes: N rows, Q queries, S shared width.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from fromage_model.index.vectors import VectorRows

BLOCK_ROWS = 1 << 15
CHUNK_QUERIES = 256
# Below this share of rows it is cheaper to copy those out than to compare all and leave most aside.
GATHERED_SHARE = 0.25


class Ranked(NamedTuple):
    """Rows (K,) int64 of one query's best, best first, and their cosines (K,) float32."""

    rows: np.ndarray
    scores: np.ndarray


def search_exactly(
    vectors: VectorRows, queries: np.ndarray, *, top_k: int, allowed: np.ndarray | None = None
) -> list[Ranked]:
    """The `top_k` nearest rows of each query (Q, S), best first; equal scores in the order of rows.

    `allowed` (N,) bool leaves out the rows where it is False; None allows all.
    """
    if allowed is not None:
        top_k = min(top_k, int(np.count_nonzero(allowed)))
    results = []
    for start in range(0, len(queries), CHUNK_QUERIES):
        results += _search_chunk(vectors, queries[start : start + CHUNK_QUERIES], top_k=top_k, allowed=allowed)
    return results


def rank(vectors: VectorRows, query: np.ndarray, rows: np.ndarray, *, top_k: int) -> Ranked:
    """The best of some rows by their exact cosines with one query (S,)."""
    rows = np.sort(rows)
    scores = vectors.take(rows) @ query
    best = top_rows(scores, top_k)
    return Ranked(rows[best], scores[best])


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


def _search_chunk(vectors: VectorRows, queries: np.ndarray, *, top_k: int, allowed: np.ndarray | None) -> list[Ranked]:
    best = [Ranked(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in queries]
    for rows, block in _blocks(vectors, allowed):
        scores = queries @ block.T
        if allowed is not None:
            scores[:, ~allowed[rows]] = -np.inf
        best = [_better(found, rows, row_scores, top_k=top_k) for found, row_scores in zip(best, scores, strict=True)]
    return best


def _better(found: Ranked, rows: np.ndarray, scores: np.ndarray, *, top_k: int) -> Ranked:
    """The best of what was found in earlier rows and of a further block; ties stay in the order of rows."""
    candidates = top_rows(scores, top_k)
    rows = np.concatenate([found.rows, rows[candidates]])
    scores = np.concatenate([found.scores, scores[candidates]])
    kept = top_rows(scores, top_k)
    return Ranked(rows[kept], scores[kept])


def _blocks(vectors: VectorRows, allowed: np.ndarray | None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Row numbers (B,) and their vectors (B, S) float32 in the order of rows: all, or only those allowed if few are."""
    if allowed is not None and np.count_nonzero(allowed) < GATHERED_SHARE * len(allowed):
        wanted = np.flatnonzero(allowed)
        for start in range(0, len(wanted), BLOCK_ROWS):
            rows = wanted[start : start + BLOCK_ROWS]
            yield rows, vectors.take(rows)
        return
    for start, block in vectors.blocks(BLOCK_ROWS):
        yield np.arange(start, start + len(block)), block
