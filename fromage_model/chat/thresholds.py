"""Where [RET] is written because the LM is sure enough of it: a threshold for each row, over the logits of all at once.

Shapes: R rows, V vocabulary, N rows of them that have a threshold and may write [RET].
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

CERTAIN = 1e4
"""How far above every token's logit [RET]'s is put where it is to be written: no temperature draws another."""


@dataclass(frozen=True)
class Decided:
    """Of some rows, (N,), whether [RET] is written there."""

    rows: Tensor
    written: Tensor

    def lay_over(self, logits: Tensor) -> None:
        """(R, V + 1), in place: there [RET] is certain, or impossible."""
        best = logits[:, :-1].index_select(0, self.rows).amax(dim=-1)
        ret = torch.where(self.written, best + CERTAIN, float("-inf"))
        logits[:, -1].index_copy_(0, self.rows, ret)


class Thresholds:
    """`log_odds`: of each row the least at which [RET] is written; None where it is chosen like any token."""

    def __init__(self, log_odds: Sequence[float | None], device: torch.device):
        self._log_odds = log_odds
        self._device = device

    def decide(self, barred: Sequence[bool], logits: Tensor) -> Decided | None:
        """(R, V + 1), as the LM had them -> of the rows that have a threshold and are not barred; None without any."""
        found = [
            (place, least)
            for place, (least, no) in enumerate(zip(self._log_odds, barred, strict=True))
            if least is not None and not no
        ]
        if not found:
            return None
        rows = self._sent([place for place, _ in found], torch.long)
        own = logits.index_select(0, rows)
        odds = own[:, -1] - own[:, :-1].logsumexp(dim=-1)
        return Decided(rows, odds >= self._sent([least for _, least in found], own.dtype))

    def _sent(self, values: Sequence[float], dtype: torch.dtype) -> Tensor:
        """On the device; from pinned memory it takes them by itself."""
        pinned = self._device.type == "cuda"
        return torch.tensor(values, dtype=dtype, pin_memory=pinned).to(self._device, non_blocking=pinned)
