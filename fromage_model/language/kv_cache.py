"""A KV cache that requests join and leave: one row each, all rows ending at the same column. Knows no tokens.

Rows end together, and don't start together, because then a step writes one column for all of them, what a row may see
is a matter of where it starts, and models that count back from the newest key (GPT-Neo's local attention) stay right.

Shapes: R rows of a forward pass, H key heads, C columns that it sees, E width of a head, T new positions.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, CacheLayerMixin

FIRST_CAPACITY = 64
"""Columns of a new cache."""

MOST_SPARE = 512
"""Columns that run out are replaced by twice as many as are needed, but by no more than this beyond the need: at that
length, one copy in so many steps is little beside the steps.
"""

KEPT_BYTES = 256 * 1024 * 1024
"""A cache larger than this is given back when its last row leaves."""


@dataclass(frozen=True)
class Layout:
    """What the next forward pass must be told: `mask` (R, C + 1), or None where every row sees all; `positions` (R, 1).

    Rows of a pass end together, so a row shorter than others stands at the right, with padding before it.
    """

    mask: Tensor | None
    positions: Tensor


@dataclass
class _Window:
    """What the next forward pass sees: the first `rows`, and their columns from `start` up to `end`."""

    rows: int = 0
    start: int = 0
    end: int = 0


class SlotCache(Cache):
    """At most `slots` rows. After `extend` one forward pass has to follow, which fills what it opened.

    Its memory is for as many rows and columns as have been needed at once, not for what could be.
    """

    layers: list["_SlotLayer"]

    def __init__(self, *, layers: int, slots: int, device: torch.device):
        self._window = _Window()
        super().__init__(layers=[_SlotLayer(self._window) for _ in range(layers)])
        self._device = device
        self._slots = slots
        self._rows = 0
        self._capacity = FIRST_CAPACITY
        self._end = 0
        self.lengths: list[int] = []

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)

    def admit(self, states: Sequence[tuple[Tensor, Tensor]]) -> None:
        """A new row, after those in use, which has read what these are: keys and values (1, H, T, E) of each layer."""
        length = states[0][0].shape[2]
        if not self.lengths:
            self._end = 0
        self._make_room(rows=len(self.lengths) + 1, before=length, after=0)
        for layer, (keys, values) in zip(self.layers, states, strict=True):
            layer.fill_row(len(self.lengths), slice(self._end - length, self._end), keys, values)
        self.lengths.append(length)

    def row(self, row: int) -> list[tuple[Tensor, Tensor]]:
        """What a row has read: keys and values of each layer, (H, T, E), as they lie in the cache."""
        columns = slice(self._end - self.lengths[row], self._end)
        return [(layer.keys[row, :, columns], layer.values[row, :, columns]) for layer in self.layers]

    def extend(self) -> Layout:
        """One position more for every row: the next pass has to follow, and fills it."""
        self._make_room(rows=len(self.lengths), before=0, after=1)
        width = max(self.lengths)
        window = self._window
        window.rows, window.start, window.end = len(self.lengths), self._end - width, self._end
        self._end += 1
        self.lengths = [length + 1 for length in self.lengths]
        return self._layout(width + 1)

    def forget_last(self, row: int) -> None:
        """Take the newest position back out of one row."""
        columns = slice(self._end - self.lengths[row], self._end)
        for layer in self.layers:
            layer.shift_row(row, columns)
        self.lengths[row] -= 1

    def leave(self, row: int) -> None:
        """Give a row up; the last row takes its place, in this cache and in `lengths`."""
        length = self.lengths.pop()
        if not self.lengths and self.size_bytes > KEPT_BYTES:
            self._give_back()
        if row == len(self.lengths):
            return
        for layer in self.layers:
            layer.copy_row(len(self.lengths), row, slice(self._end - length, self._end))
        self.lengths[row] = length

    def _layout(self, width: int) -> Layout:
        lengths = torch.tensor(self.lengths, device=self._device).unsqueeze(1)
        places = torch.arange(width, device=self._device) - (width - lengths)
        mask = None if min(self.lengths) == width else (places >= 0).long()
        return Layout(mask=mask, positions=places[:, -1:])

    def _make_room(self, *, rows: int, before: int, after: int) -> None:
        """So that there are `rows`, `before` columns stand before their common end, and `after` behind it."""
        fits = self._end >= before and self._end + after <= self._capacity
        if fits and rows <= self._rows:
            return
        width = max(self.lengths, default=0)
        end = self._end if fits else max(before, width)
        needed = end + after
        if not fits:
            self._capacity = max(self._capacity, needed + min(needed, MOST_SPARE))
        if rows > self._rows:
            self._rows = min(self._slots, max(rows, 2 * self._rows))
        source, target = slice(self._end - width, self._end), slice(end - width, end)
        for layer in self.layers:
            layer.move(source, target, used=len(self.lengths), rows=self._rows, capacity=self._capacity)
        self._end = end

    def _give_back(self) -> None:
        self._rows, self._capacity = 0, FIRST_CAPACITY
        self.layers = [_SlotLayer(self._window) for _ in self.layers]


class _SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, (rows, H, capacity, E); allocated at first use, when H and E are known."""

    def __init__(self, window: _Window):
        super().__init__()
        self._window = window
        self._rows = 0
        self._capacity = FIRST_CAPACITY

    @property
    def size_bytes(self) -> int:
        return self.keys.nbytes + self.values.nbytes if self.is_initialized else 0

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self.keys, self.values = self._empty(key_states), self._empty(value_states)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """New (R, H, T, E) -> all that the pass sees, (R, H, C + T, E)."""
        self._allocate(key_states, value_states)
        return self._write(self.keys, key_states), self._write(self.values, value_states)

    def fill_row(self, row: int, columns: slice, keys: Tensor, values: Tensor) -> None:
        """Keys and values, (1, H, T, E), go into as many `columns` of a row."""
        self._allocate(keys, values)
        self.keys[row, :, columns] = keys[0]
        self.values[row, :, columns] = values[0]

    def _allocate(self, keys: Tensor, values: Tensor) -> None:
        if not self.is_initialized:
            self.lazy_initialization(keys, values)

    def _write(self, kept: Tensor, new: Tensor) -> Tensor:
        window = self._window
        rows = kept[: window.rows]
        stop = window.end + new.shape[2]
        rows[:, :, window.end : stop] = new
        return rows[:, :, window.start : stop]

    def move(self, source: slice, target: slice, *, used: int, rows: int, capacity: int) -> None:
        """Put the columns `source` of the first `used` rows at `target`, in memory of `rows` and `capacity` columns."""
        self._rows, self._capacity = rows, capacity
        if self.is_initialized:
            self.keys = self._moved(self.keys, source, target, used)
            self.values = self._moved(self.values, source, target, used)

    def _moved(self, kept: Tensor, source: slice, target: slice, used: int) -> Tensor:
        moved = self._empty(kept)
        moved[:used, :, target] = kept[:used, :, source]
        return moved

    def copy_row(self, source: int, target: int, columns: slice) -> None:
        for kept in (self.keys, self.values):
            kept[target, :, columns] = kept[source, :, columns]

    def shift_row(self, row: int, columns: slice) -> None:
        """What stands in `columns` of a row goes one column to the right; the newest is lost."""
        for kept in (self.keys, self.values):
            part = kept[row, :, columns]
            part[:, 1:] = part[:, :-1].clone()

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self._window.end - self._window.start

    def get_max_length(self) -> int:
        return -1

    def _empty(self, states: Tensor) -> Tensor:
        # Zeros: what is masked counts 0 times, and 0 times what memory happened to hold may be NaN.
        return states.new_zeros(self._rows, states.shape[1], self._capacity, states.shape[3])
