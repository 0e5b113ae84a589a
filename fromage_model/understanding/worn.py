"""Where on the body a thing is to be worn: `for my feet`, `something that keeps my ears warm`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.words import Word, lexicon, phrases, phrases_of, spelled

BEFORE = 2
"""Words between what says that a thing is for a part of the body, and the part: for my poor feet."""


def is_worn(column: str) -> bool:
    """Whether a column tells it, by its name."""
    return spelled(column.removeprefix(ATTRIBUTE)) in phrases("columns", "worn")


def places_of(values: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Values with their cells -> the cells by the parts of the body that they name: of `head and ears` either."""
    found: dict[str, list[str]] = {}
    for value, cells in values.items():
        for word in spelled(value):
            if word not in lexicon("worn", "no_part"):
                found.setdefault(word, []).extend(cells)
    own = {word: tuple(cells) for word, cells in found.items()}
    others = {
        other: own[part]
        for names in phrases_of("same_part")
        for (part,) in names
        if part in own
        for (other,) in names
        if other not in own
    }
    return others | own


def parts_in(words: Sequence[Word], places: Mapping[str, tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The cells of the parts of the body that a text wants something for; what only speaks of one may ask for anything
    (`a poncho is pulled over your head`).
    """
    whose = lexicon("owned", "possessives") | {"your"}
    for place, word in enumerate(words):
        if word.said not in places:
            continue
        near = [one.said for one in words[max(0, place - BEFORE - 1) : place]]
        told = [one for one, after in pairwise(near) if after in whose] + (near[-2:-1] if near[-1:] == ["the"] else [])
        if lexicon("worn", "before").intersection(told):
            yield places[word.said]
