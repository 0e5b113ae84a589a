"""A conversation -> the filters that hold at its end, and the items that its last message names.

What is said later replaces what was said of the same column; a price's two bounds are said apart. What is read is an
answer to nothing yet: whoever searches drops what no item meets.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

import numpy as np
import pyarrow as pa

from fromage_model.index.conditions import NOT, Condition, numbers_in
from fromage_model.index.filters import ATTRIBUTE
from fromage_model.understanding.columns import BRAND, PriceColumn, role_of
from fromage_model.understanding.comparing import PRICE, Comparison, comparisons_in
from fromage_model.understanding.kinds import stemmed
from fromage_model.understanding.names import Names
from fromage_model.understanding.others import goes_with
from fromage_model.understanding.prices import holds_any, price_in
from fromage_model.understanding.unwanted import kinds_gone_with, kinds_unwanted
from fromage_model.understanding.values import Statement, mentions, statements_in
from fromage_model.understanding.vocabulary import Vocabulary
from fromage_model.understanding.wanted import (
    Cells,
    Preference,
    compared,
    has,
    is_other,
    left_by,
    left_out,
    texts_of,
    wanted_in,
)
from fromage_model.understanding.words import Word, lexicon, words_of

LOOKS = ("colour", "pattern", "material")
"""What holds of a kind of things, and not of the next one; a price and a brand hold for all."""
LOW, HIGH = ("gte", "gt"), ("lte", "lt")
Filters = Mapping[str, Condition]


@dataclass(frozen=True)
class Said:
    """A turn: a user's `text`; or of an assistant's reply the products that it `shown` (ids), best first, and the
    `filters` that held then, which replace all before.
    """

    text: str = ""
    filters: Filters | None = None
    shown: tuple[str, ...] = ()

    @property
    def is_reply(self) -> bool:
        return self.filters is not None or bool(self.shown)


@dataclass(frozen=True)
class Understood:
    """`filters`, by column, the one that was said last at the end. `first`: narrower filters, of which items come
    first, in this order. `preferred`: what things were described by; an item that has one of the cells comes sooner.
    `kind`: which of these says what kind of things is wanted; nothing where none is said. `topic`: products (ids) that
    were shown and that the last message goes on about.
    """

    filters: dict[str, Condition] = field(default_factory=dict)
    first: tuple[Filters, ...] = ()
    preferred: tuple[Cells, ...] = ()
    kind: Cells = field(default_factory=dict)
    topic: tuple[str, ...] = ()


@dataclass
class _Heard:
    """What holds by now of a conversation."""

    filters: dict[str, Condition] = field(default_factory=dict)
    wanted: dict[str, Preference] = field(default_factory=dict)
    shown: tuple[str, ...] = ()


class Reader:
    """Reads conversations about the items of one catalogue. Holds no state between them."""

    def __init__(self, vocabulary: Vocabulary, names: Names, attributes: pa.ChunkedArray):
        """`attributes`: of the items that `names` finds."""
        self.vocabulary = vocabulary
        self._names = names
        self._attributes = attributes

    @classmethod
    def of(cls, items: pa.Table) -> Self:
        """Of a table with the catalogue's columns."""
        return cls(Vocabulary.of(items), Names.of(items), items.column("attributes"))

    def read(self, said: Sequence[Said]) -> Understood:
        """What holds at the end of a conversation."""
        heard = self._heard(said)
        last = next((turn.text for turn in reversed(said) if not turn.is_reply), "")
        first = tuple(one for one in self.named(last) if not heard.filters.keys() & one.keys())
        preferred = [cells for one in heard.wanted.values() if (cells := left_by(heard.filters, one.cells))]
        kind = heard.wanted["kind"].cells if "kind" in heard.wanted else {}
        topic = heard.shown if self.vocabulary.kinds else ()
        return Understood(heard.filters, first, tuple(preferred), kind, topic)

    def filters(self, said: Sequence[Said]) -> dict[str, Condition]:
        """The filters that hold at the end, the one that was said last at the end."""
        return self._heard(said).filters

    def named_items(self, text: str) -> tuple[Filters, ...]:
        """As `named`, without the brand."""
        ids = self._names.ids_in(text, words_of(text))
        return ({"id": ids},) if ids else ()

    def named(self, text: str) -> tuple[Filters, ...]:
        """Filters that the items pass that a text names: by id, by name, and by brand."""
        brands = mentions(words_of(text), self.vocabulary)
        return (*self.named_items(text), *([{BRAND: brands}] if brands else []))

    def _heard(self, said: Sequence[Said]) -> _Heard:
        heard = _Heard()
        for turn in said:
            if turn.filters is not None:
                heard.filters = dict(turn.filters)
            heard.shown = turn.shown or heard.shown
            if not turn.is_reply:
                self._hear(words_of(turn.text), heard)
        return heard

    def _hear(self, words: Sequence[Word], heard: _Heard) -> None:
        held = heard.filters
        comparisons = list(comparisons_in(words)) if heard.shown else []
        wanted = {one.of: one for one in wanted_in(words, self.vocabulary)}
        if "kind" in wanted and any(self._is_kind(one.named, wanted["kind"]) for one in comparisons):
            del wanted["kind"]
        unwanted = kinds_unwanted(words, self.vocabulary)
        wanted = self._without(wanted, unwanted)
        if "kind" not in wanted:
            unwanted += kinds_gone_with(words, self.vocabulary)
        thing = wanted.get("kind") or wanted.get("worn")
        shown = self._cells_of(heard.shown) if comparisons or unwanted or thing else []
        other = thing is not None and not any(has(cells, thing) for cells in shown)
        before = heard.wanted.get("kind")
        heard.wanted = self._without(heard.wanted, unwanted)
        beside = goes_with(words) or (before is not None and "kind" not in heard.wanted)
        beside |= other and "worn" in wanted and bool(shown)
        turned = any(cells.get(one.column) in one.cells for one in unwanted for cells in shown)
        if beside or turned or other:
            heard.shown = ()
        if beside or self._begins_anew(words, wanted.get("kind"), heard.wanted.get("kind")):
            heard.wanted.clear()
            for column in [column for column in held if role_of(column) in LOOKS]:
                del held[column]
        for one in wanted.values():
            self._end_filters(one, held)
        if "kind" in wanted:
            heard.wanted.pop("worn", None)
        heard.wanted |= wanted
        for statement in (*statements_in(words, self.vocabulary), *unwanted):
            condition = _joined(held.pop(statement.column, None), statement)
            if condition is not None:
                held[statement.column] = condition
            if statement.asks == "not":
                heard.wanted = self._without(heard.wanted, [statement])
        price = self.vocabulary.price
        found = price and price_in(words, price, spoken_of=price.column in held)
        if price and found:
            self._hear_price(price, *found, held)
        if heard.shown:
            self._compare(comparisons, shown, heard, priced=bool(found))

    def _end_filters(self, wanted: Preference, held: dict[str, Condition]) -> None:
        """`a red dress` is no filter, but after `in brown` it is the end of one, as it is after `nothing red`; and a
        necklace is after `no jewellery`.
        """
        asked = {(column, cell) for column, cells in wanted.cells.items() for cell in cells}
        near = asked | {cell for pair in self.vocabulary.together if pair & asked for cell in pair}
        for column, condition in list(held.items()):
            if (
                column in wanted.cells
                and _wanted(condition)
                and not set(wanted.cells[column]) & set(_wanted(condition))
            ):
                del held[column]
            left = [cell for cell in left_out(condition) if (column, cell) not in near]
            if len(left) < len(left_out(condition)):
                del held[column]
                if left:
                    held[column] = {NOT: _one_or_all(left)}

    def _compare(
        self, comparisons: Sequence[Comparison], shown: Sequence[Mapping[str, str]], heard: _Heard, *, priced: bool
    ) -> None:
        """With what was shown: a price becomes a bound, half of theirs beyond it, where the text has none itself."""
        price = self.vocabulary.price
        for comparison in comparisons:
            if one := compared(comparison, self.vocabulary.orders, shown):
                heard.wanted[one.of] = one
            if PRICE in comparison.measures and price and not priced and len(price.currencies) < 2:
                told = pa.chunked_array([pa.array([cells.get(price.column) for cells in shown], pa.string())])
                prices = numbers_in(told)
                if len(known := prices[~np.isnan(prices)]):
                    bound = {"gt" if comparison.more else "lt": median(known.tolist())}
                    self._hear_price(price, bound, None, heard.filters)

    def _begins_anew(self, words: Sequence[Word], kind: Preference | None, before: Preference | None) -> bool:
        """Whether a text speaks of things of another kind, and not of the same in another form: `skirts instead`."""
        if kind is None or before is None or not is_other(kind, before, self.vocabulary):
            return False
        return not any(word.said in lexicon("topic", "goes_on") for word in words)

    @staticmethod
    def _without(wanted: Mapping[str, Preference], unwanted: Sequence[Statement]) -> dict[str, Preference]:
        """What is wanted, without the cells that are not, in whatever column."""
        out: Condition = {NOT: [cell for statement in unwanted for cell in statement.cells]}
        left = ((name, one, left_by(dict.fromkeys(one.cells, out), one.cells)) for name, one in wanted.items())
        return {name: Preference(one.of, cells) for name, one, cells in left if cells}

    def _is_kind(self, named: tuple[str, ...], kind: Preference) -> bool:
        """Whether it is by what is compared alone that a kind of things was named: `the heel is too high`."""
        own = self.vocabulary.kinds.get(stemmed(named), ()) if named else ()
        return bool(own) and {one.column: one.cells for one in own} == kind.cells

    def _cells_of(self, ids: Collection[str]) -> list[Mapping[str, str]]:
        """What the catalogue says of these items, by column; of those that it has."""
        rows = self._names.rows_of(ids) if ids else []
        return [{f"{ATTRIBUTE}{name}": cell for name, cell in self._attributes[row].as_py() or ()} for row in rows]

    def _hear_price(
        self, price: PriceColumn, bounds: Mapping[str, float], currency: str | None, held: dict[str, Condition]
    ) -> None:
        before = held.pop(price.column, None)
        held[price.column] = _bounded(before, bounds)
        if currency and price.currency_column and len(price.currencies) > 1:
            held[price.currency_column] = currency


def _joined(before: Condition, statement: Statement) -> Condition:
    """What holds of a column after a statement; None for whatever it likes."""
    if statement.asks == "any":
        return None
    wanted, unwanted = _wanted(before), left_out(before)
    if statement.asks == "is":
        return _one_or_all(list(statement.cells))
    left = [cell for cell in wanted if cell not in statement.cells]
    return _one_or_all(left) if left else {NOT: _one_or_all(list(dict.fromkeys([*unwanted, *statement.cells])))}


def _wanted(condition: Any) -> list[str]:
    return [] if condition is None or isinstance(condition, Mapping) else texts_of(condition)


def _one_or_all(cells: list[str]) -> Any:
    return cells[0] if len(cells) == 1 else cells


def _bounded(before: Any, bounds: Mapping[str, float]) -> Condition:
    """The new bounds, with the other side of the old ones where a price lies between both."""
    kept: dict[str, float] = {}
    if isinstance(before, Mapping) and NOT not in before:
        for side in (LOW, HIGH):
            if not any(bound in bounds for bound in side):
                kept |= {bound: before[bound] for bound in side if bound in before}
    both = {**kept, **bounds}
    return both if holds_any(both) else dict(bounds)
