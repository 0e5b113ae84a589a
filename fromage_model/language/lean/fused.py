"""The weights of LLaMA's shape and of OPT, fused: read out of transformers' modules layer by layer. No products.

Rows of the fused map of queries, keys and values go by key head: its G queries, its key, its value. Where positions
are rotated, the numbers of a head are put in pairs, (i, i + E / 2) one after the other, which makes a rotation one
complex product; scores stay what they are, since queries and keys are permuted alike.

Shapes: O outputs, I inputs, D width of the layers, H heads, K key heads, G = H / K, E width of a head.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fromage_model.language.frozen_linear import FrozenLinear
from fromage_model.language.model import LanguageModel

ROTATIONS = ("default", "linear", "dynamic", "yarn", "llama3")
"""Kinds of rotated positions whose frequencies don't change within the LM's positions."""


@dataclass(frozen=True)
class Map:
    """A linear map: `weight`, (O, I), and `bias`, (O,)."""

    weight: Tensor
    bias: Tensor | None


@dataclass(frozen=True)
class Norm:
    """Before or after a half layer, in float32; without `by_mean` only the root mean square is taken out."""

    weight: Tensor | None
    bias: Tensor | None
    eps: float
    by_mean: bool


@dataclass(frozen=True)
class Layer:
    """`up` is the gate and then the way up, one under the other, where the LM has a gate."""

    attention_norm: Norm
    qkv: Map
    out: Map
    mlp_norm: Norm
    up: Map
    down: Map


@dataclass(frozen=True)
class Shape:
    """What is the same in all layers. `window` is how many positions back, itself included, a position sees."""

    depth: int
    width: int
    feed_forward_width: int
    heads: int
    key_heads: int
    head_width: int
    scale: float
    gated: bool
    activation: Callable[[Tensor], Tensor]
    norm_first: bool
    window: int | None


@dataclass(frozen=True)
class Ends:
    """What stands before the first layer and after the last.

    `frequencies`, (E / 2,), and `rotation_scale` turn queries and keys; `positions`, (P, D), are added where learned.
    """

    frequencies: Tensor | None
    rotation_scale: float
    positions: Tensor | None
    project_in: Map | None
    norm: Norm | None
    project_out: Map | None


def why_not(lm: LanguageModel) -> str | None:
    """Why this LM has to be computed by transformers' own modules; None where it need not."""
    from transformers import LlamaModel, MistralModel, OPTModel, Qwen2Model

    base = lm.backbone.base_model
    if type(base) not in (LlamaModel, MistralModel, OPTModel, Qwen2Model):
        return f"{type(base).__name__} is of another shape than LLaMA and OPT"
    plain = (nn.Linear, FrozenLinear)
    for name, module in base.named_modules():
        if name.endswith(("proj", "fc1", "fc2", "project_in", "project_out")) and type(module) not in plain:
            return f"{name} is a {type(module).__name__}: LoRA, packed or patched"
    if len(set(getattr(base.config, "layer_types", None) or ())) > 1:
        return "its layers see different numbers of positions"
    rotation = getattr(getattr(base, "rotary_emb", None), "rope_type", "default")
    return None if rotation in ROTATIONS else f"its positions are rotated by {rotation}"


def shape_of(lm: LanguageModel) -> Shape:
    from transformers.activations import ACT2FN

    config = lm.backbone.config
    is_opt = config.model_type == "opt"
    heads = config.num_attention_heads
    head_width = getattr(config, "head_dim", None) or config.hidden_size // heads
    types = getattr(config, "layer_types", None) or ["full_attention"]
    sliding = config.model_type == "mistral" or types[0] == "sliding_attention"
    return Shape(
        depth=config.num_hidden_layers,
        width=config.hidden_size,
        feed_forward_width=config.ffn_dim if is_opt else config.intermediate_size,
        heads=heads,
        key_heads=getattr(config, "num_key_value_heads", heads),
        head_width=head_width,
        scale=head_width**-0.5,
        gated=not is_opt,
        activation=ACT2FN[config.activation_function if is_opt else config.hidden_act],
        norm_first=not is_opt or config.do_layer_norm_before,
        window=lm.window if sliding else None,
    )


def ends_of(lm: LanguageModel) -> Ends:
    base = lm.backbone.base_model
    if lm.backbone.config.model_type != "opt":
        rotation = base.rotary_emb
        return Ends(
            frequencies=rotation.inv_freq.float(),
            rotation_scale=float(rotation.attention_scaling),
            positions=None,
            project_in=None,
            norm=_norm(base.norm),
            project_out=None,
        )
    decoder = base.decoder
    learned = decoder.embed_positions
    return Ends(
        frequencies=None,
        rotation_scale=1.0,
        positions=_own(learned.weight[learned.offset :]),
        project_in=None if decoder.project_in is None else _map(decoder.project_in),
        norm=None if decoder.final_layer_norm is None else _norm(decoder.final_layer_norm),
        project_out=None if decoder.project_out is None else _map(decoder.project_out),
    )


def layer_of(lm: LanguageModel, shape: Shape, number: int) -> Layer:
    """One layer, fused. All are copies: views of a mapped file would keep it in memory."""
    base = lm.backbone.base_model
    is_opt = not shape.gated
    module = (base.decoder if is_opt else base).layers[number]
    attention = module.self_attn
    order = fused_order(shape, rotated=not is_opt)
    qkv = _under_each_other(attention.q_proj, attention.k_proj, attention.v_proj)
    qkv = Map(qkv.weight[order], None if qkv.bias is None else qkv.bias[order])
    if is_opt:
        return Layer(
            attention_norm=_norm(module.self_attn_layer_norm),
            qkv=qkv,
            out=_map(attention.out_proj),
            mlp_norm=_norm(module.final_layer_norm),
            up=_map(module.fc1),
            down=_map(module.fc2),
        )
    return Layer(
        attention_norm=_norm(module.input_layernorm),
        qkv=qkv,
        out=_map(attention.o_proj),
        mlp_norm=_norm(module.post_attention_layernorm),
        up=_under_each_other(module.mlp.gate_proj, module.mlp.up_proj),
        down=_map(module.mlp.down_proj),
    )


def release_layer(lm: LanguageModel, shape: Shape, number: int) -> None:
    """Let go of a layer's matrices in transformers' modules, which can't be called afterwards."""
    base = lm.backbone.base_model
    for module in (base if shape.gated else base.decoder).layers[number].modules():
        if isinstance(module, nn.Linear):
            module.weight.data = module.weight.data.new_empty(0)


def fused_order(shape: Shape, *, rotated: bool) -> Tensor:
    """(H E + 2 K E,): which row of the maps of queries, keys and values, under each other, comes next."""
    key_heads, group, width = shape.key_heads, shape.heads // shape.key_heads, shape.head_width
    rows = torch.arange((shape.heads + 2 * key_heads) * width).view(-1, width)
    queries, keys, values = rows.split([shape.heads, key_heads, key_heads])
    if rotated:
        queries, keys = in_pairs(queries), in_pairs(keys)
    queries, keys, values = (part.view(key_heads, -1, width) for part in (queries, keys, values))
    assert queries.shape[1] == group
    return torch.cat([queries, keys, values], dim=1).flatten()


def in_pairs(heads: Tensor) -> Tensor:
    """(..., E) as transformers rotates it -> with each number beside the one that it is rotated with."""
    return heads.unflatten(-1, (2, -1)).transpose(-1, -2).flatten(-2)


def _under_each_other(*modules: Any) -> Map:
    weight = torch.cat([module.weight.detach() for module in modules])
    if all(module.bias is None for module in modules):
        return Map(weight, None)
    return Map(weight, torch.cat([module.bias.detach() for module in modules]))


def _map(module: Any) -> Map:
    bias = module.bias
    return Map(module.weight.detach().clone(), None if bias is None else bias.detach().clone())


def _own(weight: Tensor) -> Tensor:
    return weight.detach().to(torch.float32, copy=True)


def _norm(module: Any) -> Norm:
    by_mean = isinstance(module, nn.LayerNorm)
    weight, bias = getattr(module, "weight", None), getattr(module, "bias", None)
    return Norm(
        weight=None if weight is None else _own(weight),
        bias=None if bias is None else _own(bias),
        eps=module.eps if by_mean else module.variance_epsilon,
        by_mean=by_mean,
    )
