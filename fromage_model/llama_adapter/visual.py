"""The visual side: pixels -> CLIP's tokens -> ten states that are added to every layer's adapter. Knows no language.

Modules are named as the original's checkpoints name them.

Shapes: B batch, P CLIP tokens (class token and patches), C CLIP's projection width, V visual width, Q queries,
D LM width.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

QUERIES = 10
"""Learned queries, and adapter states in each layer (the original's `query_len`)."""
BLOCKS = 8
HEADS = 16


class ClipTokens(nn.Module):
    """A frozen CLIP's token states, the class token among them, after its final norm and its projection."""

    def __init__(self, backbone: Any):
        super().__init__()
        self.backbone = backbone
        self.width: int = backbone.visual_projection.out_features

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) float32, normalised as CLIP's processor does -> (B, P, C)."""
        tower = self.backbone.vision_model
        states = tower(pixel_values=pixels).last_hidden_state
        return self.backbone.visual_projection(tower.post_layernorm(states))


class SelfAttention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values, biases on both projections."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, states: Tensor) -> Tensor:
        """(B, P, V) -> (B, P, V)."""
        joint = self.qkv(states).unflatten(-1, (3, self.heads, -1))
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Two layers with the exact GELU between them, four times as wide inside."""

    def __init__(self, width: int):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, states: Tensor) -> Tensor:
        """(B, P, V) -> (B, P, V)."""
        return self.fc2(F.gelu(self.fc1(states)))


class VisualBlock(nn.Module):
    """A pre-norm transformer block, as timm's `Block` with its own defaults: layer norms with eps 1e-5."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-5)
        self.attn = SelfAttention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-5)
        self.mlp = FeedForward(width)

    def forward(self, states: Tensor) -> Tensor:
        """(B, P, V) -> (B, P, V)."""
        states = states + self.attn(self.norm1(states))
        return states + self.mlp(self.norm2(states))


class VisualQueries(nn.Module):
    """CLIP's tokens read by learned queries: the queries go through the blocks in front of the tokens."""

    def __init__(self, *, clip_width: int, width: int, lm_width: int):
        super().__init__()
        self.clip_proj = nn.Linear(clip_width, width)
        self.clip_proj_norm = nn.LayerNorm(width, eps=1e-5)
        self.visual_query = nn.Embedding(QUERIES, width)
        self.visual_blocks = nn.ModuleList(VisualBlock(width, HEADS) for _ in range(BLOCKS))
        self.visual_proj = nn.Linear(width, lm_width)
        self.visual_proj_norm = nn.LayerNorm(lm_width, eps=1e-5)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, P, C) -> (B, Q, D)."""
        read = self.clip_proj_norm(self.clip_proj(tokens))
        queries = self.visual_query.weight.expand(len(read), -1, -1)
        states = torch.cat([queries, read], dim=1)
        for block in self.visual_blocks:
            states = block(states)
        return self.visual_proj_norm(self.visual_proj(states[:, :QUERIES]))
