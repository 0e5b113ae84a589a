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
    """What the next forward pass must be told: `mask` (R, C + T), or None where every row sees all; `positions` (R, T).

    Rows of a pass end together, so a row shorter than others stands at the right, with padding before it.
    """

    mask: Tensor | None
    positions: Tensor


@dataclass
class _Window:
    """What the next forward pass sees, rows `first` to `last` and columns `start` to `end`, without those two ends."""

    first: int = 0
    last: int = 0
    start: int = 0
    end: int = 0


class SlotCache(Cache):
    """At most `slots` rows. After `admit` or `extend`, one forward pass has to follow, which fills what they opened.

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

    def admit(self, lengths: Sequence[int], *, opening: Sequence[tuple[Tensor, Tensor]] = ()) -> Layout:
        """New rows, after those in use, for prompts of these lengths: the next pass reads them alone.

        `opening` holds for each layer the keys and values, (1, H, O, E), of what all these prompts begin with. The
        longest one's other positions are then what the pass reads, and as many of every other row, at its end: a
        shorter row reads the end of the opening again where the longest row goes on, and needs no padding for that.
        """
        longest = max(lengths)
        new = longest - (opening[0][0].shape[2] if opening else 0)
        if not self.lengths:
            self._end = 0
        first = len(self.lengths)
        self._make_room(rows=first + len(lengths), before=longest, after=0)
        for row, length in enumerate(lengths, start=first):
            for layer, (keys, values) in zip(self.layers, opening, strict=False):
                layer.fill_row(row, slice(self._end - length, max(self._end - length, self._end - new)), keys, values)
        self._open(first=first, lengths=lengths, width=longest, new=new, end=self._end - new)
        self.lengths += lengths
        return self._layout(lengths, width=longest, new=new)

    def extend(self) -> Layout:
        """One position more for every row."""
        self._make_room(rows=len(self.lengths), before=0, after=1)
        width = max(self.lengths)
        self._open(first=0, lengths=self.lengths, width=width, new=0, end=self._end)
        self._end += 1
        self.lengths = [length + 1 for length in self.lengths]
        return self._layout(self.lengths, width=width + 1, new=1)

    def forget_last(self, row: int) -> None:
        """Take the newest position back out of one row."""
        columns = slice(self._end - self.lengths[row], self._end)
        for layer in self.layers:
            layer.shift_row(row, columns)
        self.lengths[row] -= 1

    def leave(self, row: int) -> None:
        """Give a row up; the last row takes its place, in this cache and in `lengths`."""
        length = self.lengths.pop()
        if not self.lengths and sum(layer.size_bytes for layer in self.layers) > KEPT_BYTES:
            self._give_back()
        if row == len(self.lengths):
            return
        for layer in self.layers:
            layer.copy_row(len(self.lengths), row, slice(self._end - length, self._end))
        self.lengths[row] = length

    def _open(self, *, first: int, lengths: Sequence[int], width: int, new: int, end: int) -> None:
        window = self._window
        window.first, window.last = first, first + len(lengths)
        window.start, window.end = end - (width - new), end

    def _layout(self, lengths: Sequence[int], *, width: int, new: int) -> Layout:
        columns = torch.arange(width, device=self._device)
        places = columns - torch.tensor([[width - length] for length in lengths], device=self._device)
        mask = None if min(lengths) == width else (places >= 0).long()
        return Layout(mask=mask, positions=places[:, width - new :].clamp(min=0))

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
        """The first of the keys and values, (1, H, O, E), go into `columns` of a row, as many as these are."""
        self._allocate(keys, values)
        count = columns.stop - columns.start
        self.keys[row, :, columns] = keys[0, :, :count]
        self.values[row, :, columns] = values[0, :, :count]

    def _allocate(self, keys: Tensor, values: Tensor) -> None:
        if not self.is_initialized:
            self.lazy_initialization(keys, values)

    def _write(self, kept: Tensor, new: Tensor) -> Tensor:
        window = self._window
        rows = kept[window.first : window.last]
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
