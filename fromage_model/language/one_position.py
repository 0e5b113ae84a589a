"""Attention of one new position to those before it, in half precision on a CPU. Knows no models.

torch's attention on a CPU multiplies blocks of queries. For a single query in bfloat16 it takes three to six times as
long as in float32, the conversion of keys and values included; and where several heads share their keys, as long for
each head as for all that share. So a single query is multiplied in float32, the heads that share keys as its rows.

Shapes: R requests, H heads, K key heads, C positions seen, E width of a head.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

NAME = "fromage_one_position"
"""What transformers calls this way of attending."""


def use_one_position(backbone: Any) -> None:
    """Let a model of transformers attend so; one that does not attend by torch's own function stays as it is."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if backbone.config._attn_implementation != "sdpa":
        return
    ALL_ATTENTION_FUNCTIONS.register(NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, sdpa_mask)
    backbone.set_attn_implementation(NAME)


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """(R, H, T, E) to (R, K, C, E) -> (R, T, H, E), as transformers calls it; `attention_mask`, (R, 1, T, C), or None.

    Other than a single query in half precision on a CPU goes to transformers' own function.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if query.shape[2] != 1 or query.device.type != "cpu" or query.dtype == torch.float32:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
    rows = query.float().unflatten(1, (key.shape[1], -1)).squeeze(3)
    found = F.scaled_dot_product_attention(
        rows, key.float(), value.float(), attn_mask=attention_mask, scale=kwargs.get("scaling")
    )
    return found.to(query.dtype).flatten(1, 2).unsqueeze(1), None
