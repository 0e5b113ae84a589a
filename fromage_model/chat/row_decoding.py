"""Several rows written at once, each until it ends. Knows of a model only that it gives logits and reads tokens.

A row's tokens depend on the row alone: it has a generator of its own, and one that has ended leaves the batch.

Shapes: R rows still being written, V vocabulary.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from fromage_model.chat.sampling import row_generator, sample
from fromage_model.prompts.messages import Sampling


class Rows(Protocol):
    """A model part-way through a batch of sequences."""

    def logits(self) -> Tensor:
        """(R, V) float32: what may come next in each row."""

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
    rows: Rows, count: int, *, sampling: Sampling, stop_ids: Collection[int], device: torch.device
) -> list[Written]:
    """`count` rows decoded by `sampling` (its token limit, temperature, top_p and seed) -> what each wrote.

    With a seed every row draws from a generator seeded so: a row is the same alone and among others.
    """
    generators = [row_generator(sampling.seed, device) for _ in range(count)]
    ids: list[list[int]] = [[] for _ in range(count)]
    ended = [False] * count
    running = list(range(count))
    for step in range(sampling.max_new_tokens):
        chosen = _choose(rows.logits(), [generators[row] for row in running], sampling)
        going = [place for place, token in enumerate(chosen) if token not in stop_ids]
        for place, row in enumerate(running):
            ended[row] = chosen[place] in stop_ids
        running = [running[place] for place in going]
        for place, row in zip(going, running, strict=True):
            ids[row].append(chosen[place])
        if not running or step + 1 == sampling.max_new_tokens:
            break
        if len(going) < len(chosen):
            rows.keep(torch.tensor(going, device=device))
        rows.consume(torch.tensor([chosen[place] for place in going], device=device))
    return [Written(row, end) for row, end in zip(ids, ended, strict=True)]


def _choose(logits: Tensor, generators: list[torch.Generator], sampling: Sampling) -> list[int]:
    if sampling.temperature == 0:
        return logits.argmax(dim=-1).tolist()
    return [
        sample(row, temperature=sampling.temperature, top_p=sampling.top_p, generator=generator)
        for row, generator in zip(logits, generators, strict=True)
    ]
