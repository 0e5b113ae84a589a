"""A text as words: folded, parted at punctuation, with the numbers that they say. Knows no catalogue."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

MOST_WORDS = 160
"""Of a text that are read; a wish is said in fewer."""
TOKEN = re.compile(r"\d+(?:[.,]\d+)*|[가-힣]+|[^\W\d_가-힣]+(?:[-'\u2019][^\W_가-힣]+)*|[^\w\s]|\n", re.UNICODE)
STOPS = frozenset(".!?;:\n()…/|")
COMMA = ","
QUOTES = frozenset("\"'\u201c\u201d\u201e\u00ab\u00bb*_")
LIKE = {"gray": "grey", "color": "colour", "colors": "colours", "jewelry": "jewellery", "&": "and"}
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS = {word: place for place, word in enumerate([*ONES.split(), "eighteen", "nineteen"])} | {
    word: 10 * place for place, word in enumerate(TENS.split(), start=2)
}
MULTIPLES = {"hundred": 100, "thousand": 1000}
LONGEST_NUMBER = 8
"""Words of it."""
GROUPED = re.compile(r"\d{1,3}(?:[.,]\d{3})+(?:[.,]\d{1,2})?")


class Word(NamedTuple):
    """`said`: folded, so that what reads alike is alike. `raw`: as it stands in the text, from `start` to `end`."""

    said: str
    raw: str
    start: int
    end: int

    @property
    def stops(self) -> bool:
        """Whether a clause ends here."""
        return self.said in STOPS

    @property
    def parts(self) -> bool:
        """Whether it is no word but a sign between words."""
        return self.said in STOPS or self.said == COMMA or self.said in QUOTES


def words_of(text: str) -> list[Word]:
    """The first words of a text, and what stands between them."""
    found: list[Word] = []
    for token in TOKEN.finditer(text):
        if len(found) == MOST_WORDS:
            break
        if said := folded(token[0]):
            found.append(Word(said, token[0], token.start(), token.end()))
    return found


@cache
def phrases(table: str, name: str) -> tuple[tuple[str, ...], ...]:
    """A list of `lexicon.toml`, each phrase as its words."""
    return tuple(tuple(phrase.split()) for phrase in _lexicon()[table][name].split(", "))


@cache
def phrases_of(table: str) -> tuple[tuple[tuple[str, ...], ...], ...]:
    """All lists of a table of `lexicon.toml`."""
    return tuple(phrases(table, name) for name in _lexicon()[table])


@cache
def lexicon(table: str, name: str) -> frozenset[str]:
    """A list of `lexicon.toml` whose entries are single words."""
    return frozenset(" ".join(phrase) for phrase in phrases(table, name))


@cache
def keyed(table: str) -> Mapping[tuple[str, ...], str]:
    """A table of `lexicon.toml`: by the words of each phrase the name of the list that it stands in."""
    return {phrase: name for name in _lexicon()[table] for phrase in phrases(table, name)}


@cache
def _lexicon() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads((Path(__file__).parent / "lexicon.toml").read_text(encoding="utf-8"))


def clauses_of(words: Sequence[Word]) -> list[int]:
    """For each word the number of the clause that it stands in; commas part clauses, too."""
    clauses, number = [], 0
    for word in words:
        number += word.stops or word.said == COMMA
        clauses.append(number)
    return clauses


def stands(words: Sequence[Word], place: int, phrase: Sequence[str]) -> bool:
    """Whether these folded words stand there."""
    return all(place + ahead < len(words) and words[place + ahead].said == said for ahead, said in enumerate(phrase))


def longest_at(words: Sequence[Word], place: int, table: str, name: str) -> int:
    """How many words the longest phrase of a list of `lexicon.toml` has that stands there; 0 where none does."""
    return max((len(phrase) for phrase in phrases(table, name) if stands(words, place, phrase)), default=0)


def folded(word: str) -> str:
    """Without case and accents; `gray` is `grey`."""
    parted = unicodedata.normalize("NFKD", word.replace("\u2019", "'"))
    plain = "".join(character for character in parted if unicodedata.category(character) != "Mn")
    said = unicodedata.normalize("NFC", plain).casefold()
    return LIKE.get(said, said)


def spelled(value: str) -> tuple[str, ...]:
    """A value of the catalogue as words, by which it is found in a text."""
    return tuple(word.said for word in words_of(value.replace("_", " ")) if not word.parts)


def number_at(words: Sequence[Word], place: int) -> tuple[float, int] | None:
    """The number that stands at a place, in digits or in words, and the place behind it."""
    if place >= len(words):
        return None
    if words[place].said[0].isdigit():
        value = _in_digits(words[place].said)
        return None if value is None else (value, place + 1)
    return _in_words(words, place)


def _in_digits(said: str) -> float | None:
    """`1,290.00`, `1.290,00` and `49,90`: three digits behind a sign are thousands, fewer are cents."""
    if GROUPED.fullmatch(said):
        cents = re.search(r"[.,](\d{1,2})$", said)
        whole = said[: cents.start()] if cents else said
        said = re.sub(r"[.,]", "", whole) + (f".{cents[1]}" if cents else "")
    said = said.replace(",", ".")
    return float(said) if said.isascii() and said.count(".") <= 1 and len(said) <= 15 else None


def _in_words(words: Sequence[Word], place: int) -> tuple[float, int] | None:
    """`fifty`, `thirty-five`, `two hundred`, `hundred and twenty`."""
    total, found, start = 0, False, place
    while place < len(words) and place < start + LONGEST_NUMBER:
        said = words[place].said
        tens, _, ones = said.partition("-")
        if said in MULTIPLES:
            total = (total or 1) * MULTIPLES[said]
        elif tens in NUMBER_WORDS and (not ones or ones in NUMBER_WORDS):
            total += NUMBER_WORDS[tens] + NUMBER_WORDS.get(ones, 0)
        elif not (said == "and" and found and total >= 100 and _goes_on(words, place + 1)):
            break
        found, place = True, place + 1
    return (float(total), place) if found and place > start else None


def _goes_on(words: Sequence[Word], place: int) -> bool:
    """Whether a number below a hundred stands there: `two hundred and three hundred` are two."""
    rest = [word.said for word in words[place : place + 2]]
    return bool(rest) and rest[0].partition("-")[0] in NUMBER_WORDS and rest[-1] not in MULTIPLES
