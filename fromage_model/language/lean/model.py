"""The lean forward of decoder-only LMs: embeddings -> states, for new positions of one row or one of each of many.

It computes what transformers' modules compute, in fewer and larger calls: maps that read the same input are one, the
residual stream is one buffer that is added to, and the cache is written and read as the products want it. LMs of
another shape, or with LoRA, keep transformers' modules; `weights.why_not` says so.

Shapes: R rows, T new positions of a row, D LM width (of its embeddings), W width of the last states, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fromage_model.errors import ConfigError
from fromage_model.language.lean import weights
from fromage_model.language.lean.cache import Slots
from fromage_model.language.lean.layers import FewBits, Head, LayerProducts, Layers, Maps, normalise
from fromage_model.language.lean.products import Quantize
from fromage_model.language.lean.reading import Opening, Reading
from fromage_model.language.lean.rotation import Rotation
from fromage_model.language.lean.stepping import Stepping
from fromage_model.language.model import LanguageModel

CHUNK = 512
"""Positions of a row that `prefill` reads at once where nothing else is asked for."""


@dataclass(frozen=True)
class LeanStates:
    """`last`, (N, W), feeds the logits; `layers`, each (N, width of that layer), feed the text head."""

    last: Tensor
    layers: tuple[Tensor, ...]


class LeanLM:
    """At most `slots` rows, each a sequence of its own, over the frozen weights of one LM. For inference alone."""

    def __init__(
        self,
        lm: LanguageModel,
        *,
        slots: int,
        opening: Sequence[tuple[Tensor, Tensor]] | None = None,
        quantize: Quantize = "none",
        few_bits_bytes: float = math.inf,
        release: bool = False,
        cache_dtype: torch.dtype | None = None,
    ):
        """`opening` is what rows may begin with, as `model.opening.Opening.layers` has it, (1, K, O, E) for each layer.

        Weights that came in 4 or 8 bits lie so beside the others, for few rows, as far as `few_bits_bytes` go;
        `quantize` makes those of the layers so, instead of the others, whatever they came in. With `release`
        transformers' modules lose their matrices, one after the other, so that memory does not grow.
        Raises ConfigError where `why_not` has a reason.
        """
        if reason := weights.why_not(lm):
            raise ConfigError(f"no lean step for this LM: {reason}")
        self._lm = lm
        self.shape = weights.shape_of(lm)
        self._ends = weights.ends_of(lm)
        few_bits = FewBits(few_bits_bytes)
        self._layers = Layers(lm, self.shape, quantize=quantize, few_bits=few_bits, release=release)
        self._head = Head(lm, few_bits=few_bits)
        self._cache_dtype = cache_dtype or (torch.float32 if lm.device.type == "cpu" else lm.dtype)
        self._rotation = None
        if self._ends.frequencies is not None:
            group = self.shape.heads // self.shape.key_heads
            self._rotation = Rotation(
                self._ends.frequencies, self._ends.rotation_scale, key_heads=self.shape.key_heads, group=group
            )
        self.slots = Slots(
            layers=self.shape.depth,
            slots=slots,
            key_heads=self.shape.key_heads,
            head_width=self.shape.head_width,
            dtype=self._cache_dtype,
            device=lm.device,
        )
        self._stepping = Stepping(self.shape, self.slots, rotation=self._rotation)
        self._opening: Opening | None = None
        if opening is not None:
            self.use_opening(opening)
        depth = self.shape.depth
        self._wanted = tuple(depth if layer == -1 else layer % (depth + 1) for layer in lm.text_layers)

    @property
    def weight_bytes(self) -> int:
        """Of the layers' matrices and the head's, in all the forms in which they lie."""
        return self._layers.size_bytes + self._head.size_bytes

    def products(self, rows: int) -> list[Maps]:
        """What multiplies that many rows: for each layer the maps qkv, out, up and down."""
        return [layer.maps for layer in self._layers.for_rows(rows)]

    @property
    def cache_bytes(self) -> int:
        return self.slots.size_bytes + (0 if self._opening is None else self._opening.size_bytes)

    @property
    def opening_length(self) -> int:
        return 0 if self._opening is None else self._opening.length

    def use_opening(self, layers: Sequence[tuple[Tensor, Tensor]]) -> None:
        """Keys and values, (1, K, O, E) for each layer, as transformers' cache has them; before any row joins."""
        self._check_no_rows()
        rotated = self._rotation is not None
        self._opening = Opening.from_transformers(layers, rotated=rotated, dtype=self._cache_dtype)

    @torch.inference_mode()
    def read_opening(self, embeddings: Tensor) -> None:
        """Read (O, D) and keep it as what rows may begin with; before any row joins."""
        self._check_no_rows()
        row = self.join(opening=False)
        self.prefill(row, embeddings)
        states = self.slots.export(row, 0, len(embeddings))
        self.leave(row)
        self._opening = Opening(states[:, :, 0].unbind(), states[:, :, 1].unbind())

    def join(self, *, opening: bool = True) -> int:
        """A new row, which begins with the opening where there is one and `opening` -> its number."""
        return self.slots.join(start=self.opening_length if opening else 0)

    def leave(self, row: int) -> None:
        """Give a row up; its number does not come again."""
        self.slots.leave(row)

    def length(self, row: int) -> int:
        """Positions that the row has read, the opening's included."""
        return self.slots.start(row) + self.slots.length(row)

    def forget_last(self, rows: Sequence[int]) -> None:
        """Take the newest position of each of the rows back out."""
        self.slots.advance(rows, -1)

    def export(self, row: int, start: int, stop: int) -> Tensor:
        """A copy of keys and values of the row's own positions `start` to `stop`, counted after the opening."""
        return self.slots.export(row, start, stop)

    def load(self, row: int, states: Tensor) -> None:
        """The row has read what was exported at the very positions that come next in it."""
        self.slots.load(row, states)

    @torch.inference_mode()
    def prefill(self, row: int, embeddings: Tensor, *, every: bool = False) -> LeanStates:
        """(T, D) after what the row has read -> the states of the last position, or of `every` one, N of 1 or T."""
        parts = [self._read(row, part, every=every) for part in embeddings.split(CHUNK)]
        if not every or len(parts) == 1:
            return parts[-1]
        layers = zip(*[part.layers for part in parts], strict=True)
        return LeanStates(torch.cat([part.last for part in parts]), tuple(torch.cat(layer) for layer in layers))

    @torch.inference_mode()
    def step(self, embeddings: Tensor, rows: Sequence[int]) -> LeanStates:
        """(R, D), one position more for each of the rows -> their states, N = R, in the order of `rows`.

        Rows that stay in the same order from step to step are not moved.
        """
        self.slots.bring_forward(rows)
        self.slots.make_room(rows, 1)
        positions = self._stepping.prepare(
            len(rows), opening=self._opening, dtype=self._layers.attended_dtype(len(rows))
        )
        states = self._forward(embeddings, positions, self._stepping)
        self.slots.advance(rows, 1)
        return states

    @torch.inference_mode()
    def logits(self, last: Tensor) -> Tensor:
        """(N, W) -> (N, V) in the dtype of the product."""
        return self._head(last)

    def _read(self, row: int, embeddings: Tensor, *, every: bool) -> LeanStates:
        count = len(embeddings)
        self.slots.make_room([row], count)
        reading = Reading(self.shape, self.slots, row, count, rotation=self._rotation, opening=self._opening)
        states = self._forward(embeddings, reading.positions, reading, last=not every)
        self.slots.advance([row], count)
        return states

    def _forward(
        self, embeddings: Tensor, positions: Tensor, attend: Callable[[int, Tensor], Tensor], *, last: bool = False
    ) -> LeanStates:
        """`last` keeps the states of the last position alone."""
        ends, shape = self._ends, self.shape
        x = embeddings.to(self._lm.dtype)
        if ends.project_in is not None:
            x = F.linear(x, ends.project_in.weight, ends.project_in.bias)
        stream = self._layers.stream(x)
        if ends.positions is not None:
            stream.states.add_(ends.positions[positions])
        kept = slice(-1, None) if last else slice(None)
        inner: dict[int, Tensor] = {}
        products: list[LayerProducts] = self._layers.for_rows(len(stream.states))
        for number, layer in enumerate(products):
            if number in self._wanted:
                inner[number] = stream.states[kept].to(self._lm.dtype, copy=True)
            layer(number, stream, attend)
        x = stream.states[kept]
        if ends.norm is not None:
            x = normalise(x, ends.norm)
        x = x.to(self._lm.dtype)
        if ends.project_out is not None:
            x = F.linear(x, ends.project_out.weight, ends.project_out.bias)
        x = x.clone() if x.data_ptr() == stream.states[kept].data_ptr() else x
        inner[shape.depth] = x
        return LeanStates(x, tuple(inner[layer] for layer in self._wanted))

    def _check_no_rows(self) -> None:
        if self.slots.rows:
            raise RuntimeError("rows have joined; an opening is chosen before")
