"""What a text compares with the products that were shown: `cheaper`, `shorter`, `those heels are too high`.

Knows no items and no catalogue: which way things are compared, and by what.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from fromage_model.understanding.kinds import stemmed
from fromage_model.understanding.words import Word, clauses_of, keyed, lexicon, phrases, stands

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
            named = next((name for name in keyed("measures") if _is_among(name, own)), ())
            yield Comparison((keyed("measures")[named],) if named else measures, more, named)
        place = end


def _longest(words: Sequence[Word], place: int) -> tuple[tuple[str, ...], bool, int] | None:
    """The measures of the longest phrase that stands there, its direction, and the place behind it."""
    found: dict[int, tuple[tuple[str, ...], bool]] = {}
    negated = any(word.said in lexicon("prices", "negated") for word in words[max(0, place - BEFORE) : place])
    for phrase in phrases("comparing", "spending") if negated else ():
        if stands(words, place, phrase):
            return (PRICE,), False, place + len(phrase)
    for more, table in ((False, "less"), (True, "more")):
        for measure in (PRICE, *dict.fromkeys(keyed("measures").values())):
            for phrase in phrases(table, measure):
                if stands(words, place, phrase):
                    before, _ = found.get(len(phrase), ((), more))
                    found[len(phrase)] = (*before, measure), more
    return (*found[max(found)], place + max(found)) if found else None


def _is_denied(words: Sequence[Word], place: int, end: int) -> bool:
    """`not shorter`, `I can't wait any longer`."""
    before = words[place - 1].said if place else ""
    if any(stands(words, place, phrase) for phrase in phrases("comparing", "spending")):
        return False
    ends = end == len(words) or words[end].parts
    return before in lexicon("prices", "negated") or (ends and before in lexicon("comparing", "time"))


def _is_among(name: Sequence[str], said: Sequence[str]) -> bool:
    own = [stemmed(said[start : start + len(name)]) for start in range(len(said) - len(name) + 1)]
    return stemmed(name) in own
