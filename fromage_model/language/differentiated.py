"""Another way through the layers of a frozen LM, for passes that a gradient goes back through. Knows none of the ways.

Where no gradient is wanted, or a cache would grow, layers run as they are: what is generated and measured stays so too.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Forward = Callable[..., Any]
"""Of a decoder layer: hidden states, (B, T, D), and options -> hidden states."""


def where_differentiated(backbone: nn.Module, way: Callable[[Forward], Forward]) -> int:
    """Let `way` make the forward of each decoder layer of a model of transformers -> how many there are.

    Called again, the second way is around the first.
    """
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in backbone.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = _either(layer.forward, way(layer.forward))
    return len(layers)


def _either(plain: Forward, other: Forward) -> Forward:
    def run(hidden_states: Tensor, *args: Any, **options: Any) -> Any:
        caches = options.get("past_key_values") is not None
        if caches or not (torch.is_grad_enabled() and hidden_states.requires_grad):
            return plain(hidden_states, *args, **options)
        return other(hidden_states, *args, **options)

    return run
