"""A frozen LM whose layers forget what is inside them and compute it again for the gradient (Chen et al., 2016). Knows
no losses and no cache.

Memory is then that of each layer's input instead of all that a layer makes on its way; one more forward pass is the
price.
"""

import torch.nn
from torch.utils.checkpoint import checkpoint

from fromage_model.language.differentiated import Forward, where_differentiated


def recompute_layers(backbone: torch.nn.Module) -> int:
    """Let the decoder layers of a model of transformers do so -> how many there are."""
    return where_differentiated(backbone, _recomputed)


def _recomputed(forward: Forward) -> Forward:
    return lambda *args, **options: checkpoint(forward, *args, use_reentrant=False, **options)
