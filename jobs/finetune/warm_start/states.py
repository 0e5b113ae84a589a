"""Texts read once through the frozen LM: what the warm start trains on. Knows no losses.

While [RET] stands where it started, the LM's states never change for a given text, so reading them once is enough.

Shapes: M texts, P positions, D LM width.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fromage_model.fromage import Fromage
from fromage_model.model.reading import read_prompts
from jobs.common.reporting.report import Progress
from jobs.finetune.examples.examples import Shown, Talk
from jobs.finetune.step import FinetuneStep

TALKS_AT_ONCE = 16


@dataclass(frozen=True)
class Positions:
    """`last`, (P, D) float32: states from which the LM chooses a token; `log_sum`, (P,): log-sum-exp of its logits."""

    last: Tensor
    log_sum: Tensor

    def __len__(self) -> int:
        return len(self.last)

    @classmethod
    def join(cls, several: Sequence["Positions"]) -> "Positions":
        return cls(torch.cat([one.last for one in several]), torch.cat([one.log_sum for one in several]))


@dataclass(frozen=True)
class Texts:
    """`at_ret`: for each layer the states at [RET], (M, D) float32, in the order of the texts.

    `begins` are the positions at which a reply to a wish begins, where [RET] belongs; `within` those inside of
    captions, where none does. A caption's end is neither: it looks like any full stop in mid-reply.
    """

    at_ret: list[Tensor]
    begins: Positions
    within: Positions

    def __len__(self) -> int:
        return len(self.at_ret[0])


@dataclass(frozen=True)
class SmallTalk:
    """Positions of small talk at which no [RET] belongs: `starts` of replies, and what comes `within` them."""

    starts: Positions
    within: Positions


@torch.no_grad()
def read_texts(step: FinetuneStep, shown: Sequence[Shown], *, what: str) -> Texts:
    """Each text, and [RET] after it. `what` names them in the log.

    Raises FloatingPointError where the LM's states overflow its dtype: the statistics fitted to them would be spoilt.
    """
    order: list[int] = []
    at_ret: list[tuple[Tensor, ...]] = []
    begins, within = [], []
    progress = Progress(f"warm start, reading {what}", total=len(shown), of="texts")
    for rows, asked in step.asked(shown):
        order += rows
        at_ret.append(tuple(layer.float() for layer in asked.at_ret))
        mask, last = asked.batch.mask, asked.batch.lengths - 1
        place = torch.arange(mask.shape[1], device=mask.device)
        captions = torch.tensor([shown[row].caption is not None for row in rows], device=mask.device)
        begins.append(_positions(step.model, asked.last[~captions[:, None] & (place == last[:, None])]))
        within.append(_positions(step.model, asked.last[captions[:, None] & (place < last[:, None])]))
        progress.add(len(rows))
    ordered = torch.tensor(order).argsort().to(step.model.lm.device)
    layers = [torch.cat(layer)[ordered] for layer in zip(*at_ret, strict=True)]
    broken = int((~torch.cat(layers, dim=1).isfinite().all(dim=1)).sum())
    if broken:
        raise FloatingPointError(
            f"the LM's states after {broken} of {len(shown)} {what} are not finite in "
            f"{str(step.model.lm.dtype).removeprefix('torch.')}; try dtype bfloat16 or float32"
        )
    return Texts(
        at_ret=layers,
        begins=Positions.join(begins),
        within=Positions.join(within),
    )


@torch.no_grad()
def read_small_talk(step: FinetuneStep, talks: Sequence[Talk]) -> SmallTalk:
    """Every position at which a token of these replies is chosen."""
    model = step.model
    starts, within = [], []
    for first in range(0, len(talks), TALKS_AT_ONCE):
        some = talks[first : first + TALKS_AT_ONCE]
        replies = [model.tokens.encode(talk.reply) for talk in some]
        prompts = [[*step.opening_of(talk), reply] for talk, reply in zip(some, replies, strict=True)]
        read = read_prompts(model, prompts)
        batch, last = read.batch, read.states.last
        lengths = torch.tensor([len(reply) for reply in replies], device=batch.mask.device)
        begins = (batch.lengths - lengths - 1)[:, None]
        place = torch.arange(batch.mask.shape[1], device=batch.mask.device)
        starts.append(_positions(model, last[place == begins]))
        within.append(_positions(model, last[(place > begins) & (batch.mask == 1)]))
    return SmallTalk(Positions.join(starts), Positions.join(within))


def _positions(model: Fromage, last: Tensor) -> Positions:
    return Positions(last.float(), model.lm.logits(last).float().logsumexp(dim=-1))
