"""The losses, as pure functions of tensors. Knows no model.

Shapes: B batch, T positions, V vocabulary, S shared width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


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


def next_token_loss_frozen(last: Tensor, logits: Tensor, row: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """The same loss where only the output row of [RET] is trained: equal in value and in the row's gradient.

    `last`, (P, D), and `logits`, (P, V), are constants, so that the graph holds P numbers and not P * V: with
    z = last . row, the loss is logaddexp(logsumexp(logits), z) less z where the target is [RET], and less the target's
    logit elsewhere. Targets equal to V are [RET].
    """
    vocabulary = logits.shape[-1]
    logits = logits.detach().float()
    ret_logit = last.detach().float() @ row
    is_ret = targets == vocabulary
    chosen = logits.gather(-1, targets.masked_fill(is_ret, 0).unsqueeze(-1)).squeeze(-1)
    losses = torch.logaddexp(logits.logsumexp(dim=-1), ret_logit) - torch.where(is_ret, ret_logit, chosen)
    return (losses * weights).sum() / weights.sum().clamp(min=1e-9)


def _soft_cross_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    targets = weights / weights.sum(dim=-1, keepdim=True)
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1).mean()
