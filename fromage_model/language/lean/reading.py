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

_flash_on_cpu = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


class Opening:
    """What rows begin with: for each layer its keys, (K, O, E) and across, (K, E, O), and its values, (K, O, E)."""

    def __init__(self, keys: Sequence[Tensor], values: Sequence[Tensor]):
        """Both (K, O, E) for each layer."""
        self.keys = [layer.contiguous() for layer in keys]
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
        return sum(part.nbytes for part in (*self.keys, *self.keys_across, *self.values))


class Reading:
    """T new positions of one row attend to all before them: called layer by layer, it writes and reads the cache.

    What lies before them, the opening and what the row has read, is seen by each of them and takes no mask; among
    themselves they are causal. Each part is read where it lies, once for all queries of a key head, and the parts are
    merged by their log-sum-exps, which is exact. A window cuts through the parts, and not every device
    has such sums for every dtype: there all takes one masked call.
    """

    def __init__(
        self, shape: Shape, slots: Slots, row: int, count: int, *, rotation: Rotation | None, opening: Opening | None
    ):
        device = slots.device_lengths.device
        self._shape, self._slots, self._row = shape, slots, row
        self._length = slots.length(row)
        self._opening = opening if slots.start(row) else None
        before = slots.start(row) + self._length
        self.positions = torch.arange(before, before + count, device=device)
        self._factors = None if rotation is None else rotation.factors(self.positions)
        window = before + count if shape.window is None else shape.window
        self._in_parts = keeps_sums(device) and before + count <= window
        if self._in_parts:
            return
        self._first_seen = max(0, before + 1 - window)
        seen = torch.arange(self._first_seen, before + count, device=device)
        newest = self.positions.unsqueeze(-1)
        hidden = (seen > newest) | (seen <= newest - window)
        # In the keys' dtype: of a mask of bools torch makes such a one in each layer.
        mask = torch.zeros(hidden.shape, dtype=slots.kept[0].dtype, device=device)
        self._mask = mask.masked_fill_(hidden, float("-inf"))

    def __call__(self, layer: int, qkv: Tensor) -> Tensor:
        """(T, K (G + 2) E) -> (T, H E) in the cache's dtype."""
        shape = self._shape
        kept_dtype = self._slots.kept[layer].dtype
        if self._factors is not None:
            qkv = rotate(qkv.float(), self._factors)
        states = qkv.to(kept_dtype).view(len(qkv), shape.key_heads, -1, shape.head_width).transpose(0, 1)
        keys, values = self._slots.write(self._row, layer, states[:, :, -2:].transpose(1, 2)).unbind(1)
        queries = states[:, :, :-2].transpose(1, 2).flatten(0, 1)
        attend = self._by_parts if self._in_parts else self._masked
        return attend(layer, queries, keys, values).transpose(0, 1).flatten(1)

    def _by_parts(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """(H, T, E), and of the row's own keys and values (K, C, E) -> (H, T, E)."""
        scale, length = self._shape.scale, self._length
        found, sums = _flash(queries, keys[:, length:], values[:, length:], scale=scale, causal=True)
        parts = [(keys[:, :length], values[:, :length])] if length else []
        if self._opening is not None:
            parts.append((self._opening.keys[layer], self._opening.values[layer]))
        folded = queries.reshape(self._shape.key_heads, -1, self._shape.head_width)
        for place, part in enumerate(parts):
            more, more_sums = _flash(folded, *part, scale=scale)
            more, more_sums = more.view_as(found), more_sums.reshape(sums.shape)
            found.lerp_(more, torch.sigmoid(more_sums - sums).unsqueeze(-1).to(found.dtype))
            if place + 1 < len(parts):
                sums = torch.logaddexp(sums, more_sums)
        return found

    def _masked(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """The same over what is in the window of any of the positions."""
        first = self._first_seen
        if self._opening is not None:
            keys = torch.cat([self._opening.keys[layer], keys], dim=1)
            values = torch.cat([self._opening.values[layer], values], dim=1)
        return F.scaled_dot_product_attention(
            queries.unsqueeze(0),
            keys[:, first:].unsqueeze(0),
            values[:, first:].unsqueeze(0),
            attn_mask=self._mask,
            scale=self._shape.scale,
            enable_gqa=self._shape.heads != self._shape.key_heads,
        )[0]


def keeps_sums(device: torch.device) -> bool:
    """Whether attention there gives the log-sum-exps by which parts are merged, whatever its dtype."""
    return device.type == "cpu"


def _flash(
    queries: Tensor, keys: Tensor, values: Tensor, *, scale: float, causal: bool = False
) -> tuple[Tensor, Tensor]:
    """(n K, N, E), keys and values (K, C, E) -> (n K, N, E), and the scores' log-sum-exps, (n K, N) float32."""
    found, sums = _flash_on_cpu(
        queries.unsqueeze(0), keys.unsqueeze(0), values.unsqueeze(0), 0.0, causal, attn_mask=None, scale=scale
    )
    return found[0], sums[0]
