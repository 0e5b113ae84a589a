"""Several rows written at once, each until it ends. Knows of a model only that it gives logits and reads tokens.

A row's tokens depend on the row alone, and one that has ended leaves the batch.

Shapes: R rows still being written, V vocabulary.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fromage_model.chat.chooser import Chooser
from fromage_model.prompts.messages import Sampling


class Rows(Protocol):
    """A model part-way through a batch of sequences."""

    def logits(self) -> Tensor:
        """(R, V) float32: what may come next in each row; they are asked for once a token, and overwritten."""

    def keep(self, rows: Tensor) -> None:
        """Go on with these rows alone, (R',), indices into those of now."""

    def consume(self, tokens: Tensor) -> None:
        """Read one token more in each row, (R,)."""


@dataclass(frozen=True)
class Written:
    """What one row wrote; `ended` is whether it ended by itself and not at the token limit."""

    ids: list[int]
    ended: bool


def write_rows(
    rows: Rows,
    count: int,
    *,
    sampling: Sampling,
    stop_ids: Collection[int],
    device: torch.device,
    ends: Callable[[list[int]], bool] = lambda ids: False,
) -> list[Written]:
    """`count` rows decoded by `sampling` (all but what it says of [RET]) -> what each wrote.

    A row ends before one of `stop_ids`, or after the token with which `ends` holds of its ids. With a seed every row is
    drawn by the same numbers: it is the same alone and among others.
    """
    chooser = Chooser(slots=count, device=device)
    for _ in range(count):
        chooser.admit(sampling)
    ids: list[list[int]] = [[] for _ in range(count)]
    ended = [False] * count
    running = list(range(count))
    for step in range(sampling.max_new_tokens):
        for row, token in zip(running, chooser(rows.logits()), strict=True):
            if token not in stop_ids:
                ids[row].append(token)
            ended[row] = token in stop_ids or ends(ids[row])
        going = [place for place, row in enumerate(running) if not ended[row]]
        if not going or step + 1 == sampling.max_new_tokens:
            break
        if len(going) < len(running):
            rows.keep(torch.tensor(going, device=device))
            chooser.keep(going)
            running = [running[place] for place in going]
        rows.consume(chooser.ids)
    return [Written(row, end) for row, end in zip(ids, ended, strict=True)]
