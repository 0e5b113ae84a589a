"""Filters: which items a search may find, by what stands in their columns. Knows nothing of vectors.

A filter is a dict such as `{"brand": ["A", "B"], "attributes.colour": "red"}`: an item passes where every column named
holds one of the values given; None stands for an empty cell. For more there is any boolean pyarrow expression over the
catalogue's columns, such as `pc.field("brand").is_valid()`.

An expression means here what it means to pyarrow itself, where a comparison with an empty cell is neither true nor
false: `pc.field("brand") != "A"` leaves out the items without a brand. All but those of brand A are
`(pc.field("brand") != "A") | pc.field("brand").is_null()`.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from threading import Lock
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from fromage_model.catalogue import SCHEMA
from fromage_model.errors import InvalidInput

Value = str | None
Filter: TypeAlias = Mapping[str, Value | Sequence[Value]] | pc.Expression

ATTRIBUTE = "attributes."
COLUMNS = tuple(field.name for field in SCHEMA if pa.types.is_string(field.type))
KEPT_MASKS = 32
NAMES_SHOWN = 12
ROW = "__row__"


class Filters:
    """Evaluates filters over a table of items, and remembers the last few."""

    def __init__(self, items: pa.Table):
        self._items = items
        self._masks: OrderedDict[str, np.ndarray] = OrderedDict()
        self._lock = Lock()

    def mask(self, filter: Filter) -> np.ndarray:
        """(N,) bool, True for items that pass. Raises InvalidInput (field `filter`), which names the known columns."""
        if isinstance(filter, pc.Expression):
            return self._by_expression(filter)
        if not isinstance(filter, Mapping):
            raise InvalidInput(f"expected a filter of columns and values, got {type(filter).__name__}", field="filter")
        wanted = {_checked_name(name): _values(name, values) for name, values in filter.items()}
        key = json.dumps(wanted, sort_keys=True)
        with self._lock:
            if key in self._masks:
                self._masks.move_to_end(key)
                return self._masks[key]
            mask = np.ones(self._items.num_rows, dtype=bool)
            for name, values in wanted.items():
                mask &= _among(self._column(name), values)
            self._masks[key] = mask
            if len(self._masks) > KEPT_MASKS:
                self._masks.popitem(last=False)
            return mask

    def _column(self, name: str) -> pa.ChunkedArray:
        if name in COLUMNS:
            return self._items.column(name)
        known = self._attributes()
        if name.removeprefix(ATTRIBUTE) in known and name.startswith(ATTRIBUTE):
            return pc.map_lookup(self._items.column("attributes"), pa.scalar(name.removeprefix(ATTRIBUTE)), "first")
        raise _unknown(name, known)

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


def _among(column: pa.ChunkedArray, values: list[Value]) -> np.ndarray:
    found = pc.is_in(column, value_set=pa.array(values, pa.string()), skip_nulls=None not in values)
    return np.asarray(found.to_numpy(), dtype=bool)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _is_unicode(name):
        raise InvalidInput(f"expected columns by name in a filter, got {name!r:.80}", field="filter")
    return name


def _is_unicode(text: str) -> bool:
    """Half a surrogate pair, as JSON's "\\ud800", is in no column."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _values(name: str, values: Value | Sequence[Value]) -> list[Value]:
    listed = [values] if values is None or isinstance(values, str) else values
    if not isinstance(listed, Sequence) or not listed:
        raise InvalidInput(f"the filter on {name} must give a text or a list of texts", field=f"filter.{name}")
    for value in listed:
        if value is not None and not isinstance(value, str):
            raise InvalidInput(
                f"the filter on {name} must give texts, got {type(value).__name__} {value!r:.80}",
                field=f"filter.{name}",
            )
        if value is not None and not _is_unicode(value):
            raise InvalidInput(
                f"the filter on {name} must give texts of whole characters, got {value!r:.80}", field=f"filter.{name}"
            )
    return sorted(set(listed), key=lambda value: (value is not None, value))


def _unknown(name: str, attributes: Sequence[str]) -> InvalidInput:
    known = [*COLUMNS, *(f"{ATTRIBUTE}{attribute}" for attribute in attributes[:NAMES_SHOWN])]
    more = f" and {len(attributes) - NAMES_SHOWN} more attributes" if len(attributes) > NAMES_SHOWN else ""
    return InvalidInput(f"no column {name!r} to filter on; known are {', '.join(known)}{more}", field=f"filter.{name}")
