"""transformers' LLaMA with what LLaMA-Adapter V2 trains in it: gated attention to an adapter, biases, and LoRA.

Shapes: B batch, T tokens, Q adapter states, D LM width, H heads, K key-value heads, d width of a head.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaRotaryEmbedding,
    apply_rotary_pos_emb,
    eager_attention_forward,
)

ATTENTION_PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj")
MLP_PROJECTIONS = ("gate_proj", "up_proj", "down_proj")
BIASED = ("q_proj", "o_proj", *MLP_PROJECTIONS)
"""Keys and values have no bias in the original (wq, wo, w1, w2, w3 have one)."""


@dataclass(frozen=True)
class AdapterStates:
    """What the tokens of one layer attend to beside themselves: keys and values, (B, K, Q, d)."""

    keys: Tensor
    values: Tensor

    def rows(self, keep: Tensor) -> "AdapterStates":
        """Those of the rows `keep`, (R,)."""
        return AdapterStates(self.keys[keep], self.values[keep])


class LowRankLinear(nn.Linear):
    """x -> W x + b + U (D x): a frozen matrix with an optional bias and an optional update of low rank, unscaled."""

    def __init__(self, width_in: int, width_out: int, *, bias: bool, rank: int):
        super().__init__(width_in, width_out, bias=bias)
        self.lora_down = nn.Linear(width_in, rank, bias=False) if rank else None
        self.lora_up = nn.Linear(rank, width_out, bias=False) if rank else None

    def forward(self, states: Tensor) -> Tensor:
        """(..., width_in) -> (..., width_out)."""
        output = super().forward(states)
        if self.lora_down is None or self.lora_up is None:
            return output
        return output + self.lora_up(self.lora_down(states))

    def frozen(self, states: Tensor) -> Tensor:
        """The frozen matrix alone, as adapter states go through it."""
        return F.linear(states, self.weight)


class AdapterAttention(LlamaAttention):
    """LLaMA's attention plus a second one, to adapter states, with a softmax of its own, gated for each head and added.

    Every layer has a gate, as in the original; a layer that gets no adapter states does not read it.
    """

    def __init__(self, config: LlamaConfig, layer_idx: int, *, biases: bool, rank: int):
        super().__init__(config, layer_idx)
        for name in ATTENTION_PROJECTIONS:
            setattr(self, name, _widened(getattr(self, name), bias=biases and name in BIASED, rank=rank))
        self.gate = nn.Parameter(torch.zeros(1, config.num_attention_heads, 1, 1))
        self.new_gate = nn.Parameter(torch.ones(1, 1, 1, 1)) if rank else None

    def adapter_states(self, adapter: Tensor) -> AdapterStates:
        """(B, Q, D) -> keys and values without LoRA, norm or rotation: the same for every token that is read."""
        shape = (*adapter.shape[:-1], -1, self.head_dim)
        return AdapterStates(
            keys=self.k_proj.frozen(adapter).view(shape).transpose(1, 2),
            values=self.v_proj.frozen(adapter).view(shape).transpose(1, 2),
        )

    def forward(
        self,
        hidden_states: Tensor,
        position_embeddings: tuple[Tensor, Tensor],
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        adapters: Sequence[AdapterStates | None] = (),
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, D) -> (B, T, D), as transformers calls it; `adapters` has an entry for each layer of the LM."""
        shape = (*hidden_states.shape[:-1], -1, self.head_dim)
        query = self.q_proj(hidden_states).view(shape).transpose(1, 2)
        key = self.k_proj(hidden_states).view(shape).transpose(1, 2)
        value = self.v_proj(hidden_states).view(shape).transpose(1, 2)
        query, key = apply_rotary_pos_emb(query, key, *position_embeddings)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        output, weights = attend(self, query, key, value, attention_mask, scaling=self.scaling, **kwargs)
        adapter = adapters[self.layer_idx] if adapters else None
        if adapter is not None:
            output = output + self._attend_to_adapter(query, adapter).transpose(1, 2)
        return self.o_proj(output.flatten(2)), weights

    def _attend_to_adapter(self, query: Tensor, adapter: AdapterStates) -> Tensor:
        """Rotated queries (B, H, T, d) -> (B, H, T, d)."""
        gate = self.gate.tanh() if self.new_gate is None else self.gate.tanh() * self.new_gate
        found = F.scaled_dot_product_attention(
            query, adapter.keys, adapter.values, scale=self.scaling, enable_gqa=self.num_key_value_groups > 1
        )
        return gate.to(found.dtype) * found


def build_llama(config: LlamaConfig, *, biases: bool, rank: int) -> LlamaForCausalLM:
    """A LLaMA with room for what the adapter trains, its weights on the meta device; rank 0 is no LoRA."""
    with torch.device("meta"):
        llama = LlamaForCausalLM(config)
        for index, layer in enumerate(llama.model.layers):
            layer.self_attn = AdapterAttention(llama.config, index, biases=biases, rank=rank)
            for name in MLP_PROJECTIONS:
                setattr(layer.mlp, name, _widened(getattr(layer.mlp, name), bias=biases, rank=rank))
    llama.model.rotary_emb = LlamaRotaryEmbedding(config=llama.config)
    return llama


def _widened(linear: nn.Linear, *, bias: bool, rank: int) -> LowRankLinear:
    return LowRankLinear(linear.in_features, linear.out_features, bias=bias, rank=rank)
