"""Optimizer, schedule and loss scaling of a run, and the steps that it skips. Knows no examples and no Ray.

A step whose gradient is not finite changes nothing: no parameter, no moment of AdamW, no place in the schedule. In
float16 that is how the scale of the loss finds its size, so a few steps of a run may be skipped for it; where no loss
is scaled nothing would be different at the next step, and the first one is an error.
"""

import functools
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.fromage import Fromage
from fromage_model.language.precision import Precision
from jobs.finetune.settings import FinetuneArgs

log = logging.getLogger(__name__)
INITIAL_LOSS_SCALE = 2.0**12
"""Gradients of losses around 10 overflow float16 at PyTorch's 2**16, and each overflow costs a step."""
MAX_SKIPS_IN_A_ROW = 20
"""More halvings than bring the scale from where it starts to below 1; where they don't help, nothing will."""


@dataclass(frozen=True)
class Rated:
    """Parameters with the peak of their learning rate, and the decay of those that are matrices."""

    parameters: Sequence[nn.Parameter]
    learning_rate: float
    weight_decay: float


class Optimisation:
    """AdamW with a rate for each part, a warm-up and a schedule, and a scaled loss where `precision` asks for it."""

    def __init__(
        self,
        rated: Sequence[Rated],
        *,
        clipped: Sequence[Sequence[nn.Parameter]],
        rate: Callable[[int], float],
        device: torch.device,
        precision: Precision,
        betas: tuple[float, float] = (0.9, 0.95),
        max_norm: float = 1.0,
    ):
        """Gradients of each of the parts `clipped` are bound by themselves to `max_norm`, where that is not 0.

        `rate` is the share of the peaks at a step.
        """
        self._parts = [list(part) for part in clipped]
        self._max_norm = max_norm
        self.optimizer = torch.optim.AdamW(_groups(rated), betas=betas)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, rate)
        self.scaler = torch.amp.GradScaler(device.type, init_scale=INITIAL_LOSS_SCALE, enabled=precision.loss_scaling)
        self.skipped_steps = 0
        self.skipped_in_a_row = 0

    def apply(self, loss: Tensor | Iterable[Tensor]) -> float | None:
        """One update from `loss`, a scalar, or from parts of it one after the other, each let go of before the next is
        computed -> the norm of its gradient, or None where the step is skipped.

        Raises FloatingPointError, with nothing changed, for a gradient that is not finite: with loss scaling after
        `MAX_SKIPS_IN_A_ROW` skipped steps, without it at once.
        """
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in [loss] if isinstance(loss, Tensor) else loss:
            self.scaler.scale(part).backward()
            total += float(part.detach())
        self.scaler.unscale_(self.optimizer)
        norm = gradient_norm(parameter for group in self.optimizer.param_groups for parameter in group["params"])
        finite = math.isfinite(norm)
        if finite:
            self._clip()
            self.scaler.step(self.optimizer)
            self.scheduler.step()
        self.scaler.update()
        self._count(finite, total)
        return norm if finite else None

    @property
    def steps(self) -> int:
        """Updates that were made, those before a resumption among them."""
        return self.scheduler.last_epoch

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
        """Bound the gradient of each part by itself, where a wild one must not still the others, or all together."""
        if self._max_norm:
            for part in self._parts:
                nn.utils.clip_grad_norm_(part, self._max_norm)

    def _count(self, finite: bool, loss: float) -> None:
        if finite:
            self.skipped_in_a_row = 0
            return
        self.skipped_steps += 1
        self.skipped_in_a_row += 1
        what = "its gradient is not finite" if math.isfinite(loss) else f"its loss is {loss:g}"
        if not self.scaler.is_enabled():
            raise FloatingPointError(f"the step can't be taken: {what}")
        log.warning("skipped a step: %s (loss %g, %s)", what, loss, self.figures())
        if self.skipped_in_a_row >= MAX_SKIPS_IN_A_ROW:
            raise FloatingPointError(
                f"{self.skipped_in_a_row} steps in a row were skipped, however the loss was scaled; of the last, {what}"
            )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """The length of all gradients together; not finite where any of them is not."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(nn.utils.get_total_norm(gradients))


def fromage_optimisation(
    model: Fromage, args: FinetuneArgs, *, steps_per_epoch: int, precision: Precision
) -> Optimisation:
    """The trained parts alone, each with a rate of its own."""
    parts = model.trained
    warm = [*parts.image_head.parameters(), *parts.text_head.parameters(), parts.log_scale]
    warm += [] if parts.ret.output_row is None else [parts.ret.output_row]
    lora = [] if parts.lora is None else list(parts.lora.parameters())
    clipped = [list(part.parameters()) for part in parts.children()]
    if args.clip_together:
        clipped = [[parameter for part in clipped for parameter in part] + [parts.log_scale]]
    warmup = args.warmup_steps
    if args.schedule == "step":
        every = args.schedule_step_epochs * steps_per_epoch
        rate = functools.partial(in_steps, warmup=warmup, every=every, gamma=args.schedule_gamma)
    else:
        rate = functools.partial(along_a_cosine, warmup=warmup, total=steps_per_epoch * args.epochs)
    return Optimisation(
        [
            Rated(lora, args.lora_learning_rate, args.weight_decay),
            Rated(warm, args.head_learning_rate, args.weight_decay),
            Rated(list(parts.prefix.parameters()), args.prefix_learning_rate, args.weight_decay),
            Rated([parts.ret.input_row], args.ret_learning_rate, args.weight_decay),
        ],
        clipped=clipped,
        rate=rate,
        device=model.lm.device,
        precision=precision,
        betas=(0.9, args.beta2),
        max_norm=args.max_gradient_norm,
    )


def _groups(rated: Sequence[Rated]) -> list[dict[str, Any]]:
    """Matrices decay, everything else does not."""
    groups = []
    for one in rated:
        matrices = [parameter for parameter in one.parameters if parameter.ndim >= 2]
        others = [parameter for parameter in one.parameters if parameter.ndim < 2]
        for some, decay in ((matrices, one.weight_decay), (others, 0.0)):
            if some:
                groups.append({"params": some, "lr": one.learning_rate, "weight_decay": decay})
    return groups


def along_a_cosine(step: int, *, warmup: int, total: int) -> float:
    """The share of the peak's rate at a step, counted from 0; zero at `total`."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, total - warmup))))


def in_steps(step: int, *, warmup: int, every: int, gamma: float) -> float:
    """The same as FROMAGe's main.py has it: from zero to the peak, then times `gamma` after `every` steps."""
    if step < warmup:
        return step / warmup
    return gamma ** ((step - warmup) // every)
