"""Linear maps whose weights are constants, on a CPU by oneDNN. Knows no models.

torch multiplies float32 by MKL, which on CPUs that are not Intel's takes two to three times as long as oneDNN does, for
one row and for a thousand (AMD EPYC with AVX-512). On Intel's both take alike, but for the gradient's product with
weights that are wide, for which oneDNN takes up to twice as long as MKL. torch has oneDNN's product too, over weights
as they lie in memory, and itself uses it for bfloat16. Everywhere else, and for weights that are trained, a map is
`torch.nn.functional.linear`; the results are equal up to the rounding of float32.

Where nothing is to be trained, weights can be packed, which is to lie as oneDNN reads them: a few rows then take half
the time or less, in float32 and bfloat16.

Shapes: M rows, I inputs, O outputs.
"""

import functools
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

PACKED_FOR = 8
"""Rows for which weights are packed; any other number is multiplied as well, and no slower than without."""
HAS_ONEDNN = torch.backends.mkldnn.is_available()
"""Asked once: inside of compiled code the question would part it in two."""
CPU_INFO = Path("/proc/cpuinfo")
"""Where Linux tells who made the CPU."""
IS_INTEL = CPU_INFO.is_file() and b"GenuineIntel" in CPU_INFO.open("rb").read(256)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., I), weight (O, I), bias (O) -> (..., O); all of one dtype. A gradient goes to x."""
    if not _is_constant_float32_on_cpu(x, weight, bias):
        return F.linear(x, weight, bias)
    if x.requires_grad and torch.is_grad_enabled():
        return _Linear.apply(x, weight, bias)
    return _product(x, weight, bias)


class _Linear(torch.autograd.Function):
    """Of the three inputs x alone has a gradient, which is the product with the weights' transpose."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = ctx.saved_tensors
        return gradient @ weight if IS_INTEL else _product(gradient, weight.t(), None), None, None


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    if torch.compiler.is_compiling():
        return torch.ops.fromage.product(x, weight, bias)
    return _by_onednn(x, weight, bias)


def _by_onednn(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


@functools.cache
def let_compile() -> None:
    """Give the product a name that torch.compile calls as it stands.

    oneDNN's own it would only take with weights that it has copied into what it compiles.
    """
    product = torch.library.custom_op("fromage::product", _by_onednn, mutates_args=())
    product.register_fake(lambda x, weight, bias: x.new_empty((*x.shape[:-1], weight.shape[0])))


def _is_constant_float32_on_cpu(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    return (
        weight.device.type == "cpu"
        and x.dtype == weight.dtype == torch.float32
        and not weight.requires_grad
        and (bias is None or not bias.requires_grad)
        and HAS_ONEDNN
    )


class FrozenLinear(nn.Linear):
    """`nn.Linear` that multiplies as `linear` does."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        return linear(input, self.weight, self.bias)


class PackedLinear(nn.Module):
    """A frozen map whose weights are packed. For inference alone: it lets no gradient through."""

    def __init__(self, weight: Tensor, bias: Tensor | None = None):
        """weight (O, I) and bias (O), float32 or bfloat16 on a CPU; the weights are copied."""
        super().__init__()
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), PACKED_FOR)
        self._bias = None if bias is None else bias.detach()

    def forward(self, input: Tensor) -> Tensor:
        """(..., I) -> (..., O). Raises RuntimeError where a gradient is asked for."""
        if input.requires_grad and torch.is_grad_enabled():
            raise RuntimeError("packed weights let no gradient through; train with a model that was not packed")
        return _product(input, self._weight, self._bias)


def can_pack(weight: Tensor) -> bool:
    """Whether a map with these weights can be packed."""
    if weight.device.type != "cpu" or not HAS_ONEDNN:
        return False
    is_bfloat16 = weight.dtype == torch.bfloat16 and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return weight.dtype == torch.float32 or is_bfloat16


def pack(model: nn.Module) -> None:
    """Every `FrozenLinear` inside `model` that can be packed is, one after the other, so that memory does not grow."""
    for name in [name for name, _ in model.named_modules()]:
        module = model.get_submodule(name)
        if isinstance(module, FrozenLinear) and can_pack(module.weight):
            model.set_submodule(name, PackedLinear(module.weight, module.bias))


def use_frozen_linear(model: nn.Module) -> None:
    """Every `nn.Linear` inside `model` becomes a `FrozenLinear` with the same parameters; others stay."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear:
            replacement = FrozenLinear(module.in_features, module.out_features, bias=False, device="meta")
            replacement.weight, replacement.bias = module.weight, module.bias
            model.set_submodule(name, replacement.train(module.training))
