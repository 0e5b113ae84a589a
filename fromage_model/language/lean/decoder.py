"""Rows that grow side by side over lean weights: where each stands, and which attention its new positions take.

Shapes: R rows, T new positions of a row, N positions of which states are given, D LM width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from fromage_model.language.decoder import NewStates
from fromage_model.language.lean.cache import Slots
from fromage_model.language.lean.reading import Opening, Reading
from fromage_model.language.lean.stepping import Stepping
from fromage_model.language.lean.weights import LeanWeights

CHUNK = 512
"""Positions of a row that `prefill` reads at once."""


class LeanDecoder:
    """At most `slots` rows, each a sequence of its own. Those that begin with an opening share one."""

    def __init__(self, weights: LeanWeights, *, slots: int):
        shape = weights.shape
        self._weights = weights
        self.slots = Slots(
            layers=shape.depth,
            slots=slots,
            key_heads=shape.key_heads,
            head_width=shape.head_width,
            dtype=weights.cache_dtype,
            device=weights.device,
        )
        self._stepping = Stepping(shape, self.slots, rotation=weights.rotation)
        self._opening: Opening | None = None

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
    def step(self, embeddings: Tensor, rows: Sequence[int]) -> NewStates:
        """(R, D), one position more for each of the rows -> their states, N = R, in the order of `rows`.

        Rows that stay in the same order from step to step are not moved.
        """
        self.slots.bring_forward(rows)
        self.slots.make_room(rows, 1)
        positions = self._stepping.prepare(
            len(rows), opening=self._opening, dtype=self._weights.attended_dtype(len(rows))
        )
        states = self._weights.forward(embeddings, positions, self._stepping)
        self.slots.advance(rows, 1)
        return states

    def _read(self, row: int, embeddings: Tensor, *, every: bool) -> NewStates:
        count = len(embeddings)
        self.slots.make_room([row], count)
        reading = Reading(
            self._weights.shape, self.slots, row, count, rotation=self._weights.rotation, opening=self._opening
        )
        states = self._weights.forward(embeddings, reading.positions, reading, last=not every)
        self.slots.advance([row], count)
        return states
