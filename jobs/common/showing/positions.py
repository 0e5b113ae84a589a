"""Positions at which the LM chooses a token: how much [RET] leads there. Knows no messages.

Shapes: P positions, D LM width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.model.core import FromageCore
from fromage_model.model.trained import TrainedParts


@dataclass(frozen=True)
class Positions:
    """`last`, (P, D) float32: states from which the LM chooses a token; `log_sum`, (P,): log-sum-exp of its logits.
    `read`, (P, W) float32, is what the decision reads there, of a model that has one.
    """

    last: Tensor
    log_sum: Tensor
    read: Tensor | None = None

    def __len__(self) -> int:
        return len(self.last)

    @classmethod
    def of(cls, model: FromageCore, last: Tensor, layers: Sequence[Tensor] | None = None) -> "Positions":
        """Those of states (P, D); and for the decision of all layers that the LM gives, (P, .) each."""
        decision = model.trained.decision
        read = None if decision is None or layers is None else decision.read(layers)
        return cls(last.float(), model.lm.logits(last).float().logsumexp(dim=-1), read)

    @classmethod
    def join(cls, several: Sequence["Positions"]) -> "Positions":
        read = [one.read for one in several if one.read is not None]
        return cls(
            torch.cat([one.last for one in several]),
            torch.cat([one.log_sum for one in several]),
            torch.cat(read) if len(read) == len(several) else None,
        )

    def part(self, some: slice | Tensor) -> "Positions":
        """Some of them."""
        return Positions(self.last[some], self.log_sum[some], None if self.read is None else self.read[some])

    def log_odds(self, row: Tensor) -> Tensor:
        """(P,) of a token with the output row (D,) against all other tokens."""
        return self.last @ row - self.log_sum

    @torch.no_grad()
    def ret_log_odds(self, trained: TrainedParts) -> Tensor:
        """(P,) of [RET] against all other tokens, where a chat's reply begins."""
        if trained.decision is None or self.read is None:
            return self.log_odds(trained.ret.head_row)
        return trained.decision(self.read)
