"""Fits [RET]'s output row: at which positions the LM asks for products. Knows no heads and no pictures.

On states that are fixed this is a logistic regression, whose margin at a position is the row's logit less the
log-sum-exp of all other logits. The row keeps the mean length of the LM's own rows, as in the original.

Shapes: P positions, D LM width.
"""

import logging

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.fromage import Fromage
from jobs.finetune.warm_start.states import Positions, SmallTalk, Texts

log = logging.getLogger(__name__)
STEPS = 600
LEARNING_RATE = 0.02


def fit_decision(model: Fromage, texts: Texts, small_talk: SmallTalk) -> None:
    """Lay the fitted row over `model`; nothing where [RET] has no output row of its own, or nobody wishes.

    The starts of replies to wishes, those of replies to small talk, and what comes within replies and captions count as
    much as each other, however many there are.
    """
    row = model.trained.ret.output_row
    if row is None or not len(texts.begins):
        return
    silent = [small_talk.starts, Positions.join([small_talk.within, texts.within])]
    optimizer = torch.optim.Adam([row], lr=LEARNING_RATE)
    for _ in range(STEPS):
        loss = F.softplus(-_margin(row, texts.begins)).mean()
        loss = loss + sum((F.softplus(_margin(row, positions)).mean() for positions in silent), start=torch.zeros(()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        model.trained.ret.renormalise(model.lm)
    shares = [100 * float((_margin(row.detach(), some) > 0).float().mean()) for some in (texts.begins, *silent)]
    log.info("[RET] leads after %.1f %% of wishes, %.1f %% of small talk, within %.1f %% of texts", *shares)


def _margin(row: Tensor, positions: Positions) -> Tensor:
    """(P,)"""
    return positions.last @ row - positions.log_sum
