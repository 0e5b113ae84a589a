"""The losses, as pure functions of tensors. Knows no model.

Shapes: B batch, T positions, V vocabulary, S shared width.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

HEAD_POSITIONS = 256
"""Positions whose logits are held at once where no gradient needs them: 51 MB of float32 for 50,000 tokens."""


def info_nce(texts: Tensor, images: Tensor, log_scale: Tensor, *, positives: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE between unit vectors, both (B, S) -> a scalar (FROMAGe section 3.2, equation 3).

    `positives`, (B, B), weighs each (text, image) pair: rows and columns are normalised to sum to 1. By default text i
    belongs to image i alone; siblings and duplicates share the mass where it says so.
    """
    logits = log_scale.exp() * texts @ images.T
    if positives is None:
        positives = torch.eye(len(texts), device=texts.device)
    return (_soft_cross_entropy(logits, positives) + _soft_cross_entropy(logits.T, positives.T)) / 2


def next_token_loss(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of (P, V + 1) logits with (P,) targets, averaged by (P,) weights -> a scalar; 0 where all are 0."""
    losses = F.cross_entropy(logits.float(), targets, reduction="none")
    return (losses * weights).sum() / weights.sum().clamp(min=1e-9)


def next_token_loss_frozen(
    last: Tensor, logits_of: Callable[[Tensor], Tensor], row: Tensor, targets: Tensor, weights: Tensor
) -> Tensor:
    """The same loss where only the output row of [RET] is trained: equal in value and in the row's gradient.

    `last`, (P, D), are constants, and `logits_of`, (p, D) -> (p, V), is the frozen head. With z = last . row, the loss
    is logaddexp(logsumexp(logits), z) less z where the target is [RET], and less the target's logit elsewhere: a graph
    over P numbers, which needs the logits of no more than `HEAD_POSITIONS` at a time. Targets equal to V are [RET].
    """
    last = last.detach()
    parts = [
        _frozen_terms(logits_of, *part)
        for part in zip(last.split(HEAD_POSITIONS), targets.split(HEAD_POSITIONS), strict=True)
    ]
    words, chosen, is_ret = (torch.cat(terms) for terms in zip(*parts, strict=True))
    ret_logit = last.float() @ row
    losses = torch.logaddexp(words, ret_logit) - torch.where(is_ret, ret_logit, chosen)
    return (losses * weights).sum() / weights.sum().clamp(min=1e-9)


@torch.no_grad()
def _frozen_terms(
    logits_of: Callable[[Tensor], Tensor], last: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """-> the logsumexp over words, the target's logit where it is a word, and whether it is [RET]; all (p,)."""
    logits = logits_of(last).float()
    is_ret = targets == logits.shape[-1]
    chosen = logits.gather(-1, targets.masked_fill(is_ret, 0).unsqueeze(-1)).squeeze(-1)
    return logits.logsumexp(dim=-1), chosen, is_ret


def _soft_cross_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    targets = weights / weights.sum(dim=-1, keepdim=True)
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1).mean()
