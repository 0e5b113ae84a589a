"""The losses, as pure functions of tensors. Knows no model.

Shapes: B batch, P positions, D LM width, V vocabulary, S shared width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

HEAD_POSITIONS = 256
"""Positions whose logits are held at once: 51 MB of float32 for 50,000 tokens."""


def info_nce(texts: Tensor, images: Tensor, log_scale: Tensor, *, positives: Tensor | None = None) -> Tensor:
    """Symmetric InfoNCE between unit vectors, both (B, S) -> a scalar (FROMAGe section 3.2, equation 3).

    `positives`, (B, B), weighs each (text, image) pair: rows and columns are normalised to sum to 1. By default text i
    belongs to image i alone; siblings and duplicates share the mass where it says so.
    """
    logits = log_scale.exp() * texts @ images.T
    if positives is None:
        positives = torch.eye(len(texts), device=texts.device)
    return (_soft_cross_entropy(logits, positives) + _soft_cross_entropy(logits.T, positives.T)) / 2


def next_token_loss(
    last: Tensor,
    logits_of: Callable[[Tensor], Tensor],
    targets: Tensor,
    weights: Tensor,
    *,
    row: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of the tokens chosen after states (P, D) with (P,) targets, averaged by (P,) weights -> a scalar; 0
    where all weights are.

    `logits_of`, (p, D) -> (p, V), is the frozen head. `row`, (D,) float32, is the trained output row of [RET], which is
    target V. Gradients, of `row` and of states that have one, are computed together with the loss: no more than
    `HEAD_POSITIONS` have their logits at a time, and none until the backward pass.
    """
    shares = weights / weights.sum().clamp(min=1e-9)
    return _NextToken.apply(last, row, logits_of, targets, shares)


class _NextToken(torch.autograd.Function):
    """The loss, with `shares` (P,) of its positions; what it keeps are its gradients, float32."""

    @staticmethod
    def forward(
        ctx: Any,
        last: Tensor,
        row: Tensor | None,
        logits_of: Callable[[Tensor], Tensor],
        targets: Tensor,
        shares: Tensor,
    ) -> Tensor:
        through = ctx.needs_input_grad[0]
        chosen = [
            _chosen(states, row, logits_of, *part, through=through)
            for states, *part in zip(*(one.split(HEAD_POSITIONS) for one in (last, targets, shares)), strict=True)
        ]
        ctx.dtype = last.dtype
        ctx.save_for_backward(
            torch.cat([part.of_states for part in chosen]) if through else None,
            None if row is None else torch.stack([part.of_row for part in chosen]).sum(dim=0),
        )
        return torch.stack([part.loss for part in chosen]).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        of_states, of_row = ctx.saved_tensors
        of_last = None if of_states is None else (of_states * gradient).to(ctx.dtype)
        return of_last, None if of_row is None else of_row * gradient, None, None, None


@dataclass(frozen=True)
class _Chosen:
    """The loss of p positions, a scalar, and its gradients: (p, D), of no length where none was asked for, and (D,)."""

    loss: Tensor
    of_states: Tensor
    of_row: Tensor


def _chosen(
    last: Tensor,
    row: Tensor | None,
    logits_of: Callable[[Tensor], Tensor],
    targets: Tensor,
    shares: Tensor,
    *,
    through: bool,
) -> _Chosen:
    """With z = last . row, a position's loss is logaddexp(logsumexp(logits), z) less z where [RET] is the target, and
    less the target's logit elsewhere.
    """
    states = last.detach().requires_grad_(through)
    with torch.set_grad_enabled(through):
        head = logits_of(states)
    logits, fixed = head.detach().float(), last.detach().float()
    is_ret = targets == logits.shape[-1]
    words = targets.masked_fill(is_ret, 0).unsqueeze(-1)
    total, right = logits.logsumexp(dim=-1), logits.gather(-1, words).squeeze(-1)
    of_ret = torch.zeros_like(total)
    if row is not None:
        ret = fixed @ row
        total, right = torch.logaddexp(total, ret), torch.where(is_ret, ret, right)
        of_ret = shares * ((ret - total).exp() - is_ret.float())
    loss = (shares * (total - right)).sum()
    of_states = fixed[:0]
    if through:
        # Probabilities and not the loss's gradient go through the head: in float16 a small share of them would be 0.
        of_logits = logits.sub_(total.unsqueeze(-1)).exp_()
        of_logits.scatter_add_(-1, words, is_ret.float().unsqueeze(-1) - 1)
        (product,) = torch.autograd.grad(head, states, of_logits.to(head.dtype))
        of_states = product.float() * shares.unsqueeze(-1)
        if row is not None:
            of_states += of_ret.unsqueeze(-1) * row
    return _Chosen(loss, of_states, of_ret @ fixed)


def _soft_cross_entropy(logits: Tensor, weights: Tensor) -> Tensor:
    targets = weights / weights.sum(dim=-1, keepdim=True)
    return -(targets * logits.log_softmax(dim=-1)).sum(dim=-1).mean()
