"""What a catalogue's columns hold, as far as it can be asked for in words; gathered once from its items, in bounds.

Safe to filter by are a price, the brand, colour, material and pattern, by the usual names of those columns. Other
attributes of few values count only where their name is said too (`size M`). What is left, occasions and tags and
descriptions, is what the retrieval embedding is for.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.index.conditions import numbers_in
from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.kinds import Calls, calls_of, other_names, stem
from fromage_model.understanding.orders import Ordered, ordered
from fromage_model.understanding.words import folded, keyed, lexicon, phrases, spelled

MOST_ITEMS = 200_000
"""That are looked at; of a larger catalogue every n-th."""
MOST_COLUMNS = 64
MOST_VALUES = 300
MOST_BRANDS = 10_000
MOST_VALUE_WORDS = 4
MOST_VALUE_CHARS = 40
LEAST_NOUN_CHARS = 3
LEAST_ITEMS_A_VALUE = 2
"""On the mean: what differs from item to item is no property that items share."""
BRAND = "brand"

Role = Literal["brand", "colour", "material", "pattern", "kind", "other"]
CURRENCY = f"{ATTRIBUTE}currency"
NAMED: tuple[Role, ...] = ("brand", "colour", "material", "pattern", "kind")
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
class PriceColumn:
    """A column of prices, from `low` to `high`, in these currencies (ISO 4217), perhaps told in a column of theirs."""

    column: str
    currencies: frozenset[str]
    currency_column: str | None
    low: float
    high: float
    usual: float
    """What three fifths of the items cost no more than."""


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

    @classmethod
    def of(cls, items: pa.Table) -> Self:
        """Of a table with the catalogue's columns."""
        if items.num_rows > MOST_ITEMS:
            items = items.take(np.arange(0, items.num_rows, items.num_rows // MOST_ITEMS + 1))
        cells = dict(_columns(items))
        price = _price(cells)
        found: dict[tuple[str, ...], dict[str, Meaning]] = {}
        columns: dict[tuple[str, ...], str] = {}
        kinds: dict[tuple[str, ...], dict[str, Meaning]] = {}
        orders: list[Ordered] = []
        for name, column in cells.items():
            role = role_of(name)
            values = _values(column, role)
            if not values or _is_price(name) or name == CURRENCY:
                continue
            for said in (spelled(name.removeprefix(ATTRIBUTE)), *(phrases("columns", role) if role in NAMED else ())):
                columns.setdefault(said, name)
            if in_order := ordered(name, values):
                orders.append(in_order)
            for cell in values:
                words = spelled(cell)
                if 0 < len(words) <= MOST_VALUE_WORDS:
                    _add(found, words, Meaning(name, role, (cell,), _is_common(words)))
                    for call in calls_of(words) if role == "kind" else ():
                        _add(kinds, call, Meaning(name, role, (cell,)))
            own = {spelled(cell) for cell in values}
            for cell in values:
                for other in _other_names(role, name, spelled(cell)):
                    if other not in own:
                        _add(found, other, Meaning(name, role, (cell,), _is_common(other)))
        meanings = {words: tuple(same.values()) for words, same in found.items()}
        called = {words: tuple(same.values()) for words, same in kinds.items()}
        longest = max(map(len, [*meanings, *called]), default=1)
        return cls(meanings, columns, price, _most(cells[BRAND].drop_null()), longest, called, tuple(orders))


@cache
def currencies() -> Mapping[str, str]:
    """Currencies (ISO 4217) by what they are called."""
    return {" ".join(name): code for name, code in keyed("currencies").items()}


def _add(found: dict[tuple[str, ...], dict[str, Meaning]], words: tuple[str, ...], meaning: Meaning) -> None:
    """One more cell that the words may mean."""
    same = found.setdefault(words, {})
    known = same[meaning.column].cells if meaning.column in same else ()
    same[meaning.column] = replace(meaning, cells=tuple(dict.fromkeys((*known, *meaning.cells))))


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


def role_of(column: str) -> Role:
    """What kind of property a column is, by its name."""
    if column == BRAND:
        return "brand"
    name = spelled(column.removeprefix(ATTRIBUTE))
    if len(name) == 2 and name[0] in lexicon("columns", "main"):
        name = name[1:]
    return next((role for role in NAMED[1:] if name in phrases("columns", role)), "other")


def _columns(items: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """The brand, and the attributes that most items have, as columns of text."""
    yield BRAND, items.column(BRAND)
    attributes = items.column("attributes")
    counts: dict[str, int] = {}
    for chunk in attributes.chunks:
        for counted in pc.value_counts(chunk.keys).to_pylist():
            counts[counted["values"]] = counts.get(counted["values"], 0) + counted["counts"]
    for name in sorted(counts, key=lambda name: -counts[name])[:MOST_COLUMNS]:
        yield f"{ATTRIBUTE}{name}", pc.map_lookup(attributes, pa.scalar(name), "first")


def _values(column: pa.ChunkedArray, role: Role) -> list[str]:
    """The values of a column, where they are few or brands, and no lists; of others but the well known ones only where
    items share them.
    """
    values = pc.unique(column.drop_null()).to_pylist()
    items = len(column) - column.null_count
    if len(values) > (MOST_BRANDS if role == "brand" else MOST_VALUES):
        return []
    if role == "other" and items < LEAST_ITEMS_A_VALUE * len(values):
        return []
    if role == "brand":
        return values
    lists = sum(1 for value in values if re.search(r"[,;|]", value))
    if lists * 4 > len(values):
        return []
    return [value for value in values if len(value) <= MOST_VALUE_CHARS]


def _is_price(name: str) -> bool:
    return name.startswith(ATTRIBUTE) and folded(name.removeprefix(ATTRIBUTE)).replace(" ", "_") in lexicon(
        "prices", "columns"
    )


def _price(cells: Mapping[str, pa.ChunkedArray]) -> PriceColumn | None:
    """The first column of prices in which half of the cells say a number."""
    for name, column in cells.items():
        if not _is_price(name):
            continue
        numbers = numbers_in(column)
        known = numbers[~np.isnan(numbers)]
        if len(known) * 2 < len(column) - column.null_count or not len(known):
            continue
        told = cells.get(CURRENCY)
        names = pc.unique(column.drop_null() if told is None else told.drop_null()).to_pylist()
        currencies = frozenset(filter(None, map(_currency_in, names)))
        own = None if told is None else CURRENCY
        low, high, usual = float(known.min()), float(known.max()), float(np.quantile(known, 0.6))
        return PriceColumn(name, currencies, own, low, high, usual)
    return None


def _currency_in(text: str) -> str | None:
    """The currency that a cell names: `19.90 EUR`, `€5`, `KRW`."""
    for part in re.findall(r"[^\W\d_]+|[€$£¥₩]", text):
        if len(part) == 3 and part.isascii() and part.isupper():
            return part
        if known := currencies().get(folded(part)):
            return known
    return None


def _most(texts: pa.ChunkedArray) -> str | None:
    counted = sorted(pc.value_counts(texts).to_pylist(), key=lambda one: (-one["counts"], one["values"]))
    return counted[0]["values"] if counted else None
