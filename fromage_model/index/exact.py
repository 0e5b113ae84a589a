"""Exact search: every vector that may be found is compared, a block at a time. Knows nothing of items.

Shapes: N rows, Q queries, S shared width.
"""

from collections.abc import Iterator, Sequence
from functools import reduce
from typing import NamedTuple, TypeAlias

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


Side: TypeAlias = tuple[VectorRows, np.ndarray]


def search_exactly(
    vectors: VectorRows, queries: np.ndarray, *, top_k: int, allowed: np.ndarray | None = None
) -> list[Ranked]:
    """The `top_k` nearest rows of each query (Q, S), best first; equal scores in the order of rows.

    `allowed` (N,) bool leaves out the rows where it is False; None allows all.
    """
    return search_sum([(vectors, queries)], top_k=top_k, allowed=allowed)


def search_sum(
    sides: Sequence[Side], *, top_k: int, allowed: np.ndarray | None = None, bonus: np.ndarray | None = None
) -> list[Ranked]:
    """The same by the sum of what each row has on every side: vectors in segments of the same rows, each with its own
    Q queries; and of what each has beside, `bonus` (N,) float32.
    """
    if allowed is not None:
        top_k = min(top_k, int(np.count_nonzero(allowed)))
    results = []
    for start in range(0, len(sides[0][1]), CHUNK_QUERIES):
        chunk = [(vectors, queries[start : start + CHUNK_QUERIES]) for vectors, queries in sides]
        results += _search_chunk(chunk, top_k=top_k, allowed=allowed, bonus=bonus)
    return results


def rank(vectors: VectorRows, query: np.ndarray, rows: np.ndarray, *, top_k: int) -> Ranked:
    """The best of some rows by their exact cosines with one query (S,)."""
    return rank_sum([(vectors, query[None])], rows, top_k=top_k)


def rank_sum(sides: Sequence[Side], rows: np.ndarray, *, top_k: int, bonus: np.ndarray | None = None) -> Ranked:
    """The same by the sum over sides of one query each, (1, S), and a `bonus` as for `search_sum`."""
    rows = np.sort(rows)
    scores = reduce(np.add, (vectors.take(rows) @ query[0] for vectors, query in sides))
    if bonus is not None:
        scores = scores + bonus[rows]
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


def _search_chunk(
    sides: Sequence[Side], *, top_k: int, allowed: np.ndarray | None, bonus: np.ndarray | None
) -> list[Ranked]:
    best = [Ranked(np.empty(0, np.int64), np.empty(0, np.float32)) for _ in sides[0][1]]
    for blocks in zip(*(_blocks(vectors, allowed) for vectors, _ in sides), strict=True):
        rows = blocks[0][0]
        scores = reduce(np.add, (queries @ block.T for (_, queries), (_, block) in zip(sides, blocks, strict=True)))
        if bonus is not None:
            scores = scores + bonus[rows]
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
