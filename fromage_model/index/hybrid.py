"""Hybrid search: what the LM asks for and what the user's words say of items' texts, ranked by both together.

Each item has a cosine with the embedding at [RET] and one of its text with the user's words. Both are standardised,
so that either counts by how far an item stands out among all items and not by how large a model's cosines happen to
be, and added. Mean and deviation are those over the whole index, before filters and exclusions: among the few that a
filter leaves they would be noise, and the same words would weigh otherwise after every reply. The mean is the same for
all items, so that only deviations have a part in the order.

Shapes: N rows, Q queries.
"""

from collections.abc import Sequence

import numpy as np

from fromage_model.index.exact import Ranked, Side, rank_sum, search_sum
from fromage_model.index.space import Space

DEFAULT_TEXT_WEIGHT = 0.3
"""Needs are found less well with more, looks and turns with less."""
DEFAULT_PREFERENCE = 1.5
"""Deviations that an item gains by each property it was described by."""
DEFAULT_DEMOTION = 1.0
"""Deviations that an item loses which is to come after others: less than a property is worth."""
DEFAULT_NEARNESS = 0.5
"""What the items that a conversation is about count beside what it asks for now."""
POOL_ROWS = 200
POOL_TIMES = 4
"""Candidates of each space where faiss names them: so many, or this many times what is asked for."""


def ranked_together(
    spaces: Sequence[tuple[Space, np.ndarray, float]],
    *,
    top_k: int,
    allowed: np.ndarray | None,
    possible: int,
    bonus: np.ndarray | None = None,
) -> list[Ranked]:
    """Spaces of the same rows with the queries asked of each, (Q, S), and what its standardised cosine counts; and what
    is added to each row's sum, (N,) float32.

    The `scores` are weighed sums of cosines, each over its deviation: they say the order, and are no cosines.
    """
    weighed = [
        (space, queries * (weight / space.deviations(queries))[:, None].astype(np.float32))
        for space, queries, weight in spaces
    ]
    if any(space.is_exact(possible) for space, _ in weighed):
        sides = [(space.vectors, queries) for space, queries in weighed]
        return search_sum(sides, top_k=top_k, allowed=allowed, bonus=bonus)
    named = _candidates(spaces, top_k=top_k, allowed=allowed, possible=possible)
    if bonus is not None and bonus.any():
        # Those of the highest bonus may lie far from the query, and still come first.
        best = bonus == bonus[slice(None) if allowed is None else allowed].max()
        best = best if allowed is None else best & allowed
        named += _candidates(spaces, top_k=top_k, allowed=best, possible=int(np.count_nonzero(best)))
    results = []
    for number, candidates in enumerate(zip(*named, strict=True)):
        rows = np.unique(np.concatenate([found.rows for found in candidates]))
        own: list[Side] = [(space.vectors, queries[[number]]) for space, queries in weighed]
        results.append(rank_sum(own, rows, top_k=top_k, bonus=bonus))
    return results


def drawn_near(queries: np.ndarray, vectors: np.ndarray, nearness: float) -> np.ndarray:
    """Queries (Q, S), each with the mean direction of some items (K, S) added, `nearness` times, and of length 1 again.

    Rocchio's relevance feedback (1971), with products that a conversation goes on about for relevant ones.
    """
    mean = vectors.mean(axis=0)
    length = float(np.linalg.norm(mean))
    if not length:
        return queries
    drawn = queries + nearness * mean / length
    lengths = np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.where(lengths > 0, drawn / np.maximum(lengths, np.finfo(np.float32).tiny), queries).astype(np.float32)


def _candidates(
    spaces: Sequence[tuple[Space, np.ndarray, float]], *, top_k: int, allowed: np.ndarray | None, possible: int
) -> list[list[Ranked]]:
    """Of each space, for each query."""
    pool = min(max(POOL_ROWS, POOL_TIMES * top_k), possible)
    return [space.ranked(queries, top_k=pool, allowed=allowed, possible=possible) for space, queries, _ in spaces]
