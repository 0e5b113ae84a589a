"""Log-odds of [RET] -> the probability that products are wanted, and the least at which they are shown.

Knows no model and no messages: only numbers, and which of them belong to wishes.

Shapes: M messages.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from fromage_model.errors import InvalidInput

RIDGE = 1e-3
"""On the scale: of messages that a line parts without error it would grow without end."""
SMALLEST_SCALE, SMALLEST_THRESHOLD = 1e-3, 1e-9


@dataclass(frozen=True)
class Calibration:
    """What a model's config keeps: `scale` and `offset` of the log-odds, and the `threshold` of their probability."""

    scale: float
    offset: float
    threshold: float

    def probabilities(self, log_odds: np.ndarray) -> np.ndarray:
        """(M,) that products are wanted."""
        return probabilities(log_odds, scale=self.scale, offset=self.offset)

    @property
    def least_log_odds(self) -> float:
        """Those of the threshold."""
        return float((np.log(self.threshold / (1 - self.threshold)) - self.offset) / self.scale)


def probabilities(log_odds: np.ndarray, *, scale: float, offset: float) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(scale * log_odds + offset, -60, 60)))


def calibrated(log_odds: np.ndarray, wanted: np.ndarray, *, others_shown: float) -> Calibration:
    """Platt's sigmoid through (M,) log-odds, and the least probability that a share of at most `others_shown` of the
    messages that want nothing reaches (Platt 1999, "Probabilistic Outputs for Support Vector Machines").

    Both sides count as much as each other, however many there are. Raises InvalidInput where a side is missing.
    """
    wishes, others = log_odds[wanted], log_odds[~wanted]
    if not len(wishes) or not len(others):
        raise InvalidInput(f"expected messages of both sides, got {len(wishes)} wishes and {len(others)} others")
    # Platt's targets, a little inside of 0 and 1, keep the sigmoid from becoming a step.
    targets = np.where(wanted, (len(wishes) + 1) / (len(wishes) + 2), 1 / (len(others) + 2))
    weights = np.where(wanted, 0.5 / len(wishes), 0.5 / len(others))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        scale, offset = parameters
        margin = scale * log_odds + offset
        value = weights @ (np.logaddexp(0, margin) - targets * margin) + RIDGE * scale**2
        error = weights * (1 / (1 + np.exp(-np.clip(margin, -60, 60))) - targets)
        return value, np.array([error @ log_odds + 2 * RIDGE * scale, error.sum()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[(SMALLEST_SCALE, None), (None, None)])
    scale, offset = (float(one) for one in found.x)
    threshold = probabilities(np.array(_least(wishes, others, others_shown)), scale=scale, offset=offset)
    return Calibration(scale, offset, float(np.clip(threshold, SMALLEST_THRESHOLD, 1 - SMALLEST_THRESHOLD)))


def _least(wishes: np.ndarray, others: np.ndarray, shown: float) -> float:
    """Halfway between the last of the others that is let through no more and the wish, or other, above it."""
    let_through = int(shown * len(others))
    highest = np.sort(others)[::-1]
    stopped = highest[min(let_through, len(others) - 1)]
    above = [one for one in (*wishes, *others) if one > stopped]
    return float((stopped + min(above)) / 2) if above else float(stopped) + 1.0
