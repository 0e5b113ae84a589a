"""CIDEr-D (Vedantam et al. 2015), what COCO's caption evaluation and the papers call CIDEr.

N-grams are weighed by how few pictures' references have them, so scores depend on the whole set, and a set of one
picture scores nothing. No package has it that is alive and small: pycocoevalcap is of 2020 and brings 100 MB of Java.
"""

from collections import Counter
from collections.abc import Sequence
from math import exp, log, sqrt

LONGEST = 4
SIGMA = 6.0
Ngram = tuple[str, ...]


def cider_d(candidates: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> list[float]:
    """Words of a caption for each picture, and of its references -> a score for each, 0 to 10; COCO tells the mean."""
    counted = [[_ngrams(words) for words in own] for own in references]
    pictures_with = Counter(ngram for own in counted for ngram in {ngram for counts in own for ngram in counts})
    weight_of = {ngram: log(len(references)) - log(count) for ngram, count in pictures_with.items()}
    rarest = log(len(references)) if references else 0.0
    scores = []
    for words, own in zip(candidates, counted, strict=True):
        candidate = _Vector(_ngrams(words), weight_of, rarest)
        likeness = [_likeness(candidate, _Vector(counts, weight_of, rarest)) for counts in own]
        scores.append(10 * sum(likeness) / len(likeness))
    return scores


class _Vector:
    """TF-IDF of n-grams, for each length by itself; `length` counts the pairs of words."""

    def __init__(self, counts: Counter[Ngram], weight_of: dict[Ngram, float], rarest: float):
        self.weights: list[dict[Ngram, float]] = [{} for _ in range(LONGEST)]
        for ngram, count in counts.items():
            self.weights[len(ngram) - 1][ngram] = count * weight_of.get(ngram, rarest)
        self.norms = [sqrt(sum(weight**2 for weight in own.values())) for own in self.weights]
        self.length = sum(count for ngram, count in counts.items() if len(ngram) == 2)


def _likeness(candidate: _Vector, reference: _Vector) -> float:
    """The mean cosine over lengths of n-grams; words said too often don't count, captions of other length less."""
    cosines = []
    for own, other, own_norm, other_norm in zip(
        candidate.weights, reference.weights, candidate.norms, reference.norms, strict=True
    ):
        product = sum(min(weight, other[ngram]) * other[ngram] for ngram, weight in own.items() if ngram in other)
        cosines.append(product / (own_norm * other_norm) if own_norm and other_norm else 0.0)
    apart = candidate.length - reference.length
    return exp(-(apart**2) / (2 * SIGMA**2)) * sum(cosines) / LONGEST


def _ngrams(words: Sequence[str]) -> Counter[Ngram]:
    return Counter(
        tuple(words[start : start + length])
        for length in range(1, LONGEST + 1)
        for start in range(len(words) - length + 1)
    )
