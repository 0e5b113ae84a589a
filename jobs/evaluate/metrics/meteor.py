"""METEOR (Banerjee and Lavie 2005), NLTK's: words, their stems and, where WordNet is installed, their synonyms.

It is not the METEOR 1.5 of COCO's evaluation, which needs Java, paraphrase tables and other weights: compare its
figures with each other only. WordNet comes by `python -m nltk.downloader wordnet`.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any


def meteor(candidate: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """Words -> 0 to 1, against the best of the references."""
    from nltk.translate.meteor_score import meteor_score

    return float(meteor_score(references, candidate, wordnet=_wordnet())) if candidate else 0.0


def knows_synonyms() -> bool:
    return not isinstance(_wordnet(), _NoSynonyms)


class _NoSynonyms:
    def synsets(self, word: str) -> list[Any]:
        return []


@cache
def _wordnet() -> Any:
    from nltk.corpus import wordnet

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return _NoSynonyms()
    return wordnet
