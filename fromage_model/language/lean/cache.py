"""Keys and values of rows that come and go: each row has a slot, and its own positions start at the slot's column 0.

A slot holds what its row alone has read. What all rows begin with lies beside, once. A forward pass reads the first
slots, so a row may be moved: outside, it is known by a number that stays. Memory grows as rows need it, or is taken at
once.

Shapes: S slots, K key heads, C columns, E width of a head, O positions of the opening, N positions.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fromage_model.errors import ConfigError
from fromage_model.language.lean.fused import Shape

FIRST_COLUMNS = 64
"""Columns of a new cache; they double when they run out."""
MOST_SPARE = 512
"""Columns that are added at once at most: every slot has them, whichever row needs them."""
KEPT_BYTES = 256 * 1024 * 1024
"""A cache that has grown larger than this is given back when its last row leaves."""


def columns_that_fit(shape: Shape, *, slots: int, free_bytes: float, dtype: torch.dtype) -> int:
    """How many positions of their own so many rows can have each, in so much memory; a multiple of FIRST_COLUMNS.

    Raises ConfigError where that is none.
    """
    column_bytes = 2 * shape.depth * shape.key_heads * shape.head_width * dtype.itemsize
    least_bytes = column_bytes * FIRST_COLUMNS
    if free_bytes < slots * least_bytes:
        raise ConfigError(
            f"slots: {slots} rows take at least {slots * least_bytes / 1e6:,.0f} MB, and {free_bytes / 1e6:,.0f} MB may"
            f" be taken; {int(free_bytes // least_bytes)} would fit"
        )
    return int(free_bytes // (slots * least_bytes)) * FIRST_COLUMNS


class Slots:
    """At most `slots` rows. `lengths` counts a row's own positions by slot; `device_lengths` is the same on the device.

    `kept[l]` is (S, K, 2, C, E), keys at 0 and values at 1 of the third axis: both are written in one call.
    """

    def __init__(
        self,
        *,
        layers: int,
        slots: int,
        key_heads: int,
        head_width: int,
        dtype: torch.dtype,
        device: torch.device,
        columns: int | None = None,
        spare: int = 0,
    ):
        """With `columns` there are so many from the start, of all slots: nothing moves as long as they do.

        The last `spare` of the columns are no row's.
        """
        self.most = slots
        self._shape = (key_heads, 2, head_width)
        self._dtype, self._device = dtype, device
        self.columns, self._spare = columns or FIRST_COLUMNS, spare
        self._grows = columns is None
        self.kept = [self._empty(slots if columns else 1, self.columns) for _ in range(layers)]
        self.lengths = [0] * slots
        self.starts = [0] * slots
        self.device_lengths = torch.zeros(slots, dtype=torch.long, device=device)
        self.device_starts = torch.zeros(slots, dtype=torch.long, device=device)
        self._row_of: list[int | None] = [None] * slots
        self._slot_of: dict[int, int] = {}
        self._next_row = 0
        self.generation = 0
        """Changes whenever `kept` does: what was cut out of it must be cut again."""

    @property
    def rows(self) -> list[int]:
        return list(self._slot_of)

    @property
    def size_bytes(self) -> int:
        return sum(layer.nbytes for layer in self.kept)

    def join(self, *, start: int = 0) -> int:
        """A new row whose own positions come after `start` others -> its number. Raises RuntimeError when full."""
        if None not in self._row_of:
            raise RuntimeError(f"all {self.most} slots are taken")
        slot = self._row_of.index(None)
        self._make_room(rows=slot + 1, columns=0)
        row, self._next_row = self._next_row, self._next_row + 1
        self._row_of[slot], self._slot_of[row] = row, slot
        self._set(slot, length=0, start=start)
        return row

    def leave(self, row: int) -> None:
        slot = self._slot_of.pop(row)
        self._row_of[slot] = None
        self._set(slot, length=0, start=0)
        if not self._slot_of and self._grows and self.size_bytes > KEPT_BYTES:
            self.columns = FIRST_COLUMNS
            self.kept = [self._empty(1, self.columns) for _ in self.kept]
            self.generation += 1

    def slot(self, row: int) -> int:
        return self._slot_of[row]

    def length(self, row: int) -> int:
        return self.lengths[self._slot_of[row]]

    def start(self, row: int) -> int:
        return self.starts[self._slot_of[row]]

    def bring_forward(self, rows: Sequence[int]) -> None:
        """So that `rows` lie in the first slots, in this order. Copies only where they don't yet."""
        for slot, row in enumerate(rows):
            if self._row_of[slot] != row:
                self._exchange(slot, self._slot_of[row])

    def advance(self, rows: Sequence[int], count: int) -> None:
        """The rows have that many positions more (or, below 0, fewer)."""
        for row in rows:
            self.lengths[self._slot_of[row]] += count
        if self._slot_of and [self._slot_of[row] for row in rows] == list(range(len(rows))):
            self.device_lengths[: len(rows)] += count
            return
        for row in rows:
            self.device_lengths[self._slot_of[row]] += count

    def make_room(self, rows: Sequence[int], count: int, *, slots: int = 0) -> None:
        """So that each of the rows has columns for `count` positions more, and there are so many slots."""
        self._make_room(rows=slots, columns=max(map(self.length, rows), default=0) + count + self._spare)

    def write(self, row: int, layer: int, states: Tensor) -> Tensor:
        """(K, 2, N, E) after the row's positions -> all of its own, (K, 2, length + N, E)."""
        slot = self._slot_of[row]
        stop = self.lengths[slot] + states.shape[2]
        kept = self.kept[layer][slot]
        kept[:, :, self.lengths[slot] : stop] = states
        return kept[:, :, :stop]

    def export(self, row: int, start: int, stop: int) -> Tensor:
        """(L, K, 2, N, E): a copy of the row's own positions `start` to `stop`."""
        slot = self._slot_of[row]
        return torch.stack([layer[slot, :, :, start:stop] for layer in self.kept])

    def load(self, row: int, states: Tensor) -> None:
        """Put what `export` gave after the row's own positions."""
        self.make_room([row], states.shape[3])
        for layer, part in enumerate(states):
            self.write(row, layer, part)
        self.advance([row], states.shape[3])

    def _set(self, slot: int, *, length: int, start: int) -> None:
        self.lengths[slot], self.starts[slot] = length, start
        self.device_lengths[slot], self.device_starts[slot] = length, start

    def _exchange(self, one: int, other: int) -> None:
        count = max(self.lengths[one], self.lengths[other])
        for layer in self.kept:
            kept = layer[one, :, :, :count].clone()
            layer[one, :, :, :count] = layer[other, :, :, :count]
            layer[other, :, :, :count] = kept
        before = [(self._row_of[slot], self.lengths[slot], self.starts[slot]) for slot in (one, other)]
        for slot, (row, length, start) in zip((other, one), before, strict=True):
            self._set(slot, length=length, start=start)
            self._row_of[slot] = row
            if row is not None:
                self._slot_of[row] = slot

    def _make_room(self, *, rows: int, columns: int) -> None:
        have = len(self.kept[0])
        if rows <= have and columns <= self.columns:
            return
        while self.columns < columns:
            self.columns += min(self.columns, MOST_SPARE)
        rows = min(self.most, max(have, 2 * have if rows > have else 0, rows))
        for number, layer in enumerate(self.kept):
            self.kept[number] = self._empty(rows, self.columns)
            self.kept[number][:have, :, :, : layer.shape[3]] = layer
        self.generation += 1

    def _empty(self, rows: int, columns: int) -> Tensor:
        # Zeros: what is masked counts 0 times, and 0 times what memory happened to hold may be NaN.
        key_heads, kinds, width = self._shape
        return torch.zeros(rows, key_heads, kinds, columns, width, dtype=self._dtype, device=self._device)
