"""Rows that grow side by side over lean weights: where each stands, and which attention its new positions take.

Shapes: R rows, T new positions of a row, N positions of which states are given, D LM width.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from fromage_model.language.decoder import NewStates
from fromage_model.language.lean.cache import FIRST_COLUMNS, Slots, columns_that_fit
from fromage_model.language.lean.graphs import Graphs, rung, rungs
from fromage_model.language.lean.reading import Opening, Reading
from fromage_model.language.lean.stepping import Buffers, Stepping
from fromage_model.language.lean.weights import LeanWeights

CHUNK = 512
"""Positions of a row that `prefill` reads at once."""
CACHE_SHARE = 0.8
"""Of a GPU's free memory; prompts and graphs take of the rest."""
SPARE = 1
"""Columns for what idle rows write."""


class LeanDecoder:
    """At most `slots` rows, each a sequence of its own. Those that begin with an opening share one."""

    def __init__(
        self, weights: LeanWeights, *, slots: int, ladder: bool | None = None, cache_share: float = CACHE_SHARE
    ):
        """With a `ladder`, by default on CUDA, steps go in rungs of rows and columns, each of which CUDA captures once.

        There the cache takes `cache_share` of the free memory at once, and no more than all slots can use, since what
        is captured does not outlive a cache that grows. Raises ConfigError where that is too little.
        """
        shape, device = weights.shape, weights.device
        self._weights = weights
        self._graphs = Graphs(device) if ladder or (ladder is None and device.type == "cuda") else None
        columns = None
        if self._graphs is not None and device.type == "cuda":
            free_bytes = cache_share * torch.cuda.mem_get_info(device)[0]
            columns = columns_that_fit(shape, slots=slots, free_bytes=free_bytes, dtype=weights.cache_dtype)
            columns = min(columns, weights.max_positions + SPARE)
        self._most_positions = None if columns is None else columns - SPARE
        self.slots = Slots(
            layers=shape.depth,
            slots=slots,
            key_heads=shape.key_heads,
            head_width=shape.head_width,
            dtype=weights.cache_dtype,
            device=device,
            columns=columns,
            spare=0 if self._graphs is None else SPARE,
        )
        self._stepping = Stepping(
            shape,
            self.slots,
            rotation=weights.rotation,
            attended_dtype=weights.attended_dtype,
            graphs=self._graphs,
        )
        # Embeddings and not ids: which row of which table a token reads, the LM's or [RET]'s own, is not known here.
        self._inputs = torch.zeros(slots, weights.width, dtype=weights.dtype, device=device)
        self._opening: Opening | None = None

    @property
    def max_positions(self) -> int | None:
        """Of a row after its opening: what is captured does not outlive a cache that grows."""
        return self._most_positions

    @property
    def cache_bytes(self) -> int:
        """Of the rows' keys and values, the opening's not among them."""
        return self.slots.size_bytes

    def join(self, opening: Opening | None = None) -> int:
        """A new row, which begins with the opening -> its number.

        Raises RuntimeError while other rows begin with another opening, and when all slots are taken.
        """
        if opening is not None:
            if self._opening not in (None, opening):
                raise RuntimeError("rows begin with another opening, and all share one")
            self._opening = opening
        return self.slots.join(start=0 if opening is None else opening.length)

    def leave(self, row: int) -> None:
        """Give a row up; its number does not come again."""
        self.slots.leave(row)
        self._stepping.let_go()
        if not any(self.slots.starts):
            self._opening = None

    def length(self, row: int) -> int:
        """Positions that the row has read, the opening's included."""
        return self.slots.start(row) + self.slots.length(row)

    def forget_last(self, rows: Sequence[int]) -> None:
        """Take the newest position of each of the rows back out."""
        self.slots.advance(rows, -1)

    def export(self, row: int, start: int, stop: int) -> Tensor:
        """A copy of keys and values of the row's own positions `start` to `stop`, counted after the opening."""
        return self.slots.export(row, start, stop)

    def load(self, row: int, states: Tensor) -> None:
        """The row has read what was exported at the very positions that come next in it."""
        self.slots.load(row, states)

    @torch.inference_mode()
    def prefill(self, row: int, embeddings: Tensor, *, every: bool = False) -> NewStates:
        """(T, D) after what the row has read -> the states of the last position, or of `every` one, N of 1 or T.

        Raises ValueError where T is 0.
        """
        if not len(embeddings):
            raise ValueError("no positions to read; expected 1 or more")
        parts = [self._read(row, part, every=every) for part in embeddings.split(CHUNK)]
        if not every or len(parts) == 1:
            return parts[-1]
        layers = zip(*[part.layers for part in parts], strict=True)
        return NewStates(torch.cat([part.last for part in parts]), tuple(torch.cat(layer) for layer in layers))

    @torch.inference_mode()
    def prefill_many(self, rows: Sequence[int], pieces: Sequence[Tensor]) -> NewStates:
        """Short pieces of several rows go through the products as one."""
        if len(rows) == 1:
            return self.prefill(rows[0], pieces[0])
        counts = [len(piece) for piece in pieces]
        for row, count in zip(rows, counts, strict=True):
            self.slots.make_room([row], count)
        readings = [self._reading(row, count) for row, count in zip(rows, counts, strict=True)]

        def attend(layer: int, qkv: Tensor) -> Tensor:
            parts = zip(readings, qkv.split(counts), strict=True)
            return torch.cat([reading(layer, part) for reading, part in parts])

        ends = torch.tensor(counts, device=pieces[0].device).cumsum(0) - 1
        positions = torch.cat([reading.positions for reading in readings])
        states = self._weights.forward(torch.cat(list(pieces)), positions, attend, kept=ends)
        for row, count in zip(rows, counts, strict=True):
            self.slots.advance([row], count)
        return states

    @torch.inference_mode()
    def step(self, embeddings: Tensor, rows: Sequence[int]) -> NewStates:
        """(R, D), one position more for each of the rows -> their states, N = R, in the order of `rows`.

        Rows that stay in the same order from step to step are not moved.
        """
        self.slots.bring_forward(rows)
        now = self._stepping.choose(rows, opening=self._opening)
        if self._graphs is None:
            states = self._compute(now, embeddings)
        else:
            count = len(rows)
            self._inputs[:count].copy_(embeddings, non_blocking=True)
            padded = self._replay(now)
            states = NewStates(padded.last[:count].clone(), tuple(layer[:count].clone() for layer in padded.layers))
        self.slots.advance(rows, 1)
        return states

    @torch.inference_mode()
    def warm(self, opening: Opening | None = None) -> int:
        """Before rows join: capture every rung, so that no step waits for that -> how many there are.

        `opening` is what rows will begin with.
        """
        if self._graphs is None:
            return 0
        self.slots.make_room([], 0, slots=self.slots.most)
        own = self._weights.max_positions - (0 if opening is None else opening.length)
        most = rung(own, first=FIRST_COLUMNS, most=self.slots.columns)
        for rows in rungs(first=1, most=self.slots.most):
            for columns in rungs(first=FIRST_COLUMNS, most=most):
                self._replay(self._stepping.buffers(rows, columns, opening, masked=True))
        return len(self._graphs)

    def _replay(self, now: Buffers) -> NewStates:
        assert self._graphs is not None
        return self._graphs(now, partial(self._compute, now, self._inputs[: now.rows]))

    def _compute(self, now: Buffers, embeddings: Tensor) -> NewStates:
        """May be done twice: lengths stay, and the same is written."""
        return self._weights.forward(embeddings, self._stepping.begin(now), self._stepping)

    def _read(self, row: int, embeddings: Tensor, *, every: bool) -> NewStates:
        count = len(embeddings)
        self.slots.make_room([row], count)
        reading = self._reading(row, count)
        kept = slice(None) if every else slice(-1, None)
        states = self._weights.forward(embeddings, reading.positions, reading, kept=kept)
        self.slots.advance([row], count)
        return states

    def _reading(self, row: int, count: int) -> Reading:
        shape, rotation = self._weights.shape, self._weights.rotation
        return Reading(shape, self.slots, row, count, rotation=rotation, opening=self._opening)
