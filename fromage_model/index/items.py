"""The items of an index: rows of the catalogue's table, found by row or by id without a dictionary of a million ids."""

from collections import Counter
from copy import copy
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.catalogue import SCHEMA, Item
from fromage_model.errors import RetrievalIndexError


class ItemRows:
    """N rows of the catalogue's columns, of which those in `tombstones` (N,) bool are not items any more."""

    def __init__(self, table: pa.Table, tombstones: np.ndarray):
        """Raises RetrievalIndexError for a missing column, a null id, or an id of two living rows."""
        self.table = _columns_of(table)
        self.tombstones = tombstones
        _check_ids(self.living().column("id"))

    def buried(self, tombstones: np.ndarray) -> "ItemRows":
        """The same rows with further tombstones; what was sorted stays so."""
        rows = copy(self)
        rows.tombstones = tombstones
        return rows

    def living(self) -> pa.Table:
        """The rows that are items, in their order."""
        return self.table.filter(pa.array(~self.tombstones)) if self.tombstones.any() else self.table

    def __getitem__(self, row: int) -> Item:
        (values,) = self.table.slice(row, 1).to_pylist()
        return Item(**(values | {"attributes": dict(values["attributes"] or ())}))

    def id(self, row: int) -> str:
        return self.table.column("id")[row].as_py()

    def row_of(self, id: object) -> int | None:
        """The living row of an id, by binary search; None for what is no text."""
        if not isinstance(id, str):
            return None
        order = self._order
        low, high = 0, len(order)
        while low < high:
            middle = (low + high) // 2
            if self.id(int(order[middle])) < id:
                low = middle + 1
            else:
                high = middle
        while low < len(order) and self.id(row := int(order[low])) == id:
            if not self.tombstones[row]:
                return row
            low += 1
        return None

    @cached_property
    def _order(self) -> np.ndarray:
        """Row numbers in the order of their ids: arrow compares UTF-8 bytes, which is Python's order of texts."""
        return pc.sort_indices(self.table.column("id")).to_numpy()


def checked_items(table: pa.Table, *, vectors: int) -> pa.Table:
    """The catalogue's columns, in one chunk and of its types, of as many items as there are vectors.

    Raises RetrievalIndexError.
    """
    if not isinstance(table, pa.Table):
        raise RetrievalIndexError(
            f"expected items as a pyarrow Table with the catalogue's columns, got {type(table).__name__}"
        )
    if table.num_rows != vectors:
        raise RetrievalIndexError(f"expected {vectors} items for {vectors} vectors, got {table.num_rows}")
    if not vectors:
        raise RetrievalIndexError("expected at least one item, got none")
    try:
        items = _columns_of(table).cast(SCHEMA).combine_chunks()
    except (pa.ArrowException, ValueError) as error:
        raise RetrievalIndexError(f"expected the items' columns to be of the catalogue's types: {error}") from error
    return ItemRows(items, np.zeros(vectors, dtype=bool)).table


def _columns_of(table: pa.Table) -> pa.Table:
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise RetrievalIndexError(f"expected the catalogue's columns among the items, missing {', '.join(missing)}")
    twice = [name for name in SCHEMA.names if table.column_names.count(name) > 1]
    if twice:
        raise RetrievalIndexError(f"expected every column once, got {', '.join(twice)} more than once")
    return table.select(SCHEMA.names)


def _check_ids(ids: pa.ChunkedArray) -> None:
    if ids.null_count:
        raise RetrievalIndexError("expected an id for every item, got null")
    if len(pc.unique(ids)) < len(ids):
        twice = [id for id, count in Counter(ids.to_pylist()).items() if count > 1]
        raise RetrievalIndexError(f"expected every id once, got {', '.join(twice[:3])} more than once")
