"""Which product multiplies which number of rows. Knows no models.

A few rows are a matter of how many bytes the weights take, many of how fast the processor multiplies. So weights may
lie twice: in 4 or 8 bits for few rows, and as oneDNN reads them for more (`few_rows` says where one ends).

Milliseconds of all layers of the default LM, whose weights don't stay in the processor's cache, rows 1 / 4 / 8 / 10 /
16, on two cores that multiply bfloat16: 4 bits 4.4 / 6.8 / 11.9 / 18 / 25, packed bfloat16 15 / 13 / 14 / 16 / 20. Of
its head, rows 1 / 4 / 16: 8 bits 1.7 / 2.9 / 11, packed bfloat16 1.9 / 1.7 / 3.0, as it lies 3.3 / 3.8 / 6.6.
Microseconds, weights (3072, 576), rows 1 / 2 / 4 / 8 / 16, on one core that does not multiply it, beside other work:
4 bits 97 / 125 / 211 / 411 / 846, packed float32 313 / 339 / 449 / 546 / 696, packed bfloat16 159 / 437 / 822 / 1,305 /
2,284; what is faster beyond 16 rows of bfloat16 is not measured.
torch's 4-bit product is that fast for bfloat16 inputs alone, so float32 ones are rounded on their way in.

Weights of 8 bits are multiplied by whole numbers where the processor has instructions for that (VNNI, AMX), elsewhere
by bfloat16. Inputs of 8 bits cost the default LM 4 % of perplexity, since a few of their columns are far larger than
the others; of 16 bits, multiplied as two rows of 8, nothing that can be measured. All of its products, milliseconds,
rows 1 / 8 / 16, on one core of the second machine beside other work: inputs of 8 bits 24 / 26 / 28, of 16 28 / 28 / 37.
With the rounding of the inputs, rows 1 / 2 / 4 / 8, 31 / 29 / 36 / 34, where 4 bits take 9 / 11 / 15 / 28.

Shapes: M rows, O outputs, I inputs.
"""

from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor

from fromage_model.language.frozen_linear import PACKED_FOR, can_pack, linear
from fromage_model.language.lean.four_bit import GROUP, Groups

Quantize = Literal["none", "int8", "int4"]

_packed = torch.ops.mkldnn._linear_pointwise.default
_four_bit = torch.ops.aten._weight_int4pack_mm_for_cpu.default
_eight_bit = torch.ops.aten._weight_int8pack_mm.default
_by_whole = torch.ops.onednn.qlinear_pointwise.default
_TINY = torch.finfo(torch.float32).tiny

INPUT_LEVELS = 256 * 127
"""Of an input of 16 bits, to either side of 0."""
ZERO = 128
"""What stands for 0 among 8 bits without a sign."""
ROWS = 1024
"""Of weights that are rounded at once, so that memory grows by little."""


class Product(Protocol):
    """A frozen linear map, laid out for one way of multiplying. `dtype` is what it reads without a conversion."""

    dtype: torch.dtype

    @property
    def size_bytes(self) -> int: ...

    def __call__(self, x: Tensor) -> Tensor:
        """(M, I) -> (M, O) in `dtype`."""


class Plain:
    """Weights as they lie, which may be somebody else's too."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.dtype = weight.dtype
        self._weight, self._bias = weight, bias

    @property
    def size_bytes(self) -> int:
        return self._weight.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        return linear(x if x.dtype == self.dtype else x.to(self.dtype), self._weight, self._bias)


class Packed:
    """float32 or bfloat16 as oneDNN reads it, on a CPU."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.dtype = weight.dtype
        self.size_bytes = weight.nbytes
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), PACKED_FOR)
        self._bias = bias

    def __call__(self, x: Tensor) -> Tensor:
        x = x if x.dtype == self.dtype else x.to(self.dtype)
        return _packed(x, self._weight, self._bias, "none", [], "")


class FourBit:
    """Groups of 4 bits, on a CPU; `twice` where each row of the weights holds the halves of 8 bits side by side."""

    dtype = torch.bfloat16

    def __init__(self, numbers: Tensor, scales: Tensor, bias: Tensor | None, *, twice: bool = False):
        """`numbers` as torch's product reads them, and `scales`, (N, O, 2), of N groups."""
        self.numbers, self.scales = numbers, scales
        self._bias = None if bias is None else bias.to(self.dtype)
        self._twice = twice

    @classmethod
    def of(cls, groups: Groups, bias: Tensor | None, *, twice: bool = False) -> "FourBit":
        numbers = torch.ops.aten._convert_weight_to_int4pack_for_cpu(groups.numbers.int(), 1)
        return cls(numbers, groups.scale_and_offset(), bias, twice=twice)

    @property
    def size_bytes(self) -> int:
        return self.numbers.nbytes + self.scales.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        x = x if x.dtype == self.dtype else x.to(self.dtype)
        found = _four_bit(torch.cat((x, x), -1) if self._twice else x, self.numbers, GROUP, self.scales)
        return found if self._bias is None else found.add_(self._bias)


class EightBit:
    """8 bits with one scale for each output, on a CPU."""

    dtype = torch.bfloat16

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self._weight, scales = in_eight_bits(weight)
        self._scales = scales.to(self.dtype)
        self._bias = None if bias is None else bias.to(self.dtype)

    @property
    def size_bytes(self) -> int:
        return self._weight.nbytes + self._scales.nbytes

    def __call__(self, x: Tensor) -> Tensor:
        found = _eight_bit(x if x.dtype == self.dtype else x.to(self.dtype), self._weight, self._scales)
        return found if self._bias is None else found.add_(self._bias)


class Whole:
    """The same with inputs in 16 bits, each row by its largest, on a CPU that multiplies them (`has_eight_bits`).

    An upper half, one step of which is 256, and a lower one lie as two rows. Sums are of integers, so that a row comes
    out the same to the bit whatever rows it is multiplied with.
    """

    dtype = torch.float32

    def __init__(self, weight: Tensor, bias: Tensor | None):
        numbers, scales = in_eight_bits(weight)
        self.size_bytes = numbers.nbytes + scales.nbytes
        self._weight = torch.ops.onednn.qlinear_prepack(numbers, [PACKED_FOR, weight.shape[1]])
        self._scales = scales / INPUT_LEVELS
        self._zeros = torch.zeros(len(weight), dtype=torch.int64)
        self._bias = None if bias is None else bias.float()
        # Tensors, since torch makes one of a number at every call.
        self._levels, self._half_up = torch.tensor(float(INPUT_LEVELS)), torch.tensor(257 * ZERO + 0.5)
        self._eight = torch.tensor(8, dtype=torch.int32)

    def __call__(self, x: Tensor) -> Tensor:
        x = x if x.dtype == self.dtype else x.to(self.dtype)
        rows, inputs = x.shape
        largest = x.abs().amax(-1, True)
        # A row of zeros becomes whatever NaN is as a whole number, and is multiplied by 0 in the end.
        numbers = (x * (self._levels / largest)).add_(self._half_up).to(torch.int32)
        # Unsigned, because signed inputs take torch a hundred times as long.
        halves = torch.empty(2 * rows, inputs, dtype=torch.uint8)
        halves[:rows].copy_(numbers)
        halves[rows:].copy_(torch.bitwise_right_shift(numbers, self._eight, out=numbers))
        lower, upper = _by_whole(
            halves, 1.0, ZERO, self._weight, self._scales, self._zeros, None, 1.0, 0, self.dtype, "none", [], ""
        ).chunk(2)
        found = lower.add_(upper, alpha=256)
        return found.mul_(largest) if self._bias is None else torch.addcmul(self._bias, found, largest)


def in_eight_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(O, I) -> int8 numbers, (O, I), and the scale of each output, (O,) float32."""
    scale = (weight.abs().amax(dim=-1, keepdim=True).float() / 127).clamp_(min=_TINY)
    parts = zip(weight.split(ROWS), scale.split(ROWS), strict=True)
    return torch.cat([(part / of_part).round_().to(torch.int8) for part, of_part in parts]), scale.flatten()


def for_eight_bits(weight: Tensor, bias: Tensor | None) -> Product:
    """What multiplies any number of rows by weights rounded to 8 bits, on a CPU."""
    return (Whole if has_eight_bits() else EightBit)(weight, bias)


def has_eight_bits() -> bool:
    """Whether the processor has instructions for products of 8 bits, and torch uses them."""
    has_instructions = torch.cpu._is_vnni_supported() or torch.cpu._is_amx_tile_supported()
    return has_instructions and torch.backends.mkldnn.is_available()


def for_many_rows(weight: Tensor, bias: Tensor | None) -> Product:
    """What multiplies any number of rows without loss."""
    return Packed(weight, bias) if can_pack(weight) else Plain(weight, bias)


def few_rows(dtype: torch.dtype, quantize: Quantize = "none") -> int:
    """Up to how many rows weights that came in fewer bits are faster so than as others lie, by the table above."""
    if quantize == "int4" or (quantize == "int8" and not has_eight_bits()):
        return 0
    if quantize == "int8":
        return 2 if multiplies_bfloat16() else 8
    return 32 if dtype == torch.bfloat16 and not multiplies_bfloat16() else 8


def multiplies_bfloat16() -> bool:
    """Whether the processor has instructions for it."""
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def size_bytes(products: Sequence[Product]) -> int:
    """Of all that are different."""
    return sum(product.size_bytes for product in {id(product): product for product in products}.values())
