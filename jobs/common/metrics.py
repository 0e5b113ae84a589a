"""Recall at k between two sets of embeddings, and how sure a share is. Knows nothing of models, items or files.

Ties count against the query: a candidate that scores as high as the wanted one stands before it, so a model that gives
everything the same score finds nothing.

Shapes: Q queries, C candidates, S shared width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

KS = (1, 5, 10)
CHUNK_QUERIES = 1024


@dataclass(frozen=True)
class Estimate:
    """A share between 0 and 1, and its bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Recall:
    """The share of queries whose wanted candidate is among the first k, for each k."""

    at: Mapping[int, Estimate]
    queries: int
    candidates: int

    def to_json(self) -> dict[str, float]:
        """In percent: {"r_at_1": 14.0, ...}."""
        return {f"r_at_{k}": _percent(estimate.value) for k, estimate in self.at.items()}

    def intervals_to_json(self) -> dict[str, list[float]]:
        """In percent: {"r_at_1": [low, high], ...}."""
        return {f"r_at_{k}": [_percent(estimate.low), _percent(estimate.high)] for k, estimate in self.at.items()}


def estimate_share(
    outcomes: Sequence[float] | np.ndarray,
    *,
    groups: Sequence[int] | None = None,
    confidence: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Estimate:
    """The mean of outcomes, 0 to 1, with its percentile bootstrap interval over the outcomes.

    Outcomes that are all alike give an interval of no width: the bootstrap can't imagine what it never saw. `groups`
    are the lengths of runs of outcomes that depend on each other: then whole runs are drawn. Raises ValueError without
    outcomes.
    """
    values = np.asarray(outcomes, dtype=np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"expected a list of outcomes, got an array of shape {values.shape}")
    mean = float(values.mean())
    if (values == values[0]).all():
        return Estimate(mean, mean, mean)
    if groups is not None:
        return _estimate_by_groups(values, np.asarray(groups), confidence=confidence, resamples=resamples, seed=seed)
    from scipy import stats  # takes half a second, and training, which ranks alone, has no use for it

    interval = stats.bootstrap(
        (values,),
        np.mean,
        confidence_level=confidence,
        n_resamples=resamples,
        batch=max(1, 1_000_000 // len(values)),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Estimate(mean, float(interval.low), float(interval.high))


def _estimate_by_groups(
    values: np.ndarray, groups: np.ndarray, *, confidence: float, resamples: int, seed: int
) -> Estimate:
    if groups.sum() != len(values) or (groups < 1).any():
        raise ValueError(f"expected groups of {len(values)} outcomes, got {groups.tolist()}")
    sums = np.add.reduceat(values, np.cumsum(groups) - groups)
    drawn = np.random.default_rng(seed).integers(len(groups), size=(resamples, len(groups)))
    means = sums[drawn].sum(axis=1) / groups[drawn].sum(axis=1)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(float(values.mean()), float(low), float(high))


def target_ranks(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(Q, C) scores and the wanted column of each query (Q,) -> (Q,) how many other candidates score at least as high.

    Raises ValueError for scores that are not finite: a NaN compares as lower than everything and would count as found.
    """
    scores, targets = np.asarray(scores), np.asarray(targets)
    if scores.ndim != 2 or targets.shape != scores.shape[:1]:
        raise ValueError(f"expected one target for each row of scores, got {targets.shape} for {scores.shape}")
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got NaN or infinity")
    wanted = np.take_along_axis(scores, targets[:, None], axis=1)
    return (scores >= wanted).sum(axis=1) - 1


def recall_at_k(scores: np.ndarray, targets: np.ndarray, *, ks: Sequence[int] = KS, seed: int = 0) -> Recall:
    """(Q, C) scores and the wanted column of each query (Q,) -> the share of queries found among the first k."""
    return _recall(target_ranks(scores, targets), candidates=np.shape(scores)[1], ks=ks, seed=seed)


def answer_ranks(scores: np.ndarray, answers: np.ndarray) -> np.ndarray:
    """(Q, C) scores and which columns answer each query (Q, C) -> (Q,) how many others score at least as high as the
    best answer.

    Raises ValueError for scores that are not finite, and for a query that nothing answers.
    """
    if not np.isfinite(scores).all():
        raise ValueError("expected finite scores, got NaN or infinity")
    if answers.shape != scores.shape or not answers.any(axis=1).all():
        raise ValueError(f"expected an answer to each of {scores.shape} queries, got answers {answers.shape}")
    best = np.where(answers, scores, -np.inf).max(axis=1, keepdims=True)
    return ((scores >= best) & ~answers).sum(axis=1)


def text_to_image(
    texts: np.ndarray,
    images: np.ndarray,
    *,
    targets: np.ndarray | None = None,
    answers: np.ndarray | None = None,
    ks: Sequence[int] = KS,
    seed: int = 0,
) -> Recall:
    """How often the text (Q, S) of an item finds its picture among all pictures (C, S).

    `targets` (Q,) gives the row of each query's own picture; without it, row i belongs to query i. `answers` (Q, C)
    says instead which pictures answer each query, at least one: the best of them is found.
    """
    return _matched_recall(texts, images, targets=targets, answers=answers, ks=ks, seed=seed)


def image_to_text(
    images: np.ndarray,
    texts: np.ndarray,
    *,
    targets: np.ndarray | None = None,
    answers: np.ndarray | None = None,
    ks: Sequence[int] = KS,
    seed: int = 0,
) -> Recall:
    """How often the picture (Q, S) of an item finds its text among all texts (C, S); `targets`, `answers` as above."""
    return _matched_recall(images, texts, targets=targets, answers=answers, ks=ks, seed=seed)


def matched_ranks(
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    targets: np.ndarray | None = None,
    answers: np.ndarray | None = None,
) -> np.ndarray:
    """Embeddings (Q, S) and (C, S) -> (Q,) ranks from 0, with the scores of a few queries in memory at a time."""
    targets = np.arange(len(queries)) if targets is None else np.asarray(targets)
    ranks = []
    for start in range(0, len(queries), CHUNK_QUERIES):
        some = slice(start, start + CHUNK_QUERIES)
        scores = queries[some] @ candidates.T
        ranks.append(target_ranks(scores, targets[some]) if answers is None else answer_ranks(scores, answers[some]))
    return np.concatenate(ranks or [np.empty(0)])


def _matched_recall(
    queries: np.ndarray,
    candidates: np.ndarray,
    *,
    targets: np.ndarray | None,
    answers: np.ndarray | None,
    ks: Sequence[int],
    seed: int,
) -> Recall:
    ranks = matched_ranks(queries, candidates, targets=targets, answers=answers)
    return _recall(ranks, candidates=len(candidates), ks=ks, seed=seed)


def _recall(ranks: np.ndarray, *, candidates: int, ks: Sequence[int], seed: int) -> Recall:
    at = {k: estimate_share(ranks < k, seed=seed) for k in ks}
    return Recall(at=at, queries=len(ranks), candidates=candidates)


def _percent(share: float) -> float:
    return round(100 * share, 2)
