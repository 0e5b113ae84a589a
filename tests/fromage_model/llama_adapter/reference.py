"""LLaMA-Adapter V2's forward pass, slow and obvious: Meta's layout and names, complex rotation, one picture, no cache.

Written from the description of the original (arXiv:2304.15010 and its code's formulas), apart from the library: it
shares no line with it, and no conversion of weights.

Shapes: T tokens, D LM width, H heads, K key-value heads, d width of a head, Q adapter states.
"""

import math

import torch
from torch import Tensor


def clip_tokens(clip, pixels: Tensor) -> Tensor:
    """transformers' own CLIP, (1, 3, H, W) -> every token's state (P, C), as CLIP treats its class token alone."""
    states = clip.vision_model(pixel_values=pixels).last_hidden_state[0]
    return clip.vision_model.post_layernorm(states) @ clip.visual_projection.weight.T


def layer_norm(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    centred = x - x.mean(dim=-1, keepdim=True)
    variance = centred.pow(2).mean(dim=-1, keepdim=True)
    return centred / torch.sqrt(variance + 1e-5) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: Tensor, weights: dict[str, Tensor], name: str) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def visual_states(weights: dict[str, Tensor], tokens: Tensor) -> Tensor:
    """(P, C) -> (Q, D)."""
    states = layer_norm(linear(tokens, weights, "clip_proj"), weights, "clip_proj_norm")
    states = torch.cat([weights["visual_query.weight"], states])
    for block in range(8):
        states = visual_block(states, weights, f"visual_blocks.{block}.")
    return layer_norm(linear(states[:10], weights, "visual_proj"), weights, "visual_proj_norm")


def visual_block(x: Tensor, weights: dict[str, Tensor], room: str) -> Tensor:
    query, key, value = linear(layer_norm(x, weights, f"{room}norm1"), weights, f"{room}attn.qkv").chunk(3, dim=-1)
    width = query.shape[-1] // 16
    heads = []
    for head in range(16):
        at = slice(head * width, (head + 1) * width)
        heads.append(((query[:, at] @ key[:, at].T) / math.sqrt(width)).softmax(dim=-1) @ value[:, at])
    x = x + linear(torch.cat(heads, dim=-1), weights, f"{room}attn.proj")
    inner = linear(layer_norm(x, weights, f"{room}norm2"), weights, f"{room}mlp.fc1")
    inner = inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))
    return x + linear(inner, weights, f"{room}mlp.fc2")


class Reference:
    """`llama`: consolidated.00.pth; `adapter`: an adapter checkpoint's `model`."""

    def __init__(self, llama: dict[str, Tensor], adapter: dict[str, Tensor], *, heads: int, norm_eps: float = 1e-6):
        # The original loads the checkpoint over the LLaMA: what both hold is the adapter's.
        own = {name.removeprefix("llama."): value for name, value in adapter.items() if name.startswith("llama.")}
        self.weights = {name: value.float() for name, value in (llama | own).items()}
        self.adapter = adapter
        self.heads = heads
        self.norm_eps = norm_eps
        self.layers = 1 + max(int(name.split(".")[1]) for name in llama if name.startswith("layers."))

    def logits(self, seen: Tensor, ids: list[int]) -> Tensor:
        """Visual states (Q, D) and token ids -> (T, vocabulary)."""
        queries = self.adapter["adapter_query.weight"]
        queries = queries.reshape(-1, 10, queries.shape[-1])
        x = self.weights["tok_embeddings.weight"][ids]
        for layer in range(self.layers):
            at = layer - (self.layers - len(queries))
            x = self._layer(x, f"layers.{layer}.", queries[at] + seen if at >= 0 else None)
        return self._rms_norm(x, "norm") @ self.weights["output.weight"].T

    def greedy(self, seen: Tensor, ids: list[int], steps: int) -> list[int]:
        written: list[int] = []
        for _ in range(steps):
            written.append(int(self.logits(seen, ids + written)[-1].argmax()))
        return written

    def _layer(self, x: Tensor, room: str, adapter: Tensor | None) -> Tensor:
        x = x + self._attention(self._rms_norm(x, f"{room}attention_norm"), f"{room}attention.", adapter)
        inside = self._rms_norm(x, f"{room}ffn_norm")
        gate = self._matrix(inside, f"{room}feed_forward.", "w1")
        gate = gate * torch.sigmoid(gate)
        return x + self._matrix(gate * self._matrix(inside, f"{room}feed_forward.", "w3"), f"{room}feed_forward.", "w2")

    def _attention(self, x: Tensor, room: str, adapter: Tensor | None) -> Tensor:
        queries = self._rotate(self._split(self._matrix(x, room, "wq")))
        keys = self._rotate(self._split(self._matrix(x, room, "wk")))
        values = self._split(self._matrix(x, room, "wv"))
        group = queries.shape[1] // keys.shape[1]
        causal = torch.ones(len(x), len(x), dtype=torch.bool).tril()
        outputs = []
        for head in range(self.heads):
            query, shared = queries[:, head], head // group
            scores = (query @ keys[:, shared].T) / math.sqrt(query.shape[-1])
            output = scores.masked_fill(~causal, -math.inf).softmax(dim=-1) @ values[:, shared]
            if adapter is not None:
                output = output + self._adapter_attention(query, adapter, room, head, shared)
            outputs.append(output)
        return self._matrix(torch.cat(outputs, dim=-1), room, "wo")

    def _adapter_attention(self, query: Tensor, adapter: Tensor, room: str, head: int, shared: int) -> Tensor:
        keys = self._split(adapter @ self.weights[f"{room}wk.weight"].T)[:, shared]
        values = self._split(adapter @ self.weights[f"{room}wv.weight"].T)[:, shared]
        scores = ((query @ keys.T) / math.sqrt(query.shape[-1])).softmax(dim=-1)
        scores = scores * torch.tanh(self.weights[f"{room}gate"][0, head, 0, 0])
        if f"{room}new_gate" in self.weights:
            scores = scores * self.weights[f"{room}new_gate"][0, 0, 0, 0]
        return scores @ values

    def _matrix(self, x: Tensor, room: str, name: str) -> Tensor:
        output = x @ self.weights[f"{room}{name}.weight"].T
        if f"{room}{name}.bias" in self.weights:
            output = output + self.weights[f"{room}{name}.bias"]
        if f"{room}lora_{name}_l1.weight" in self.weights:
            down = x @ self.weights[f"{room}lora_{name}_l1.weight"].T
            output = output + down @ self.weights[f"{room}lora_{name}_l2.weight"].T
        return output

    def _split(self, x: Tensor) -> Tensor:
        """(T, heads d) -> (T, heads, d)."""
        width = self.weights["tok_embeddings.weight"].shape[1] // self.heads
        return x.reshape(len(x), -1, width)

    def _rotate(self, x: Tensor) -> Tensor:
        """(T, heads, d): neighbouring channels as one complex number, turned by position times frequency."""
        width = x.shape[-1]
        frequencies = 1.0 / 10000.0 ** (torch.arange(0, width, 2).float() / width)
        angles = torch.outer(torch.arange(len(x)).float(), frequencies)
        turned = (
            torch.view_as_complex(x.reshape(*x.shape[:-1], -1, 2))
            * torch.polar(torch.ones_like(angles), angles)[:, None]
        )
        return torch.view_as_real(turned).flatten(2)

    def _rms_norm(self, x: Tensor, name: str) -> Tensor:
        return x / torch.sqrt(x.pow(2).mean(dim=-1, keepdim=True) + self.norm_eps) * self.weights[f"{name}.weight"]
