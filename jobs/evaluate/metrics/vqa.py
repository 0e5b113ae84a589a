"""VQA accuracy (Antol et al. 2015): an answer is right as far as three of ten people gave it.

As in the official evaluation, each person is left out in turn and the answer is held against the nine others. Answers
are compared as they are: whoever calls this has normalised them.
"""

from collections.abc import Sequence

ENOUGH = 3


def vqa_accuracy(answer: str, given: Sequence[str]) -> float:
    """0 to 1: the mean over people of min(1, n / 3), n the others who gave this answer. Raises ValueError on none."""
    if not given:
        raise ValueError("expected the answers that people gave, got none")
    same = sum(other == answer for other in given)
    return sum(min(1.0, (same - (other == answer)) / ENOUGH) for other in given) / len(given)
