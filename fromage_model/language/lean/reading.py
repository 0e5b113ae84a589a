"""Attention of many new positions of one row, as a prompt is read, and what rows begin with. Knows no steps.

Shapes: T new positions, K key heads, G queries of each, E width of a head, O positions of the opening.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.language.lean.cache import Slots
from fromage_model.language.lean.fused import Shape, in_pairs
from fromage_model.language.lean.rotation import Rotation, rotate


class Opening:
    """What rows begin with: for each layer its keys, across, (K, E, O), and its values, (K, O, E)."""

    def __init__(self, keys: Sequence[Tensor], values: Sequence[Tensor]):
        """Both (K, O, E) for each layer."""
        self.keys_across = [layer.transpose(1, 2).contiguous() for layer in keys]
        self.values = [layer.contiguous() for layer in values]
        self.length = self.values[0].shape[1]

    @classmethod
    def from_transformers(
        cls, layers: Sequence[tuple[Tensor, Tensor]], *, rotated: bool, dtype: torch.dtype
    ) -> "Opening":
        """Keys and values, (1, K, O, E) for each layer, as a cache of transformers holds them."""
        keys = [(in_pairs(keys[0]) if rotated else keys[0]).to(dtype) for keys, _ in layers]
        return cls(keys, [values[0].to(dtype) for _, values in layers])

    @property
    def size_bytes(self) -> int:
        return sum(part.nbytes for part in (*self.keys_across, *self.values))


class Reading:
    """T new positions of one row attend to all before them: called layer by layer, it writes and reads the cache."""

    def __init__(
        self, shape: Shape, slots: Slots, row: int, count: int, *, rotation: Rotation | None, opening: Opening | None
    ):
        length, device = slots.length(row), slots.device_lengths.device
        self._shape, self._slots, self._row = shape, slots, row
        self._opening = opening if slots.start(row) else None
        before = slots.start(row)
        self.positions = torch.arange(before + length, before + length + count, device=device)
        self._factors = None if rotation is None else rotation.factors(self.positions)
        seen = torch.arange(before + length + count, device=device)
        mask = seen <= self.positions.unsqueeze(-1)
        if shape.window is not None:
            mask &= seen > self.positions.unsqueeze(-1) - shape.window
        self._mask = None if count == 1 and shape.window is None else mask

    def __call__(self, layer: int, qkv: Tensor) -> Tensor:
        """(T, K (G + 2) E) -> (T, H E) in the cache's dtype."""
        shape = self._shape
        kept_dtype = self._slots.kept[layer].dtype
        if self._factors is not None:
            qkv = rotate(qkv.float(), self._factors)
        states = qkv.to(kept_dtype).view(len(qkv), shape.key_heads, -1, shape.head_width).transpose(0, 1)
        keys, values = self._slots.write(self._row, layer, states[:, :, -2:].transpose(1, 2)).unbind(1)
        if self._opening is not None:
            keys = torch.cat([self._opening.keys_across[layer].transpose(1, 2), keys], dim=1)
            values = torch.cat([self._opening.values[layer], values], dim=1)
        queries = states[:, :, :-2].transpose(1, 2).flatten(0, 1)
        found = F.scaled_dot_product_attention(
            queries.unsqueeze(0),
            keys.unsqueeze(0),
            values.unsqueeze(0),
            attn_mask=self._mask,
            scale=shape.scale,
            enable_gqa=shape.heads != shape.key_heads,
        )
        return found[0].transpose(0, 1).flatten(1)
