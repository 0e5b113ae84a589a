"""Columns whose cells have an order: how long, how high, how wide. Knows no texts and no items.

A cell stands where the longest phrase of `lexicon.toml` stands that it contains (`block heel`, `Knee-length`), or where
its number does, in a column of numbers that have one unit, or none.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.words import folded, keyed, phrases, spelled

NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*(mm|cm|in|inch|inches|\"|″)?", re.IGNORECASE)


@dataclass(frozen=True)
class Ordered:
    """A column, and the rank of each of its cells that has one: by less or more of `measure`."""

    measure: str
    column: str
    ranks: Mapping[str, float]

    def beyond(self, cells: Sequence[str], *, more: bool) -> tuple[str, ...]:
        """Those of the column's cells that stand higher, or lower, than these do on the mean; none where these have no
        rank.
        """
        known = [self.ranks[cell] for cell in cells if cell in self.ranks]
        if not known:
            return ()
        mean = sum(known) / len(known)
        return tuple(cell for cell, rank in self.ranks.items() if (rank > mean if more else rank < mean))


def ordered(column: str, cells: Sequence[str]) -> Ordered | None:
    """A column by its name and its different cells; None where these have no order that is known."""
    measure = keyed("measures").get(spelled(column.removeprefix(ATTRIBUTE)))
    if measure is None:
        return None
    ranks = _by_words(measure, cells)
    if len(set(ranks.values())) < 2:
        ranks = _by_numbers(cells)
    return Ordered(measure, column, ranks) if len(set(ranks.values())) > 1 else None


def _by_words(measure: str, cells: Sequence[str]) -> dict[str, float]:
    order = {phrase: float(place) for place, phrase in enumerate(phrases("orders", measure))}
    longest = max(map(len, order))
    ranks = {}
    for cell in cells:
        words = tuple(folded(cell).replace("-", " ").split())
        lengths = range(min(longest, len(words)), 0, -1)
        said = (words[start : start + length] for length in lengths for start in range(len(words) - length + 1))
        if (found := next((order[phrase] for phrase in said if phrase in order), None)) is not None:
            ranks[cell] = found
    return ranks


def _by_numbers(cells: Sequence[str]) -> dict[str, float]:
    said = {cell: found for cell in cells if (found := NUMBER.fullmatch(cell.strip()))}
    if len({found[2] for found in said.values()}) > 1:
        return {}
    return {cell: float(found[1].replace(",", ".")) for cell, found in said.items()}
