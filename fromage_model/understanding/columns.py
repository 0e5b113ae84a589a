"""What columns a catalogue has, and what they hold; gathered once from its items, in bounds. Knows no texts.

Safe to filter by are a price, the brand, colour, material and pattern, by the usual names of those columns.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.index.conditions import numbers_in
from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.words import folded, keyed, lexicon, phrases, spelled

MOST_ITEMS = 200_000
"""That are looked at; of a larger catalogue every n-th."""
MOST_COLUMNS = 64
MOST_VALUES = 300
MOST_BRANDS = 10_000
MOST_VALUE_CHARS = 40
MOST_CELLS = 256
"""That hold a value, which a client may have to send back as a filter."""
LEAST_ITEMS_A_VALUE = 2
"""On the mean: what differs from item to item is no property that items share."""
BRAND = "brand"
BETWEEN = re.compile(r"\s*[,;|]\s*")
"""The values of a cell that lists several."""

Role = Literal["brand", "colour", "material", "pattern", "kind", "other"]
CURRENCY = f"{ATTRIBUTE}currency"
NAMED: tuple[Role, ...] = ("brand", "colour", "material", "pattern", "kind")


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


@cache
def currencies() -> Mapping[str, str]:
    """Currencies (ISO 4217) by what they are called."""
    return {" ".join(name): code for name, code in keyed("currencies").items()}


def role_of(column: str) -> Role:
    """What kind of property a column is, by its name."""
    if column == BRAND:
        return "brand"
    name = spelled(column.removeprefix(ATTRIBUTE))
    if len(name) == 2 and name[0] in lexicon("columns", "main"):
        name = name[1:]
    return next((role for role in NAMED[1:] if name in phrases("columns", role)), "other")


def columns_of(items: pa.Table) -> Iterator[tuple[str, pa.ChunkedArray]]:
    """The brand, and the attributes that most items have, as columns of text. A large catalogue's every n-th item."""
    if items.num_rows > MOST_ITEMS:
        items = items.take(np.arange(0, items.num_rows, items.num_rows // MOST_ITEMS + 1))
    yield BRAND, items.column(BRAND)
    attributes = items.column("attributes")
    counts: dict[str, int] = {}
    for chunk in attributes.chunks:
        for counted in pc.value_counts(chunk.keys).to_pylist():
            counts[counted["values"]] = counts.get(counted["values"], 0) + counted["counts"]
    for name in sorted(counts, key=lambda name: -counts[name])[:MOST_COLUMNS]:
        yield f"{ATTRIBUTE}{name}", pc.map_lookup(attributes, pa.scalar(name), "first")


def values_of(name: str, column: pa.ChunkedArray) -> dict[str, tuple[str, ...]]:
    """The values of a column, each with the cells that hold it, where they are few or brands; of others but the well
    known ones only where items share them. A cell may list several: of kinds, colours and the like such columns hold
    no values, of others (`hood, fur trim`) each part is one.
    """
    role = role_of(name)
    cells = pc.unique(column.drop_null()).to_pylist()
    items = len(column) - column.null_count
    if is_price(name) or name == CURRENCY:
        return {}
    if role == "brand":
        return {cell: (cell,) for cell in cells} if len(cells) <= MOST_BRANDS else {}
    found: dict[str, list[str]] = {}
    lists = sum(1 for cell in cells if BETWEEN.search(cell))
    if lists * 4 > len(cells):
        if role != "other" or spelled(name.removeprefix(ATTRIBUTE)) in phrases("columns", "free"):
            return {}
        for cell in cells:
            for value in dict.fromkeys(BETWEEN.split(cell)):
                found.setdefault(value, []).append(cell)
    else:
        found = {cell: [cell] for cell in cells}
    if len(found) > MOST_VALUES or (role == "other" and items < LEAST_ITEMS_A_VALUE * len(found)):
        return {}
    return {
        value: tuple(own) for value, own in found.items() if len(value) <= MOST_VALUE_CHARS and len(own) <= MOST_CELLS
    }


def held_together(columns: Mapping[str, pa.ChunkedArray]) -> frozenset[frozenset[tuple[str, str]]]:
    """Cells of different columns, each with its column, that some item has both of."""
    found: set[frozenset[tuple[str, str]]] = set()
    for one, other in combinations(columns, 2):
        both = pa.table({"one": columns[one], "other": columns[other]}).drop_null().group_by(["one", "other"])
        for pair in both.aggregate([]).to_pylist():
            found.add(frozenset(((one, pair["one"]), (other, pair["other"]))))
    return frozenset(found)


def most_of(texts: pa.ChunkedArray) -> str | None:
    counted = sorted(pc.value_counts(texts).to_pylist(), key=lambda one: (-one["counts"], one["values"]))
    return counted[0]["values"] if counted else None


def price_of(cells: Mapping[str, pa.ChunkedArray]) -> PriceColumn | None:
    """The first column of prices in which half of the cells say a number."""
    for name, column in cells.items():
        if not is_price(name):
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


def is_price(name: str) -> bool:
    return name.startswith(ATTRIBUTE) and folded(name.removeprefix(ATTRIBUTE)).replace(" ", "_") in lexicon(
        "prices", "columns"
    )


def _currency_in(text: str) -> str | None:
    """The currency that a cell names: `19.90 EUR`, `€5`, `KRW`."""
    for part in re.findall(r"[^\W\d_]+|[€$£¥₩]", text):
        if len(part) == 3 and part.isascii() and part.isupper():
            return part
        if known := currencies().get(folded(part)):
            return known
    return None
