"""Attention of one new position of each of many rows: to what all begin with, read once for all, and to their own.

The scores of both are put side by side and share one softmax, so the result is exact. All that a layer computes goes
into buffers that serve the next layer and the next step, seen in every shape that a product wants: a layer is a dozen
calls. Inside a step nothing depends on data and nothing waits for the device: it can be captured as a graph.

Shapes: R rows, K key heads, G queries of each, E width of a head, O positions of the opening, C columns of the rows'
own positions.
"""

import torch
from torch import Tensor

from fromage_model.language.lean.cache import Slots
from fromage_model.language.lean.fused import Shape
from fromage_model.language.lean.reading import Opening
from fromage_model.language.lean.rotation import Rotation

COLUMNS = 16
"""A step reads a multiple of so many columns, so that its buffers, and what it cuts out of the cache, serve as many."""
MOST_BUFFERS = 8
"""Numbers of rows and columns for which buffers are kept."""


class Stepping:
    """The first R slots take one position each: `prepare`, then one call for each layer, in turn."""

    def __init__(self, shape: Shape, slots: Slots, *, rotation: Rotation | None):
        self._shape, self._slots, self._rotation = shape, slots, rotation
        self._buffers: dict[tuple[int, int, int, torch.dtype], _Buffers] = {}
        self._generation = -1
        device = slots.device_lengths.device
        self._nothing = torch.zeros(1, dtype=slots.kept[0].dtype, device=device)

    def prepare(self, rows: int, *, opening: Opening | None, dtype: torch.dtype) -> Tensor:
        """-> the new positions, (R,). There has to be room for them; results will be in `dtype`."""
        slots = self._slots
        starts, longest = slots.starts[:rows], max(slots.lengths[:rows])
        self._opening = opening if any(starts) else None
        columns = min(slots.columns, -(-(longest + 1) // COLUMNS) * COLUMNS)
        self._now = self._buffers_for(rows, columns, dtype)
        own = slots.device_lengths[:rows].clone()
        positions = own + slots.device_starts[:rows]
        self._factors = None if self._rotation is None else self._rotation.factors(positions)
        self._rows, self._places = rows, self._now.first_columns + own.repeat_interleave(2 * self._shape.key_heads)
        self._mask = self._hidden(columns, own, None).repeat_interleave(self._shape.key_heads, dim=0)
        self._mask_by_row = self._mask.view(rows, -1, 1, columns).transpose(0, 1)
        self._opening_mask = None
        if self._opening is not None and (self._shape.window is not None or not all(starts)):
            absent = slots.device_starts[:rows] == 0
            hidden = self._hidden(self._opening.length, positions, absent)
            group = self._shape.heads // self._shape.key_heads
            self._opening_mask = hidden.repeat_interleave(group, dim=1).flatten(0, 1).unsqueeze(0)
        return positions

    def __call__(self, layer: int, qkv: Tensor) -> Tensor:
        """(R, K (G + 2) E) -> (R, H E), which the next call overwrites."""
        now, opening, scale, rows = self._now, self._opening, self._shape.scale, self._rows
        now.unturned.copy_(qkv)
        if self._factors is not None:
            now.turned.mul_(self._factors)
        if now.unturned is not now.qkv:
            now.qkv.copy_(now.unturned)
        now.new.copy_(now.new_source)
        now.kept[layer].index_copy_(0, self._places, now.new_places)
        torch.baddbmm(self._nothing, now.queries, now.keys[layer], beta=0, alpha=scale, out=now.own)
        if opening is None:
            now.own.add_(self._mask)
            torch.softmax(now.own, -1, out=now.own)
            torch.bmm(now.own, now.values[layer], out=now.found)
            return now.result.copy_(now.found_flat)
        if rows > 1:
            now.by_head_by_row.copy_(now.by_head_source)
        if self._opening_mask is None:
            torch.baddbmm(self._nothing, now.by_head, opening.keys_across[layer], beta=0, alpha=scale, out=now.first)
        else:
            torch.baddbmm(self._opening_mask, now.by_head, opening.keys_across[layer], alpha=scale, out=now.first)
        torch.add(now.own_by_row, self._mask_by_row, out=now.own_by_head)
        torch.softmax(now.scores, -1, out=now.scores)
        if rows > 1:
            now.own_by_row.copy_(now.own_by_head)
        torch.bmm(now.first, opening.values[layer], out=now.common)
        torch.bmm(now.own, now.values[layer], out=now.found)
        torch.add(now.found_by_row, now.common_by_row, out=now.result_by_row)
        return now.result

    def _hidden(self, count: int, newest: Tensor, absent: Tensor | None) -> Tensor:
        """(R, 1, count): 0, or minus infinity where a row whose newest column is `newest`, (R,), sees nothing."""
        columns = torch.arange(count, device=newest.device)
        hidden = columns > newest.unsqueeze(-1)
        if self._shape.window is not None:
            hidden |= columns <= newest.unsqueeze(-1) - self._shape.window
        if absent is not None:
            hidden |= absent.unsqueeze(-1)
        mask = torch.zeros(hidden.shape, dtype=self._nothing.dtype, device=hidden.device)
        return mask.masked_fill_(hidden, float("-inf")).unsqueeze(1)

    def _buffers_for(self, rows: int, columns: int, dtype: torch.dtype) -> "_Buffers":
        if self._generation != self._slots.generation:
            self._buffers, self._generation = {}, self._slots.generation
        count = 0 if self._opening is None else self._opening.length
        key = rows, columns, count, dtype
        if key not in self._buffers:
            if len(self._buffers) == MOST_BUFFERS:
                self._buffers.pop(next(iter(self._buffers)))
            self._buffers[key] = _Buffers(self._shape, self._slots, *key)
        return self._buffers[key]


class _Buffers:
    """Memory of a layer's results for one number of rows and columns, in the shapes in which it is read and written.

    Products over the rows' own positions go row by row and in a row by key head, those over the opening by key head and
    take all rows at once. For one row that is the same order, and nothing is copied from one into the other.
    """

    def __init__(self, shape: Shape, slots: Slots, rows: int, columns: int, opening: int, dtype: torch.dtype):
        heads, width = shape.key_heads, shape.head_width
        group = shape.heads // heads
        some = slots.kept[0]
        # 1. Queries, keys and values, and where in the cache new ones are written.
        self.qkv = some.new_zeros(rows, heads * (group + 2) * width)
        # Turned in float32, as a prompt is, and then rounded to what the cache holds.
        self.unturned = self.qkv if some.dtype == torch.float32 else torch.zeros_like(self.qkv, dtype=torch.float32)
        self.turned = self.unturned.view(torch.complex64)
        parts = self.qkv.view(rows, heads, group + 2, width)
        self.queries = parts.flatten(0, 1)[:, :group]
        self.new_source = parts[:, :, group:]
        self.new_places = some.new_zeros(rows * heads * 2, width)
        self.new = self.new_places.view(rows, heads, 2, width)
        self.kept = [layer.view(-1, width) for layer in slots.kept]
        self.first_columns = torch.arange(0, 2 * rows * heads, device=some.device) * slots.columns
        # 2. What of the cache is read, and what comes of it.
        cut = [layer[:rows].flatten(0, 1)[:, :, :columns] for layer in slots.kept]
        self.keys = [part[:, 0].transpose(1, 2) for part in cut]
        self.values = [part[:, 1] for part in cut]
        self.own = some.new_zeros(rows * heads, group, columns)
        self.found = some.new_zeros(rows * heads, group, width)
        self.found_by_row = self.found.view(rows, heads, group, width)
        self.found_flat = self.found.view(rows, -1)
        self.result = some.new_zeros(rows, heads * group * width, dtype=dtype)
        self.result_by_row = self.result.view(rows, heads, group, width)
        if not opening:
            return
        # 3. The same of the opening, whose scores stand before the others.
        self.scores = some.new_zeros(heads, rows * group, opening + columns)
        self.first = self.scores[..., :opening]
        self.own_by_head = self.scores[..., opening:].view(heads, rows, group, columns)
        self.own_by_row = self.own.view(rows, heads, group, columns).transpose(0, 1)
        self.by_head_source = parts[:, :, :group].transpose(0, 1)
        self.by_head = some.new_zeros(heads, rows * group, width)
        self.by_head_by_row = self.by_head.view(heads, rows, group, width)
        self.common = some.new_zeros(heads, rows * group, width)
        self.common_by_row = self.common.view(heads, rows, group, width).transpose(0, 1)
        if rows == 1:
            self.by_head, self.own = self.queries, self.scores[..., opening:]
            self.own_by_row = self.own_by_head
