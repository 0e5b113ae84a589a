"""Rows of a batch that are chosen in the same way, each with its own temperature and top_p. Knows nothing of [RET].

Shapes: R rows, V vocabulary, N rows of them that are chosen alike.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from fromage_model.chat.sampling import best, draw, draw_top_p, draw_wide_top_p

Way = Literal["best", "drawn", "drawn by top-p"]


class Drawn(Protocol):
    """What a row is drawn by."""

    temperature: float
    top_p: float


class Group:
    """Rows that are chosen in the same way, each with its own temperature and top_p."""

    def __init__(self, way: Way, places: list[int], rows: Sequence[Drawn], device: torch.device):
        self.rows = places
        self.index = sent(places, device)
        self._way = way
        self._everyone = len(places) == len(rows)
        temperatures = [[rows[place].temperature] for place in places]
        self._temperature = None if temperatures == [[1.0]] * len(places) else sent(temperatures, device)
        self._top_p = sent([[rows[place].top_p] for place in places], device, dtype=torch.float64)

    def choose(self, logits: Tensor, numbers: Tensor | None) -> Tensor:
        """(R, V) and (R, 1) of all rows -> (N,) ids, UNDECIDED where that takes a wider look."""
        if self._way == "best" or numbers is None:
            return best(self._own(logits))
        own, self._drawn_by = self._own(logits), self._own(numbers)
        self._probabilities = (own if self._temperature is None else own.div_(self._temperature)).softmax(dim=-1)
        if self._way == "drawn":
            return draw(self._probabilities, self._drawn_by)
        return draw_top_p(self._probabilities, self._drawn_by, self._top_p)

    def choose_widely(self, places: Tensor) -> Tensor:
        """Choose again in these of the group's rows, by the same numbers, from as many as it takes."""
        of_all = (self._probabilities, self._drawn_by, self._top_p)
        return draw_wide_top_p(*(kept.index_select(0, places) for kept in of_all))

    def _own(self, values: Tensor) -> Tensor:
        return values if self._everyone else values.index_select(0, self.index)


def sent(values: Sequence, device: torch.device, *, dtype: torch.dtype | None = None) -> Tensor:
    """Values of the host, on the device; from pinned memory it takes them by itself, and the host does not wait."""
    pinned = device.type == "cuda"
    return torch.tensor(values, dtype=dtype, pin_memory=pinned).to(device, non_blocking=pinned)
