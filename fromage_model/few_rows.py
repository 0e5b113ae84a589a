"""Linear maps of few rows on a CPU, which is what decoding and the [RET] position are made of. Knows no models.

For x of a few rows, x W^T costs what reading W costs, and there MKL and oneDNN are up to twice as fast when asked for
W x^T: their kernels then walk along W's rows. The result is that of `torch.nn.functional.linear`, up to the rounding
of its dtype. On other devices, and for many rows, it is `torch.nn.functional.linear`.

Shapes: M rows, I inputs, O outputs.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW = 128
"""Rows up to which W x^T was never slower than x W^T, in float32 and bfloat16, for the shapes of OPT-125m."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x (..., I), weight (O, I), bias (O) -> (..., O), contiguous; all of one dtype."""
    rows = x.shape[:-1].numel()
    if weight.device.type != "cpu" or not 0 < rows <= FEW:
        return F.linear(x, weight, bias)
    product = _one(x.reshape(-1), weight, bias) if rows == 1 else _few(x.reshape(rows, -1), weight, bias)
    return product.reshape(*x.shape[:-1], len(weight))


def _one(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.mv(weight, x) if bias is None else torch.addmv(bias, weight, x)


def _few(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    product = torch.mm(weight, x.t()) if bias is None else torch.addmm(bias.unsqueeze(-1), weight, x.t())
    return product.t().contiguous()


class FewRowsLinear(nn.Linear):
    """`nn.Linear` that multiplies as `linear` does."""

    def forward(self, input: Tensor) -> Tensor:
        """(..., I) -> (..., O)."""
        return linear(input, self.weight, self.bias)


def use_few_rows(model: nn.Module) -> None:
    """Every `nn.Linear` inside `model` becomes a `FewRowsLinear` with the same parameters; others stay."""
    for name, module in list(model.named_modules()):
        if type(module) is nn.Linear:
            replacement = FewRowsLinear(module.in_features, module.out_features, bias=False, device="meta")
            replacement.weight, replacement.bias = module.weight, module.bias
            model.set_submodule(name, replacement.train(module.training))
