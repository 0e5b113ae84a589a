"""By what words the values of a catalogue's columns are called; gathered once from its items, in bounds.

Attributes of few values beside brand, colour, material, pattern and kind count only where their name is said too
(`size M`), or they are cuts and details. What is left, tags and descriptions, is what the retrieval embedding is for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

import pyarrow as pa

from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.columns import (
    BRAND,
    NAMED,
    PriceColumn,
    Role,
    columns_of,
    held_together,
    most_of,
    price_of,
    role_of,
    values_of,
)
from fromage_model.understanding.kinds import Calls, calls_of, other_names, stem
from fromage_model.understanding.orders import Ordered, ordered
from fromage_model.understanding.words import lexicon, phrases, spelled
from fromage_model.understanding.worn import is_worn, places_of

MOST_VALUE_WORDS = 4
LEAST_NOUN_CHARS = 3
RENAMED: tuple[Role, ...] = ("colour", "material", "pattern")
"""Whose values others may call otherwise; kinds are looked up apart, for they have plurals."""


@dataclass(frozen=True)
class Meaning:
    """What words may mean: cells of a column that say so. `common`: whether they are words of another sense too."""

    column: str
    role: Role
    cells: tuple[str, ...]
    common: bool = False


@dataclass(frozen=True)
class Vocabulary:
    """`meanings`: by the words of a value. `columns`: by the words of a column's name. `longest`: words of a value."""

    meanings: Mapping[tuple[str, ...], tuple[Meaning, ...]] = field(default_factory=dict)
    columns: Mapping[tuple[str, ...], str] = field(default_factory=dict)
    price: PriceColumn | None = None
    brand: str | None = None
    """The one of most items."""
    longest: int = 1
    kinds: Mapping[Calls, tuple[Meaning, ...]] = field(default_factory=dict)
    """Kinds of things by what they are called (`kinds.stemmed`)."""
    orders: tuple[Ordered, ...] = ()
    """Columns by which things can be compared."""
    worn: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Where things are worn, by parts of the body: cells of `worn_column`."""
    worn_column: str = ""
    together: frozenset[frozenset[tuple[str, str]]] = frozenset()
    """Kinds, as column and cell, that some item is both of."""

    @classmethod
    def of(cls, items: pa.Table) -> Self:
        """Of a table with the catalogue's columns."""
        cells = dict(columns_of(items))
        found: dict[tuple[str, ...], dict[str, Meaning]] = {}
        columns: dict[tuple[str, ...], str] = {}
        kinds: dict[tuple[str, ...], dict[str, Meaning]] = {}
        orders: list[Ordered] = []
        told = {name: values for name, column in cells.items() if (values := values_of(name, column))}
        for name, values in told.items():
            role = role_of(name)
            for said in (spelled(name.removeprefix(ATTRIBUTE)), *(phrases("columns", role) if role in NAMED else ())):
                columns.setdefault(said, name)
            if in_order := ordered(name, list(values)):
                orders.append(in_order)
            own = {words for value in values for words in _spellings(spelled(value))}
            for value, cells_of_it in values.items():
                for words in _spellings(spelled(value)):
                    if 0 < len(words) <= MOST_VALUE_WORDS:
                        _add(found, words, Meaning(name, role, cells_of_it, _is_common(words)))
                        for call in calls_of(words) if role == "kind" else ():
                            _add(kinds, call, Meaning(name, role, cells_of_it))
                for other in _other_names(role, name, spelled(value)):
                    for words in _spellings(other):
                        if words not in own:
                            _add(found, words, Meaning(name, role, cells_of_it, _is_common(words)))
        meanings = {words: tuple(same.values()) for words, same in found.items()}
        called = {words: tuple(same.values()) for words, same in kinds.items()}
        longest = max(map(len, [*meanings, *called]), default=1)
        together = held_together({name: cells[name] for name in cells if role_of(name) == "kind" and name in told})
        worn = next((name for name in told if is_worn(name)), "")
        places = places_of(told[worn]) if worn else {}
        brand, price = most_of(cells[BRAND].drop_null()), price_of(cells)
        return cls(meanings, columns, price, brand, longest, called, tuple(orders), places, worn, together)


def _add(found: dict[tuple[str, ...], dict[str, Meaning]], words: tuple[str, ...], meaning: Meaning) -> None:
    """One more cell that the words may mean."""
    same = found.setdefault(words, {})
    known = same[meaning.column].cells if meaning.column in same else ()
    same[meaning.column] = replace(meaning, cells=tuple(dict.fromkeys((*known, *meaning.cells))))


def _spellings(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """As it is written, and with blanks for hyphens: `two-piece`, `two piece`."""
    yield words
    if any("-" in word.strip("-") for word in words):
        yield tuple(part for word in words for part in word.split("-") if part)


def noun_of(column: str) -> str:
    """What a text calls a column by: `sleeve`; nothing where that would be no name, as the `on` of worn_on."""
    words = spelled(column.removeprefix(ATTRIBUTE))
    noun = words[-1].removesuffix("s") if words else ""
    return noun if len(noun) >= LEAST_NOUN_CHARS else ""


def _other_names(role: Role, column: str, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """What else a value is called; of a cut what the name of its column makes of it too: `short-sleeved`."""
    if role in RENAMED:
        yield from other_names(role, words)
    if role == "other" and words:
        yield from other_names("cut", words)
        noun = noun_of(column)
        parts = [part for word in words for part in word.split("-")]
        head = parts[:-1] if len(parts) > 1 and stem(parts[-1]) == stem(noun) else parts
        if noun and len(head) == 1:
            yield from ((f"{head[0]}-{noun}{ending}",) for ending in ("", "d", "ed", f"{noun[-1]}ed"))


def _is_common(words: tuple[str, ...]) -> bool:
    return len(words) == 1 and (words[0] in lexicon("values", "common") or len(words[0]) < 3)
