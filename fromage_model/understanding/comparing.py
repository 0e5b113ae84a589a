"""What a text compares with the products that were shown: `cheaper`, `shorter`, `those heels are too high`.

Knows no items and no catalogue: which way things are compared, and by what.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from fromage_model.understanding.kinds import Calls, stemmed
from fromage_model.understanding.words import Word, clauses_of, keyed, lexicon, longest_at, phrases, stands

PRICE = "price"
BEFORE, BEHIND = 4, 2
"""Words before and behind a comparison among which stands what is compared: the sleeves are too long."""


@dataclass(frozen=True)
class Comparison:
    """That less, or more, is wanted of one of the `measures`. `named`: the words for it that were said, if any."""

    measures: tuple[str, ...]
    more: bool
    named: tuple[str, ...] = ()


def comparisons_in(words: Sequence[Word]) -> Iterator[Comparison]:
    """In the order of the text, none inside of another."""
    clauses, place = clauses_of(words), 0
    while place < len(words):
        found = _longest(words, place)
        if found is None:
            place += 1
            continue
        measures, more, end = found
        if not _is_denied(words, place, end):
            near = range(max(0, place - BEFORE), min(len(words), end + BEHIND))
            own = [words[at].said for at in near if clauses[at] == clauses[place] and not place <= at < end]
            named = _named(own)
            yield Comparison((keyed("measures")[named],) if named else measures, more, named)
        place = end


@cache
def _phrases() -> Mapping[str, Mapping[tuple[str, ...], tuple[tuple[str, ...], bool]]]:
    """What compares, by its first word: each phrase with its measures, and whether more is wanted."""
    found: dict[str, dict[tuple[str, ...], tuple[tuple[str, ...], bool]]] = {}
    for more, table in ((False, "less"), (True, "more")):
        for measure in (PRICE, *dict.fromkeys(keyed("measures").values())):
            for phrase in phrases(table, measure):
                same = found.setdefault(phrase[0], {})
                same[phrase] = (*same.get(phrase, ((), more))[0], measure), more
    return found


def _longest(words: Sequence[Word], place: int) -> tuple[tuple[str, ...], bool, int] | None:
    """The measures of the longest phrase that stands there, its direction, and the place behind it."""
    if spent := _spending(words, place):
        before = words[max(0, place - BEFORE) : place]
        if any(word.said in lexicon("prices", "negated") for word in before):
            return (PRICE,), False, place + spent
    own = _phrases().get(words[place].said, {})
    found = max((phrase for phrase in own if stands(words, place, phrase)), key=len, default=None)
    return None if found is None else (*own[found], place + len(found))


def _spending(words: Sequence[Word], place: int) -> int:
    """How many words speak there of what something costs: `spend that much`."""
    return longest_at(words, place, "comparing", "spending")


def _is_denied(words: Sequence[Word], place: int, end: int) -> bool:
    """`not shorter`, `I can't wait any longer`."""
    before = words[place - 1].said if place else ""
    if _spending(words, place):
        return False
    ends = end == len(words) or words[end].parts
    return before in lexicon("prices", "negated") or (ends and before in lexicon("comparing", "time"))


def _named(said: Sequence[str]) -> tuple[str, ...]:
    """What is compared, by name, where one of these words says it."""
    names = _names()
    for length in range(max(map(len, names)), 0, -1):
        for start in range(len(said) - length + 1):
            if (name := names.get(stemmed(said[start : start + length]))) is not None:
                return name
    return ()


@cache
def _names() -> Mapping[Calls, tuple[str, ...]]:
    """The names of all measures, by their stems; of one and several of a thing the first that is listed."""
    found: dict[Calls, tuple[str, ...]] = {}
    for name in keyed("measures"):
        found.setdefault(stemmed(name), name)
    return found
