"""What the engine asks of a frozen LM: rows that grow side by side, each a sequence of its own. Computes nothing.

Shapes: T new positions of a row, R rows of a step, N positions of which states are given, D LM width, W width of the
last states, O positions of an opening, L layers, K key heads, E width of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class NewStates:
    """What a pass leaves at new positions: `last`, (N, W), feeds the logits; `layers`, (N, .) each, as asked for."""

    last: Tensor
    layers: tuple[Tensor, ...]


class Decoder(Protocol):
    """A row is known by a number, which does not come again."""

    def join(self, opening: Any = None) -> int:
        """A new row, which has read `opening` (what `read_opening` of the same LM gave) or nothing -> its number."""

    def leave(self, row: int) -> None:
        """Give a row up."""

    def prefill_many(self, rows: Sequence[int], pieces: Sequence[Tensor]) -> NewStates:
        """(T, D) for each of the rows, T of 1 or more, after what it has read -> the states at their ends, N of as many
        as there are rows.
        """

    def step(self, embeddings: Tensor, rows: Sequence[int]) -> NewStates:
        """(R, D), one position more in each of the rows -> their states, N = R, in the order of `rows`.

        A row that has taken part in one step takes part in all that follow, until it leaves.
        """

    def forget_last(self, rows: Sequence[int]) -> None:
        """Take the newest position of each of the rows back out."""

    def export(self, row: int, start: int, stop: int) -> Tensor:
        """(L, K, 2, stop - start, E), a copy of the row's keys and values; positions are counted after the opening."""

    def load(self, row: int, kept: Tensor) -> None:
        """The row, which has not taken part in a step, has read what was exported at the positions that come next."""

    def warm(self, opening: Any = None) -> int:
        """Before rows join, prepare for steps of every size, whose rows may begin with `opening` -> how many."""

    @property
    def max_positions(self) -> int | None:
        """Of a row after its opening, where memory was taken for so many and no more."""

    @property
    def cache_bytes(self) -> int:
        """Of the memory that keys and values take, used or not."""


class PackedWeights(Protocol):
    """A frozen LM's weights as decoding wants them, instead of transformers' modules."""

    def logits(self, last: Tensor) -> Tensor:
        """(N, W) -> (N, V)."""

    def decoder(self, slots: int) -> Decoder: ...

    def read_opening(self, embeddings: Tensor) -> Any:
        """(O, D) -> what rows that begin so can share."""
