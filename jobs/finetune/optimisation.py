"""Optimizer, schedule and loss scaling of a run, and the steps that it skips. Knows no examples and no Ray.

A step whose gradient is not finite changes nothing: no parameter, no moment of AdamW, no place in the schedule. In
float16 that is also how the scale of the loss finds its size, so a few steps of a run may be skipped for it.
"""

import functools
import logging
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.fromage import Fromage
from fromage_model.language.precision import Precision
from jobs.finetune.settings import FinetuneArgs

log = logging.getLogger(__name__)
MAX_GRADIENT_NORM = 1.0
INITIAL_LOSS_SCALE = 2.0**12
"""Gradients of losses around 10 overflow float16 at PyTorch's 2**16, and each overflow costs a step."""
MAX_SKIPS_IN_A_ROW = 20
"""More halvings than bring the scale from where it starts to below 1; where they don't help, nothing will."""


class Optimisation:
    """AdamW with a rate for each part, a warm-up and a cosine, and a scaled loss where `precision` asks for it."""

    def __init__(self, model: Fromage, args: FinetuneArgs, *, total_steps: int, precision: Precision):
        self._parts = [list(part.parameters()) for part in model.trained.children()]
        self.optimizer = torch.optim.AdamW(_groups(model, args))
        rate = functools.partial(_rate, total=total_steps, warmup=args.warmup_steps)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.scaler = torch.amp.GradScaler(
            model.lm.device.type, init_scale=INITIAL_LOSS_SCALE, enabled=precision.loss_scaling
        )
        self.skipped_steps = 0
        self._skipped_in_a_row = 0

    def apply(self, loss: Tensor) -> float | None:
        """One update from `loss`, a scalar -> the norm of its gradient, or None where the step is skipped.

        Raises FloatingPointError after `MAX_SKIPS_IN_A_ROW` skipped steps.
        """
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        norm = gradient_norm(parameter for group in self.optimizer.param_groups for parameter in group["params"])
        finite = math.isfinite(norm)
        if finite:
            self._clip()
            self.scaler.step(self.optimizer)
            self.scheduler.step()
        self.scaler.update()
        self._count(finite, float(loss.detach()))
        return norm if finite else None

    def figures(self) -> dict[str, float]:
        """Steps skipped so far in this run and, with loss scaling, the scale."""
        scale = {"loss_scale": self.scaler.get_scale()} if self.scaler.is_enabled() else {}
        return {"skipped_steps": float(self.skipped_steps)} | scale

    def state_dict(self) -> dict[str, Any]:
        return {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
            "scaler": self.scaler.state_dict(),
            "skipped_steps": self.skipped_steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """What `state_dict` gave; the scale is taken where both that run and this one have one."""
        self.optimizer.load_state_dict(state["optimizer"])
        self.scheduler.load_state_dict(state["scheduler"])
        if state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.skipped_steps = state["skipped_steps"]

    def _clip(self) -> None:
        """Bound the gradient of each part by itself: a wild one must not still the others."""
        for part in self._parts:
            nn.utils.clip_grad_norm_(part, MAX_GRADIENT_NORM)

    def _count(self, finite: bool, loss: float) -> None:
        if finite:
            self._skipped_in_a_row = 0
            return
        self.skipped_steps += 1
        self._skipped_in_a_row += 1
        log.warning("skipped a step: its gradient is not finite (loss %g, %s)", loss, self.figures())
        if self._skipped_in_a_row >= MAX_SKIPS_IN_A_ROW:
            raise FloatingPointError(
                f"{self._skipped_in_a_row} steps in a row had a gradient that is not finite; try lower learning rates, "
                "or dtype bfloat16 or float32"
            )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """The length of all gradients together; not finite where any of them is not."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(nn.utils.get_total_norm(gradients))


def _groups(model: Fromage, args: FinetuneArgs) -> list[dict[str, Any]]:
    """The trained parts alone: matrices decay; each part has a rate of its own."""
    parts = model.trained
    warm = [*parts.image_head.parameters(), *parts.text_head.parameters(), parts.log_scale]
    warm += [] if parts.ret.output_row is None else [parts.ret.output_row]
    lora = [] if parts.lora is None else list(parts.lora.parameters())
    rated = (
        (lora, args.lora_learning_rate),
        (warm, args.head_learning_rate),
        (list(parts.prefix.parameters()), args.prefix_learning_rate),
        ([parts.ret.input_row], args.ret_learning_rate),
    )
    groups = []
    for parameters, rate in rated:
        matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
        others = [parameter for parameter in parameters if parameter.ndim < 2]
        for some, decay in ((matrices, args.weight_decay), (others, 0.0)):
            if some:
                groups.append({"params": some, "lr": rate, "weight_decay": decay})
    return groups


def _rate(step: int, total: int, warmup: int) -> float:
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))
