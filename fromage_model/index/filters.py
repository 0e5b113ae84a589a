"""Filters: which items a search may find, by what stands in their columns. Knows nothing of vectors.

A filter is a dict such as `{"brand": ["A", "B"], "attributes.price": {"lt": 50}}`: an item passes where every column
named meets its condition (`conditions`): one of the values given, or a number in a range. For more there is any boolean
pyarrow expression over the catalogue's columns, such as `pc.field("brand").is_valid()`.

An expression means here what it means to pyarrow itself, where a comparison with an empty cell is neither true nor
false: `pc.field("brand") != "A"` leaves out the items without a brand. All but those of brand A are
`(pc.field("brand") != "A") | pc.field("brand").is_null()`.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from threading import RLock
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from fromage_model.catalogue import SCHEMA
from fromage_model.errors import InvalidInput
from fromage_model.index.conditions import Condition, checked_condition, is_unicode, meets, numbers_in

Filter: TypeAlias = Mapping[str, Condition] | pc.Expression

ATTRIBUTE = "attributes."
COLUMNS = tuple(name for name in SCHEMA.names if name != "attributes")
KEPT_MASKS = 32
KEPT_NUMBERS = 8
NAMES_SHOWN = 12
ROW = "__row__"


class Filters:
    """Evaluates filters over a table of items, and remembers the last few."""

    def __init__(self, items: pa.Table):
        self._items = items
        self._masks: OrderedDict[str, np.ndarray] = OrderedDict()
        self._numbers: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = RLock()

    def mask(self, filter: Filter) -> np.ndarray:
        """(N,) bool, True for items that pass. Raises InvalidInput (field `filter`), which names the known columns."""
        if isinstance(filter, pc.Expression):
            return self._by_expression(filter)
        if not isinstance(filter, Mapping):
            raise InvalidInput(f"expected a filter of columns and values, got {type(filter).__name__}", field="filter")
        wanted = {_checked_name(name): checked_condition(name, given) for name, given in filter.items()}
        return self._kept(self._masks, json.dumps(wanted, sort_keys=True), KEPT_MASKS, lambda: self._passing(wanted))

    def _passing(self, wanted: Mapping[str, list | dict]) -> np.ndarray:
        mask = np.ones(self._items.num_rows, dtype=bool)
        for name, condition in wanted.items():
            column = self._column(name)
            mask &= meets(name, column, self._numbers_of(name, column), condition)
        return mask

    def _numbers_of(self, name: str, column: pa.ChunkedArray) -> np.ndarray:
        return self._kept(self._numbers, name, KEPT_NUMBERS, lambda: numbers_in(column))

    def _kept(
        self, store: OrderedDict[str, np.ndarray], key: str, most: int, make: Callable[[], np.ndarray]
    ) -> np.ndarray:
        """What was made for this key before, or now; of the least used, no more than `most` stay."""
        with self._lock:
            if key not in store:
                store[key] = make()
            store.move_to_end(key)
            while len(store) > most:
                store.popitem(last=False)
            return store[key]

    def _column(self, name: str) -> pa.ChunkedArray:
        if name in COLUMNS:
            return self._items.column(name)
        attribute = name.removeprefix(ATTRIBUTE)
        if name.startswith(ATTRIBUTE) and attribute in self._attributes:
            return pc.map_lookup(self._items.column("attributes"), pa.scalar(attribute), "first")
        raise _unknown(name, self._attributes)

    @cached_property
    def _attributes(self) -> list[str]:
        names: set[str] = set()
        for chunk in self._items.column("attributes").chunks:
            names |= set(pc.unique(chunk.keys).to_pylist())
        return sorted(names)

    def _by_expression(self, filter: pc.Expression) -> np.ndarray:
        numbered = self._items.append_column(ROW, pa.array(np.arange(self._items.num_rows)))
        try:
            kept = ds.dataset(numbered).scanner(columns=[ROW], filter=filter).to_table()[ROW].to_numpy()
        except (pa.ArrowException, TypeError) as error:
            known = ", ".join(SCHEMA.names)
            reason = str(error).partition("\n")[0]
            raise InvalidInput(
                f"the filter {filter} can't be used: {reason}. Columns are {known}", field="filter"
            ) from error
        mask = np.zeros(self._items.num_rows, dtype=bool)
        mask[kept] = True
        return mask


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not is_unicode(name):
        raise InvalidInput(f"expected columns by name in a filter, got {name!r:.80}", field="filter")
    return name


def _unknown(name: str, attributes: Sequence[str]) -> InvalidInput:
    known = [*COLUMNS, *(f"{ATTRIBUTE}{attribute}" for attribute in attributes[:NAMES_SHOWN])]
    more = f" and {len(attributes) - NAMES_SHOWN} more attributes" if len(attributes) > NAMES_SHOWN else ""
    return InvalidInput(f"no column {name!r} to filter on; known are {', '.join(known)}{more}", field=f"filter.{name}")
