"""The layers of a decoder as lists of products, and the residual stream that they add to. Knows no cache.

Shapes: M rows or positions, D width of the layers.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.language.lean import fused, products
from fromage_model.language.lean.four_bit import came_in_eight_bits, came_in_four_bits, can_group, grouped
from fromage_model.language.lean.fused import Map, Norm, Shape
from fromage_model.language.lean.kept_bits import KeptBits
from fromage_model.language.lean.products import FourBit, Product, Quantize
from fromage_model.language.model import LanguageModel

Maps = tuple[Product, Product, Product, Product]
"""Of a layer: qkv, out, up, down."""


class Stream:
    """The residual stream, (M, D) float32.

    Beside each row stands the root of D eps: the length of both together, over the root of D, is the root mean square
    with its eps, in one call.
    """

    def __init__(self, x: Tensor, root: float):
        rows, width = x.shape
        self.extended = x.new_empty(rows, width + 1, dtype=torch.float32)
        self.extended[:, width] = root
        self.states = self.extended[:, :width]
        self.states.copy_(x)


class HalfNorm:
    """A norm before a half layer; by the root mean square it is three calls, where torch's own takes eight."""

    def __init__(self, norm: Norm, width: int, dtype: torch.dtype):
        self._norm, self._width, self._dtype = norm, width, dtype
        self._weight = None if norm.by_mean or norm.weight is None else norm.weight * width**0.5

    def __call__(self, stream: Stream) -> Tensor:
        """-> (M, D) in the dtype that the products read."""
        if self._weight is None:
            return normalise(stream.states, self._norm).to(self._dtype)
        lengths = torch.linalg.vector_norm(stream.extended, 2, -1, True)
        scaled = stream.states / lengths
        if self._dtype == torch.float32:
            return scaled.mul_(self._weight)
        return torch.mul(scaled, self._weight, out=torch.empty_like(scaled, dtype=self._dtype))


def normalise(x: Tensor, norm: Norm) -> Tensor:
    """(M, D) float32 -> the same, by whichever norm it is."""
    if norm.by_mean:
        return F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps)
    return F.rms_norm(x, x.shape[-1:], norm.weight, norm.eps)


class LayerProducts:
    """One layer for some number of rows."""

    def __init__(self, shape: Shape, layer: fused.Layer, maps: Maps):
        self.maps = maps
        self._qkv, self._out, self._up, self._down = maps
        self._gated, self._activation, self._norm_first = shape.gated, shape.activation, shape.norm_first
        self._is_silu = (
            isinstance(shape.activation, torch.nn.SiLU) or type(shape.activation).__name__ == "SiLUActivation"
        )
        self._norms = layer.attention_norm, layer.mlp_norm
        self._first = HalfNorm(layer.attention_norm, shape.width, self._qkv.dtype)
        self._second = HalfNorm(layer.mlp_norm, shape.width, self._up.dtype)

    def __call__(self, number: int, stream: Stream, attend: Callable[[int, Tensor], Tensor]) -> None:
        """Add both halves to the stream."""
        states = stream.states
        x = self._first(stream) if self._norm_first else states
        states.add_(self._out(attend(number, self._qkv(x))))
        if not self._norm_first:
            states.copy_(normalise(states, self._norms[0]))
        x = self._second(stream) if self._norm_first else states
        states.add_(self._down(self._activated(self._up(x))))
        if not self._norm_first:
            states.copy_(normalise(states, self._norms[1]))

    def _activated(self, x: Tensor) -> Tensor:
        if not self._gated:
            return self._activation(x)
        gate, up = x.chunk(2, -1)
        return (F.silu(gate) if self._is_silu else self._activation(gate)).mul_(up)


class Layers:
    """All layers, for few rows and for many."""

    def __init__(
        self,
        lm: LanguageModel,
        shape: Shape,
        *,
        quantize: Quantize,
        kept: KeptBits,
        few_rows: int,
        release: bool,
    ):
        self._few_rows = few_rows
        self._few: list[LayerProducts] = []
        self._many: list[LayerProducts] = []
        self._root = 0.0
        for number in range(shape.depth):
            layer = fused.layer_of(lm, shape, number)
            many = _maps(layer, quantize)
            few = _in_few_bits(number, layer, many, kept) if few_rows and quantize != "int4" else many
            self._many.append(LayerProducts(shape, layer, many))
            self._few.append(LayerProducts(shape, layer, few))
            self._root = (shape.width * layer.attention_norm.eps) ** 0.5
            if release:
                fused.release_layer(lm, shape, number)

    @property
    def size_bytes(self) -> int:
        return products.size_bytes([one for layer in (*self._few, *self._many) for one in layer.maps])

    def for_rows(self, rows: int) -> list[LayerProducts]:
        return self._few if rows <= self._few_rows else self._many

    def attended_dtype(self, rows: int) -> torch.dtype:
        """What the map behind attention reads without a conversion."""
        return self.for_rows(rows)[0].maps[1].dtype

    def stream(self, x: Tensor) -> Stream:
        """(M, D) -> where the layers add to; x is copied."""
        return Stream(x, self._root)


class Head:
    """The head's rows of the tokenizer's tokens, for few rows and for many."""

    def __init__(self, lm: LanguageModel, *, quantize: Quantize, kept: KeptBits, few_rows: int):
        head = Map(*lm.head_rows)
        self._few_rows = few_rows
        self._many: Product
        self._few: Product
        if quantize == "int8" and lm.device.type == "cpu":
            self._few = self._many = products.for_eight_bits(head.weight, head.bias)
        elif head.weight.dtype == torch.bfloat16 and products.multiplies_bfloat16():
            # Beside the token table, which it may be: packed it takes half of the time, and few bits take no less.
            self._few = self._many = products.for_many_rows(head.weight, head.bias)
        else:
            self._many = products.Plain(head.weight, head.bias)
            few = kept.product("head", head, came_in=came_in_eight_bits, twice=True) if few_rows else None
            self._few = few or self._many

    @property
    def size_bytes(self) -> int:
        return products.size_bytes([self._few, self._many])

    def __call__(self, last: Tensor) -> Tensor:
        """(M, W) -> (M, V)."""
        return (self._few if len(last) <= self._few_rows else self._many)(last)


def _in_few_bits(number: int, layer: fused.Layer, many: Maps, kept: KeptBits) -> Maps:
    """Each map whose weights came in 4 bits in so many; the others as they lie for many rows."""
    maps = {"qkv": layer.qkv, "out": layer.out, "up": layer.up, "down": layer.down}
    qkv, out, up, down = (
        kept.product(f"{number}.{name}", part, came_in=came_in_four_bits) or product
        for (name, part), product in zip(maps.items(), many, strict=True)
    )
    return qkv, out, up, down


def _maps(layer: fused.Layer, quantize: Quantize) -> Maps:
    return tuple(_product(part, quantize) for part in (layer.qkv, layer.out, layer.up, layer.down))  # type: ignore[return-value]


def _product(part: Map, quantize: Quantize) -> Product:
    if quantize == "int4" and can_group(part.weight):
        return FourBit.of(grouped(part.weight), part.bias)
    if quantize == "int8" and part.weight.device.type == "cpu":
        return products.for_eight_bits(part.weight, part.bias)
    return products.for_many_rows(part.weight, part.bias)
