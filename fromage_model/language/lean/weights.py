"""The weights of a decoder-only LM as the lean forward multiplies them: made once, for all rows that there will be.

It computes what transformers' modules compute, in fewer and larger calls: maps that read the same input are one, and
the residual stream is one buffer that is added to. LMs of another shape, or with LoRA, keep transformers' modules;
`fused.why_not` says so.

Shapes: M rows or positions, D LM width (of its embeddings), W width of the last states, V vocabulary, K key heads, G
queries of each, H heads, E width of a head.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.errors import ConfigError
from fromage_model.language.decoder import NewStates
from fromage_model.language.lean import fused, products
from fromage_model.language.lean.kept_bits import KeptBits
from fromage_model.language.lean.layers import Head, Layers, Maps, normalise
from fromage_model.language.lean.products import Quantize
from fromage_model.language.lean.rotation import Rotation
from fromage_model.language.model import LanguageModel


class LeanWeights:
    """The frozen weights of one LM. For inference alone."""

    def __init__(
        self,
        lm: LanguageModel,
        *,
        quantize: Quantize = "none",
        few_rows: int | None = None,
        kept: KeptBits | None = None,
        release: bool = False,
        cache_dtype: torch.dtype | None = None,
    ):
        """Weights that came in 4 or 8 bits lie so beside the others, for up to `few_rows` rows (or as many as
        `products.few_rows` says); `kept` may know which they are. `quantize` makes weights so, instead of the others,
        whatever they came in. With `release` transformers' modules lose the layers' matrices, one after the other, so
        that memory does not grow; the head and the token table stay the LM's.
        Raises ConfigError where `why_not` has a reason.
        """
        if reason := fused.why_not(lm):
            raise ConfigError(f"no lean step for this LM: {reason}")
        self.dtype, self.device = lm.dtype, lm.device
        self.width, self.max_positions = lm.width, lm.max_positions
        self.shape = fused.shape_of(lm)
        self.cache_dtype = cache_dtype or (torch.float32 if lm.device.type == "cpu" else lm.dtype)
        self.rotation: Rotation | None = None
        self._ends = fused.ends_of(lm)
        rows = products.few_rows(lm.dtype, quantize) if few_rows is None else few_rows
        kept = kept or KeptBits()
        self._layers = Layers(lm, self.shape, quantize=quantize, kept=kept, few_rows=rows, release=release)
        if release:
            lm.let_go_of_the_file()
        self._head = Head(lm, quantize=quantize, kept=kept, few_rows=rows)
        kept.keep()
        if self._ends.frequencies is not None:
            group = self.shape.heads // self.shape.key_heads
            self.rotation = Rotation(
                self._ends.frequencies, self._ends.rotation_scale, key_heads=self.shape.key_heads, group=group
            )
        depth = self.shape.depth
        self._wanted = tuple(depth if layer == -1 else layer % (depth + 1) for layer in lm.state_layers)

    @property
    def weight_bytes(self) -> int:
        """Of the layers' matrices and the head's, in all the forms in which they lie; a tied table is the head's."""
        return self._layers.size_bytes + self._head.size_bytes

    def products(self, rows: int) -> list[Maps]:
        """What multiplies that many rows: for each layer the maps qkv, out, up and down."""
        return [layer.maps for layer in self._layers.for_rows(rows)]

    def attended_dtype(self, rows: int) -> torch.dtype:
        """What the map behind attention reads without a conversion."""
        return self._layers.attended_dtype(rows)

    @torch.inference_mode()
    def logits(self, last: Tensor) -> Tensor:
        """(M, W) -> (M, V) in the dtype of the product."""
        return self._head(last)

    def forward(
        self,
        embeddings: Tensor,
        positions: Tensor,
        attend: Callable[[int, Tensor], Tensor],
        *,
        kept: slice | Tensor = slice(None),
    ) -> NewStates:
        """(M, D) -> the states of those that are `kept`; `attend` takes a layer's number and its (M, K (G + 2) E) to
        (M, H E).
        """
        ends, shape = self._ends, self.shape
        x = embeddings.to(self.dtype)
        if ends.project_in is not None:
            x = F.linear(x, ends.project_in.weight, ends.project_in.bias)
        stream = self._layers.stream(x)
        if ends.positions is not None:
            stream.states.add_(ends.positions[positions])
        inner: dict[int, Tensor] = {}
        for number, layer in enumerate(self._layers.for_rows(len(stream.states))):
            if number in self._wanted:
                inner[number] = stream.states[kept].to(self.dtype, copy=True)
            layer(number, stream, attend)
        x = stream.states[kept]
        if ends.norm is not None:
            x = normalise(x, ends.norm)
        x = x.to(self.dtype)
        if ends.project_out is not None:
            x = F.linear(x, ends.project_out.weight, ends.project_out.bias)
        x = x.clone() if x.data_ptr() == stream.states[kept].data_ptr() else x
        inner[shape.depth] = x
        return NewStates(x, tuple(inner[layer] for layer in self._wanted))
