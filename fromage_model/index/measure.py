"""How much of the truth an approximate search finds, and what effort and which filters it takes. Knows no items.

Shapes: N rows, Q queries, S shared width.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np

from fromage_model.index.approximate import EFFORTS, Approximate
from fromage_model.index.exact import Ranked, rank, search_exactly
from fromage_model.index.info import Measured
from fromage_model.index.vectors import VectorRows

log = logging.getLogger(__name__)

TOP_K = 10
# Above what is promised (0.98), because other queries than the sample will be asked.
RECALL_TARGET = 0.985
QUERIES = 300
FILTERED_QUERIES = 100
TIMED_QUERIES = 15
SHARES = (0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005)


def measure(approximate: Approximate, vectors: VectorRows, *, queries: np.ndarray | None = None) -> Measured:
    """The least effort that reaches the target, what it reaches, and where filters make exact search the better way.

    `queries` (Q, S) are apart from the index; without them indexed vectors are asked for, each without itself.
    """
    rng = np.random.default_rng(0)
    queries, own = _queries(vectors, queries, rng)
    truth = _without(search_exactly(vectors, queries, top_k=TOP_K + 1), own)
    for effort in EFFORTS[approximate.kind]:
        recall = _recall(_found(approximate, vectors, queries, effort=effort, own=own), truth)
        log.info("%s: effort %d finds %.4f of the nearest ten", approximate.kind, effort, recall)
        if recall >= RECALL_TARGET:
            break
    else:
        log.warning("%s reaches %.4f of the nearest ten, not %.3f", approximate.kind, recall, RECALL_TARGET)
    return Measured(
        recall_at_10=round(recall, 4),
        queries=len(queries),
        queries_of="leave-one-out" if (own >= 0).any() else "apart",
        effort=effort,
        exact_below=_exact_below(approximate, vectors, queries, effort=effort, rng=rng),
        median_ms=round(_median_ms(partial(search, approximate, vectors, top_k=TOP_K, effort=effort), queries), 3),
        exact_median_ms=round(_median_ms(partial(search_exactly, vectors, top_k=TOP_K), queries), 3),
    )


def search(
    approximate: Approximate,
    vectors: VectorRows,
    queries: np.ndarray,
    *,
    top_k: int,
    effort: int,
    allowed: np.ndarray | None = None,
) -> list[Ranked]:
    """The nearest rows of each query by their exact cosines, as far as the candidates hold them."""
    found = approximate.candidates(queries, top_k=top_k, effort=effort, allowed=allowed)
    return [rank(vectors, query, rows[rows >= 0], top_k=top_k) for query, rows in zip(queries, found, strict=True)]


def _exact_below(
    approximate: Approximate, vectors: VectorRows, queries: np.ndarray, *, effort: int, rng: np.random.Generator
) -> float:
    """The largest share of rows, of those tried, at which exact search is faster or the other way misses too much."""
    queries = queries[:FILTERED_QUERIES]
    for share in SHARES:
        allowed = rng.random(len(vectors)) < share
        truth = search_exactly(vectors, queries, top_k=TOP_K, allowed=allowed)
        filtered = partial(search, approximate, vectors, top_k=TOP_K, effort=effort, allowed=allowed)
        recall, ms = _recall(filtered(queries), truth), _median_ms(filtered, queries)
        exact_ms = _median_ms(partial(search_exactly, vectors, top_k=TOP_K, allowed=allowed), queries)
        log.info("a filter that keeps %g: %.4f in %.2f ms, exactly in %.2f ms", share, recall, ms, exact_ms)
        if recall < RECALL_TARGET or exact_ms <= ms:
            return share
    return 0.0


def _queries(
    vectors: VectorRows, queries: np.ndarray | None, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The queries, and of each the row that it is itself, or -1."""
    if queries is not None:
        chosen = rng.permutation(len(queries))[:QUERIES]
        return np.ascontiguousarray(queries[chosen], dtype=np.float32), np.full(len(chosen), -1)
    own = np.sort(rng.permutation(len(vectors))[:QUERIES])
    return vectors.take(own), own


def _found(
    approximate: Approximate, vectors: VectorRows, queries: np.ndarray, *, effort: int, own: np.ndarray
) -> list[Ranked]:
    return _without(search(approximate, vectors, queries, top_k=TOP_K + 1, effort=effort), own)


def _without(found: Sequence[Ranked], own: np.ndarray) -> list[Ranked]:
    """The best ten of each that are not the query itself."""
    return [
        Ranked(*(column[ranked.rows != row][:TOP_K] for column in ranked))
        for ranked, row in zip(found, own, strict=True)
    ]


def _recall(found: Sequence[Ranked], truth: Sequence[Ranked]) -> float:
    """The share of true neighbours that were found; an equally near one is as good as the one that the truth names."""
    hits = sum(
        min(int(np.count_nonzero(ranked.scores >= true.scores[-1] - 1e-6)), len(true.scores))
        for ranked, true in zip(found, truth, strict=True)
        if len(true.scores)
    )
    return hits / max(sum(len(true.scores) for true in truth), 1)


def _median_ms(ask: Callable[[np.ndarray], object], queries: np.ndarray) -> float:
    """One query at a time."""
    times = []
    for query in queries[:TIMED_QUERIES]:
        start_s = time.perf_counter()
        ask(query[None])
        times.append((time.perf_counter() - start_s) * 1e3)
    return median(times)
