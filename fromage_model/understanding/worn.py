"""Where on the body a thing is to be worn: `for my feet`, `something that keeps my ears warm`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.words import Word, lexicon, phrases, phrases_of, spelled

BEFORE = 2
"""Words before a part of the body among which it says whose: my cold feet."""


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
    """The cells of the parts of somebody's body that a text names."""
    for place, word in enumerate(words):
        before = [one.said for one in words[max(0, place - BEFORE) : place]]
        whose = any(one in lexicon("owned", "possessives") or one == "your" for one in before)
        if word.said in places and (whose or (before[-1:] == ["the"] and before[0] in lexicon("worn", "before"))):
            yield places[word.said]
