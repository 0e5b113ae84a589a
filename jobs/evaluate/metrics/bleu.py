"""BLEU-1 to BLEU-4 of a corpus (Papineni et al. 2002) as COCO's caption evaluation has it: any number of references,
the closest one's length, no smoothing. Counts are sacrebleu's.

Shapes: N examples, R resamples.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from jobs.evaluate.metrics.resampling import Combine

ORDERS = (1, 2, 3, 4)
LONGEST = ORDERS[-1]


def bleu_statistics(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Words -> (10,): for n-grams of 1 to 4 words how many are right, how many there are; own and closest length."""
    score = _counter().sentence_score(" ".join(candidate), [" ".join(words) for words in references])
    return np.array([*score.counts, *score.totals, score.sys_len, score.ref_len], dtype=np.float64)


def bleu(order: int) -> Combine:
    """BLEU of that order, 0 to 1, from sums of statistics."""

    def combine(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        sums = weights @ values
        right, there = sums[:, :order], sums[:, LONGEST : LONGEST + order]
        own, closest = sums[:, -2], sums[:, -1]
        some = (right > 0).all(axis=1)
        logs = np.log(np.where(right > 0, right, 1) / np.maximum(there, 1)).mean(axis=1)
        brevity = np.minimum(0.0, 1 - closest / np.maximum(own, 1))
        return np.where(some, np.exp(logs + brevity), 0.0)

    return combine


@cache
def _counter() -> Any:
    from sacrebleu.metrics import BLEU

    # `effective_order` changes no count; without it each sentence would bring a warning.
    return BLEU(tokenize="none", smooth_method="none", effective_order=True)
