"""One figure from the scores of many examples, how sure it is, and whether two models differ in it.

Intervals are percentile bootstraps over groups of examples that depend on each other (the questions about one picture,
say), differences are tested by swapping the models' scores group by group (approximate randomisation). A measure that
is no mean of its examples, as BLEU, keeps their statistics and is made of whatever was drawn. Knows no measure.

Shapes: N examples, K statistics of an example, G groups, R resamples.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

RESAMPLES = 2000
CONFIDENCE = 0.95
MOST_WEIGHTS = 4_000_000
"""Weights in memory at a time."""

Combine = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Statistics (N, K) and how often each example was drawn (R, N) -> the figure of each draw (R,)."""


def mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the first statistic."""
    return weights @ values[:, 0] / weights.sum(axis=1)


def median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of the first statistic; halfway between the two in the middle where their number is even."""
    order = np.argsort(values[:, 0], kind="stable")
    ordered, drawn = values[order, 0], weights[:, order].cumsum(axis=1)
    half = drawn[:, -1:] / 2
    return (ordered[(drawn >= half).argmax(axis=1)] + ordered[(drawn > half).argmax(axis=1)]) / 2


@dataclass(frozen=True)
class Scores:
    """What each example scored: `values` (N, K) or (N,), by `ids`, no two alike.

    `groups` names for each example what it depends on; without it each stands for itself. Figures are `scale` times
    what `combine` makes of the values: 100 for shares told in percent, 1 for ranks.
    """

    ids: Sequence[str]
    values: np.ndarray
    combine: Combine = mean
    groups: Sequence[str] | None = None
    scale: float = 100.0

    def __post_init__(self):
        values = np.asarray(self.values, dtype=np.float64)
        object.__setattr__(self, "values", values[:, None] if values.ndim == 1 else values)
        if len(self.ids) != len(values) or not len(values) or len(set(self.ids)) != len(self.ids):
            raise ValueError(f"expected a score for each of some different ids, got {len(values)} for {len(self.ids)}")

    def of(self, ids: Sequence[str]) -> "Scores":
        """Those of some examples, in that order."""
        row_of = {id: row for row, id in enumerate(self.ids)}
        rows = [row_of[id] for id in ids]
        groups = None if self.groups is None else [self.groups[row] for row in rows]
        return replace(self, ids=list(ids), values=self.values[rows], groups=groups)

    @property
    def value(self) -> float:
        return self.scale * float(self.combine(self.values, np.ones((1, len(self.ids))))[0])

    def group_rows(self) -> np.ndarray:
        """(N,) the number of each example's group, from 0."""
        return np.unique(np.array(self.groups or self.ids, dtype=object).astype(str), return_inverse=True)[1]


@dataclass(frozen=True)
class Figure:
    """A figure, its interval, and the number of examples it is made of."""

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        return {"value": round(self.value, 2), "interval": [round(self.low, 2), round(self.high, 2)], "n": self.n}


@dataclass(frozen=True)
class Difference:
    """The second model's figure minus the first's on the same `n` examples; `p` of the test that there is none."""

    first: float
    second: float
    value: float
    low: float
    high: float
    p: float
    n: int

    def to_json(self) -> dict[str, Any]:
        told = {"first": self.first, "second": self.second, "difference": self.value}
        rounded = {name: round(value, 2) for name, value in told.items()}
        return {**rounded, "interval": [round(self.low, 2), round(self.high, 2)], "p": round(self.p, 4), "n": self.n}


def estimate(scores: Scores, *, resamples: int = RESAMPLES, seed: int = 0) -> Figure:
    """The figure with its 95 % bootstrap interval."""
    groups = scores.group_rows()
    drawn = [scores.combine(scores.values, counts) for counts in _drawn(groups, resamples, seed)]
    low, high = _interval(scores.scale * np.concatenate(drawn))
    return Figure(scores.value, low, high, len(scores.ids))


def compare(first: Scores, second: Scores, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Two models on the examples that both have. Raises ValueError where they have none in common."""
    others = set(second.ids)
    ids = [id for id in first.ids if id in others]
    first, second = first.of(ids), second.of(ids)
    groups, combine, scale = first.group_rows(), first.combine, first.scale
    differences = np.concatenate(
        [combine(second.values, counts) - combine(first.values, counts) for counts in _drawn(groups, resamples, seed)]
    )
    low, high = _interval(scale * differences)
    value = second.value - first.value
    p = _randomised(first, second, groups, abs(value), resamples=resamples, seed=seed + 1)
    return Difference(first.value, second.value, value, low, high, p, len(ids))


def _randomised(first: Scores, second: Scores, groups: np.ndarray, found: float, *, resamples: int, seed: int) -> float:
    """How often a difference as large comes about where in each group the models' scores are swapped by a coin."""
    rng = np.random.default_rng(seed)
    both = np.concatenate([first.values, second.values])
    as_large = 0
    for rows in _chunks(resamples, 2 * len(groups)):
        swapped = rng.integers(2, size=(rows, int(groups.max()) + 1))[:, groups]
        left = np.concatenate([1 - swapped, swapped], axis=1)
        differences = first.combine(both, 1.0 - left) - first.combine(both, left.astype(float))
        as_large += int((np.abs(first.scale * differences) >= found - 1e-9).sum())
    return (as_large + 1) / (resamples + 1)


def _drawn(groups: np.ndarray, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """(R, N) how often each example was drawn, as often as its group, some resamples at a time."""
    rng = np.random.default_rng(seed)
    count = int(groups.max()) + 1
    for rows in _chunks(resamples, len(groups)):
        drawn = rng.integers(count, size=(rows, count))
        counts = np.stack([np.bincount(row, minlength=count) for row in drawn])
        yield counts[:, groups].astype(np.float64)


def _chunks(resamples: int, width: int) -> Iterator[int]:
    step = max(1, MOST_WEIGHTS // width)
    for start in range(0, resamples, step):
        yield min(step, resamples - start)


def _interval(figures: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(figures, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)
