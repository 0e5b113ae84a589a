"""Fits [RET]'s output row, and the decision where a model has one: at which positions the LM asks for products. Knows
no heads and no pictures.

On states that are fixed this is a logistic regression, whose margin at a position is the row's logit less the
log-sum-exp of all other logits. The row keeps the mean length of the LM's own rows, as in the original.

Shapes: P positions, D LM width.
"""

import logging
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from fromage_model.fromage import Fromage
from jobs.common.showing.positions import Positions
from jobs.finetune.warm_start.states import SmallTalk, Texts

log = logging.getLogger(__name__)
STEPS = 600
LEARNING_RATE = 0.02
REFINING_STEPS, ANCHOR = 100, 0.01
HIDDEN_STEPS, HIDDEN_RATE, HIDDEN_DECAY, HIDDEN_DROPOUT = 300, 2e-3, 0.3, 0.4


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
        loss = F.softplus(-texts.begins.log_odds(row)).mean()
        loss = loss + sum((F.softplus(positions.log_odds(row)).mean() for positions in silent), start=torch.zeros(()))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        model.trained.ret.renormalise(model.lm)
    shares = [100 * float((some.log_odds(row.detach()) > 0).float().mean()) for some in (texts.begins, *silent)]
    log.info("[RET] leads after %.1f %% of wishes, %.1f %% of small talk, within %.1f %% of texts", *shares)


@dataclass(frozen=True)
class Sides:
    """Positions at which a reply begins to somebody who wants to be shown products, or who does not."""

    wishes: Positions
    others: Positions


def refine_decision(model: Fromage, said: Sides) -> None:
    """Draw the row that `model` has towards what people said, as far as `ANCHOR` lets it leave its place.

    What it knows of many texts it keeps: some hundred messages by themselves give a row that knows their kinds alone.
    Its length is free, and a common offset of the log-odds is left to the threshold, which is fitted afterwards.
    """
    row = model.trained.ret.output_row
    if row is None:
        return
    anchor, offset = row.detach().clone(), torch.zeros(1, device=row.device, requires_grad=True)
    optimizer = torch.optim.LBFGS([row, offset], max_iter=REFINING_STEPS, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        value = F.softplus(-(said.wishes.log_odds(row) + offset)).mean()
        value = value + F.softplus(said.others.log_odds(row) + offset).mean()
        value = value + ANCHOR * (row - anchor).square().sum()
        value.backward()
        return float(value.detach())

    optimizer.step(loss)
    row.grad = None
    sides = (said.wishes, said.others)
    shares = [100 * float((one.log_odds(row.detach()) + offset.detach() > 0).float().mean()) for one in sides]
    log.info("[RET] leads, with an offset, after %.1f %% of said wishes, %.1f %% of other messages", *shares)


def fit_hidden(model: Fromage, said: Sides, *, seed: int) -> None:
    """Fit the decision to what people said; nothing where the model has none, and its row decides alone."""
    decision, (wishes, others) = model.trained.decision, (said.wishes.read, said.others.read)
    if decision is None or wishes is None or others is None:
        return
    decision.standardise.fit(torch.cat([wishes, others]))
    wishes, others = decision.standardise(wishes), decision.standardise(others)
    with torch.random.fork_rng(devices=[wishes.device] if wishes.is_cuda else []):
        torch.manual_seed(seed)
        decision.reset()
        decision.requires_grad_(True)
        optimizer = torch.optim.AdamW(decision.parameters(), lr=HIDDEN_RATE, weight_decay=HIDDEN_DECAY)
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, HIDDEN_STEPS)
        for _ in range(HIDDEN_STEPS):
            loss = F.softplus(-decision.of_standard(F.dropout(wishes, HIDDEN_DROPOUT))).mean()
            loss = loss + F.softplus(decision.of_standard(F.dropout(others, HIDDEN_DROPOUT))).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rates.step()
    decision.requires_grad_(False)
    shares = [100 * float((one.ret_log_odds(model.trained) > 0).float().mean()) for one in (said.wishes, said.others)]
    log.info("the decision is for products after %.1f %% of said wishes, %.1f %% of other messages", *shares)
