"""A frozen LM whose layers forget what is inside them and compute it again for the gradient (Chen et al., 2016). Knows
no losses and no cache.

Memory is then that of each layer's input instead of all that a layer makes on its way; one more forward pass is the
price. Where no gradient is wanted, or a cache would grow a second time, layers run as they are.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def recompute_layers(backbone: nn.Module) -> int:
    """Let the decoder layers of a model of transformers do so -> how many there are."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    layers = [module for module in backbone.modules() if isinstance(module, GradientCheckpointingLayer)]
    for layer in layers:
        layer.forward = _recomputed(layer.forward)
    return len(layers)


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(hidden_states: Tensor, *args: Any, **options: Any) -> Any:
        if options.get("past_key_values") is not None or not (torch.is_grad_enabled() and hidden_states.requires_grad):
            return forward(hidden_states, *args, **options)
        return checkpoint(forward, hidden_states, *args, use_reentrant=False, **options)

    return run
