"""All that training changes, as one module: a bundle's weights are its state. Knows neither the LM nor the encoder."""

import math

import torch
from torch import nn

from fromage_model.language.lora import LoraAdapter
from fromage_model.language.model import RetToken
from fromage_model.model.projections import ImageHead, RetDecision, Standardise, TextHead, VisualPrefix

MAX_SCALE = 100.0
"""Bound of the learned temperature's inverse, as in CLIP."""


class TrainedParts(nn.Module):
    """Everything that training changes, and nothing else: a bundle's weights are this module's.

    `decision` is None where [RET]'s output row decides alone, `lora` where the LM is as it came: without LoRA, or with
    LoRA merged into it.
    """

    def __init__(
        self,
        *,
        ret: RetToken,
        standardise: Standardise,
        prefix: VisualPrefix,
        image_head: ImageHead,
        text_head: TextHead,
        decision: RetDecision | None = None,
        lora: LoraAdapter | None = None,
    ):
        super().__init__()
        self.ret = ret
        self.standardise = standardise
        self.prefix = prefix
        self.image_head = image_head
        self.text_head = text_head
        self.decision = decision
        self.lora = lora
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    @torch.no_grad()
    def bound_log_scale(self) -> None:
        """After each step, as CLIP does: a bound inside the loss would leave what is beyond it without a gradient."""
        self.log_scale.clamp_(max=math.log(MAX_SCALE))

    @property
    def lm_learns(self) -> bool:
        """Whether a gradient through the LM reaches LoRA."""
        lora = self.lora
        return torch.is_grad_enabled() and lora is not None and any(one.requires_grad for one in lora.parameters())
