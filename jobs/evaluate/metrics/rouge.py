"""ROUGE-L (Lin 2004) as COCO's caption evaluation has it: the best precision and the best recall over all references,
recall counting more (beta 1.2). The package rouge-score measures another one: F1, each reference by itself.
"""

from collections.abc import Sequence

BETA = 1.2


def rouge_l(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Words -> 0 to 1."""
    common = [(longest_common(candidate, words), len(words)) for words in references if words]
    if not candidate or not any(length for length, _ in common):
        return 0.0
    precision = max(length / len(candidate) for length, _ in common)
    recall = max(length / words for length, words in common)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    before = [0] * (len(second) + 1)
    for word in first:
        row = [0]
        for place, other in enumerate(second):
            row.append(before[place] + 1 if word == other else max(before[place + 1], row[-1]))
        before = row
    return before[-1]
