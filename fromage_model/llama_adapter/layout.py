"""Meta's names and layout of LLaMA's weights, and transformers' names and layout. Knows no files.

Meta rotates neighbouring pairs of a head's channels, transformers a head's first half with its second; so the rows of
everything that makes queries and keys are put in another order, all of it together.

Shapes: H heads, d width of a head.
"""

from torch import Tensor

_TOP = {
    "model.embed_tokens.weight": "tok_embeddings.weight",
    "model.norm.weight": "norm.weight",
    "lm_head.weight": "output.weight",
}
_MODULES = {
    "self_attn": "attention",
    "self_attn.q_proj": "attention.wq",
    "self_attn.k_proj": "attention.wk",
    "self_attn.v_proj": "attention.wv",
    "self_attn.o_proj": "attention.wo",
    "mlp.gate_proj": "feed_forward.w1",
    "mlp.down_proj": "feed_forward.w2",
    "mlp.up_proj": "feed_forward.w3",
    "input_layernorm": "attention_norm",
    "post_attention_layernorm": "ffn_norm",
}
_LOW_RANK = {"lora_down": "l1", "lora_up": "l2"}


def meta_name(name: str) -> str:
    """`model.layers.3.self_attn.q_proj.weight` -> `layers.3.attention.wq.weight`; LoRA's two factors likewise."""
    if name in _TOP:
        return _TOP[name]
    _, _, layer, rest = name.split(".", 3)
    module, _, leaf = rest.rpartition(".")
    outer, _, factor = module.rpartition(".")
    if factor in _LOW_RANK:
        room, _, matrix = _MODULES[outer].partition(".")
        return f"layers.{layer}.{room}.lora_{matrix}_{_LOW_RANK[factor]}.{leaf}"
    return f"layers.{layer}.{_MODULES[module]}.{leaf}"


def from_meta_layout(name: str, tensor: Tensor, *, heads: int, key_value_heads: int) -> Tensor:
    """A tensor in Meta's layout -> the same in transformers', `name` being transformers' name for it."""
    if name.endswith((".q_proj.weight", ".q_proj.bias", ".q_proj.lora_up.weight")):
        return halves(tensor, heads)
    if name.endswith((".k_proj.weight", ".k_proj.lora_up.weight")):
        return halves(tensor, key_value_heads)
    return tensor


def halves(tensor: Tensor, heads: int) -> Tensor:
    """(H d, ...) whose channels rotate in neighbouring pairs -> (H d, ...) rotating by halves of a head."""
    pairs = tensor.unflatten(0, (heads, -1, 2))
    return pairs.transpose(1, 2).reshape(tensor.shape)
