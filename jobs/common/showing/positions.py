"""Positions at which the LM chooses a token: how much [RET] leads there. Knows no messages.

Shapes: P positions, D LM width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.model.core import FromageCore


@dataclass(frozen=True)
class Positions:
    """`last`, (P, D) float32: states from which the LM chooses a token; `log_sum`, (P,): log-sum-exp of its logits."""

    last: Tensor
    log_sum: Tensor

    def __len__(self) -> int:
        return len(self.last)

    @classmethod
    def of(cls, model: FromageCore, last: Tensor) -> "Positions":
        """Those of states (P, D)."""
        return cls(last.float(), model.lm.logits(last).float().logsumexp(dim=-1))

    @classmethod
    def join(cls, several: Sequence["Positions"]) -> "Positions":
        return cls(torch.cat([one.last for one in several]), torch.cat([one.log_sum for one in several]))

    def part(self, some: slice | Tensor) -> "Positions":
        """Some of them."""
        return Positions(self.last[some], self.log_sum[some])

    def log_odds(self, row: Tensor) -> Tensor:
        """(P,) of a token with the output row (D,) against all other tokens."""
        return self.last @ row - self.log_sum
