"""Attention of one new position of each of many rows: to what all begin with, read once for all, and to their own.

The scores of both are put side by side and share one softmax, so the result is exact. All that a layer computes goes
into buffers that serve the next layer and the next step, seen in every shape that a product wants: a layer is a dozen
calls. The host decides which buffers a step takes; from there on nothing depends on data and nothing waits for the
device, so that it can be captured as a graph.

Shapes: R rows, K key heads, G queries of each, E width of a head, O positions of the opening, C columns of the rows'
own positions.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from fromage_model.language.lean.cache import FIRST_COLUMNS, Slots
from fromage_model.language.lean.fused import Shape
from fromage_model.language.lean.graphs import Graphs, rung
from fromage_model.language.lean.reading import Opening
from fromage_model.language.lean.rotation import Rotation

COLUMNS = 16
"""A step reads a multiple of so many columns, so that its buffers, and what it cuts out of the cache, serve as many."""
MOST_BUFFERS = 8
"""Sizes for which buffers are kept; with graphs, for all."""


class Stepping:
    """The first slots take one position each: `choose`, `begin`, then one call for each layer, in turn.

    With graphs, R and C go in rungs. The slots that fill up a rung are idle: they stand at position 0 and write into
    their last column, which is no row's.
    """

    def __init__(
        self,
        shape: Shape,
        slots: Slots,
        *,
        rotation: Rotation | None,
        attended_dtype: Callable[[int], torch.dtype],
        graphs: Graphs | None = None,
    ):
        """Results for R rows will be in `attended_dtype(R)`; with graphs, `slots` have a spare column."""
        self._shape, self._slots, self._rotation = shape, slots, rotation
        self._attended_dtype, self._graphs = attended_dtype, graphs
        self._buffers: dict[tuple[int, int, Opening | None, bool], Buffers] = {}
        self._generation = slots.generation
        self._opening: Opening | None = None
        self._nothing = torch.zeros(1, dtype=slots.kept[0].dtype, device=slots.device_lengths.device)
        self._numbers = torch.arange(slots.most, device=slots.device_lengths.device)
        self._busy = torch.zeros_like(self._numbers[:1])
        self._now: Buffers | None = None

    def choose(self, rows: Sequence[int], *, opening: Opening | None) -> "Buffers":
        """-> those for the rows, which lie in the first slots, with room for their new positions."""
        slots, count = self._slots, len(rows)
        if self._graphs is not None:
            self._busy.fill_(count)
            padded = rung(count, first=1, most=slots.most)
            slots.make_room(rows, 1, slots=padded)
            columns = rung(max(slots.lengths[:count]) + 1, first=FIRST_COLUMNS, most=slots.columns)
            return self.buffers(padded, columns, opening, masked=True)
        slots.make_room(rows, 1)
        starts, columns = slots.starts[:count], -(-(max(slots.lengths[:count]) + 1) // COLUMNS) * COLUMNS
        masked = not all(starts)
        return self.buffers(count, min(slots.columns, columns), opening if any(starts) else None, masked=masked)

    def buffers(self, rows: int, columns: int, opening: Opening | None, *, masked: bool) -> "Buffers":
        """`masked` where not all rows begin with the opening."""
        self.let_go()
        if opening not in (None, self._opening):
            self._drop()
            self._opening = opening
        key = rows, columns, opening, masked
        if key not in self._buffers:
            if len(self._buffers) == MOST_BUFFERS and self._graphs is None:
                self._buffers.pop(next(iter(self._buffers)))
            self._buffers[key] = Buffers(self._shape, self._slots, *key, dtype=self._attended_dtype(rows))
        return self._buffers[key]

    def begin(self, now: "Buffers") -> Tensor:
        """-> the new positions, (R,)."""
        rows, self._now = now.rows, now
        own, starts = self._slots.device_lengths[:rows].clone(), self._slots.device_starts[:rows]
        places = own
        if self._graphs is not None:
            idle = self._numbers[:rows] >= self._busy
            own, starts = own.masked_fill(idle, 0), starts.masked_fill(idle, 0)
            places = own.masked_fill(idle, self._slots.columns - 1)
        positions = own + starts
        self._factors = None if self._rotation is None else self._rotation.factors(positions)
        self._places = (now.first_columns + places.unsqueeze(-1)).flatten()
        self._mask = self._hidden(now.columns, own, None).repeat_interleave(self._shape.key_heads, dim=0)
        self._mask_by_row = self._mask.view(rows, -1, 1, now.columns).transpose(0, 1)
        self._opening_mask = None
        if now.opening is not None and (self._shape.window is not None or now.masked):
            hidden = self._hidden(now.opening.length, positions, starts == 0)
            group = self._shape.heads // self._shape.key_heads
            self._opening_mask = hidden.repeat_interleave(group, dim=1).flatten(0, 1).unsqueeze(0)
        return positions

    def __call__(self, layer: int, qkv: Tensor) -> Tensor:
        """(R, K (G + 2) E) -> (R, H E), which the next call overwrites."""
        now = self._now
        assert now is not None, "a step begins with `begin`"
        opening, scale = now.opening, self._shape.scale
        now.read.copy_(qkv)
        if self._factors is not None:
            now.turned.mul_(self._factors)
        if now.qkv is not now.read:
            now.qkv.copy_(now.read)
        now.new.copy_(now.new_source)
        now.kept[layer].index_copy_(0, self._places, now.new_places)
        torch.baddbmm(self._nothing, now.queries, now.keys[layer], beta=0, alpha=scale, out=now.own_scores)
        if opening is None:
            torch.add(now.own_scores, self._mask, out=now.own)
            torch.softmax(now.own, -1, out=now.own)
            torch.bmm(now.own, now.values[layer], out=now.found)
            return now.result.copy_(now.found_flat)
        if now.rows > 1:
            now.by_head_by_row.copy_(now.by_head_source)
        across, scores = opening.keys_across[layer], now.first_scores
        if self._opening_mask is None:
            torch.baddbmm(self._nothing, now.by_head, across, beta=0, alpha=scale, out=scores)
        else:
            torch.baddbmm(self._opening_mask, now.by_head, across, alpha=scale, out=scores)
        now.first.copy_(scores)
        torch.add(now.own_by_row, self._mask_by_row, out=now.own_by_head)
        torch.softmax(now.scores, -1, out=now.scores)
        if now.rows > 1:
            now.own_by_row.copy_(now.own_by_head)
        torch.bmm(now.first, opening.values[layer], out=now.common)
        torch.bmm(now.own, now.values[layer], out=now.found)
        torch.add(now.found_by_row, now.common_by_row, out=now.result_by_row)
        return now.result

    def let_go(self) -> None:
        """Of memory from which the cache has moved away: what shows it would keep it."""
        if self._generation != self._slots.generation:
            self._drop()

    def _drop(self) -> None:
        """What buffers show, and graphs have captured, is no longer there."""
        self._now = None
        self._generation = self._slots.generation
        self._buffers.clear()
        if self._graphs is not None:
            self._graphs.drop()

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


class Buffers:
    """Memory of a layer's results for one number of rows and columns, in the shapes in which it is read and written.

    Products over the rows' own positions go row by row and in a row by key head, those over the opening by key head and
    take all rows at once. For one row that is the same order, and nothing is copied from one into the other.
    """

    def __init__(
        self,
        shape: Shape,
        slots: Slots,
        rows: int,
        columns: int,
        opening: Opening | None,
        masked: bool,
        *,
        dtype: torch.dtype,
    ):
        self.rows, self.columns, self.opening, self.masked = rows, columns, opening, masked
        heads, width = shape.key_heads, shape.head_width
        group = shape.heads // heads
        some = slots.kept[0]
        # 1. Queries, keys and values, turned in float32, and where in the cache new ones are written.
        self.read = some.new_zeros(rows, heads * (group + 2) * width, dtype=torch.float32)
        self.turned = self.read.view(torch.complex64)
        self.qkv = self.read if some.dtype == self.read.dtype else torch.zeros_like(self.read, dtype=some.dtype)
        parts = self.qkv.view(rows, heads, group + 2, width)
        self.queries = parts.flatten(0, 1)[:, :group]
        self.new_source = parts[:, :, group:]
        self.new_places = some.new_zeros(rows * heads * 2, width)
        self.new = self.new_places.view(rows, heads, 2, width)
        self.kept = [layer.view(-1, width) for layer in slots.kept]
        self.first_columns = torch.arange(2 * rows * heads, device=some.device).view(rows, -1) * slots.columns
        # 2. What of the cache is read, and what comes of it.
        cut = [layer[:rows].flatten(0, 1)[:, :, :columns] for layer in slots.kept]
        self.keys = [part[:, 0].transpose(1, 2) for part in cut]
        self.values = [part[:, 1] for part in cut]
        self.own = self.own_scores = some.new_zeros(rows * heads, group, columns)
        self.found = some.new_zeros(rows * heads, group, width)
        self.found_by_row = self.found.view(rows, heads, group, width)
        self.found_flat = self.found.view(rows, -1)
        self.result = some.new_zeros(rows, heads * group * width, dtype=dtype)
        self.result_by_row = self.result.view(rows, heads, group, width)
        if opening is None:
            return
        # 3. The same of the opening, whose scores stand before the others.
        self.scores = some.new_zeros(heads, rows * group, opening.length + columns)
        self.first = self.scores[..., : opening.length]
        # Into what does not lie together torch multiplies head by head.
        self.first_scores = some.new_zeros(heads, rows * group, opening.length)
        self.own_by_head = self.scores[..., opening.length :].view(heads, rows, group, columns)
        self.own_by_row = self.own.view(rows, heads, group, columns).transpose(0, 1)
        self.by_head_source = parts[:, :, :group].transpose(0, 1)
        self.by_head = some.new_zeros(heads, rows * group, width)
        self.by_head_by_row = self.by_head.view(heads, rows, group, width)
        self.common = some.new_zeros(heads, rows * group, width)
        self.common_by_row = self.common.view(heads, rows, group, width).transpose(0, 1)
        if rows == 1:
            self.by_head, self.own = self.queries, self.scores[..., opening.length :]
