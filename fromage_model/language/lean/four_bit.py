"""Weights in 4 bits by groups of 32, each with a scale and a minimum, and the same in 8 as two halves of 4.

The default LM's file has just such groups (GGUF's Q4_1, and Q8_0 for its token table). Their smallest and their largest
value are always among the weights, so that the groups, and every weight's number in them, are found again in the
weights that came out of the file; what differs is the rounding of scale and minimum.

Shapes: O outputs, I inputs, N = I / 32 groups.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

GROUP = 32
"""Weights of a row that share a scale; torch's product knows 32, 64, 128 and 256."""
LEVELS = 15
EXACT = 2**-7
"""Weights came in few bits where all are found again to within this share of their group's span and of themselves."""


@dataclass(frozen=True)
class Groups:
    """`numbers`, (O, I) uint8 below 16, times `scale` plus `minimum`, both (O, N) float32."""

    numbers: Tensor
    scale: Tensor
    minimum: Tensor

    def weights(self) -> Tensor:
        """(O, I) float32, with scale and offset rounded as the product reads them."""
        pair = self.scale_and_offset().float()
        numbers = self.numbers.float().unflatten(-1, (-1, GROUP)) - 8
        return (numbers * pair[..., 0].t().unsqueeze(-1) + pair[..., 1].t().unsqueeze(-1)).flatten(-2)

    def scale_and_offset(self) -> Tensor:
        """(N, O, 2) bfloat16: a weight is (number - 8) * scale + offset."""
        return torch.stack([self.scale, self.minimum + 8 * self.scale], dim=-1).transpose(0, 1).bfloat16().contiguous()


def can_group(weight: Tensor) -> bool:
    """Whether torch's 4-bit product takes weights of this shape."""
    return weight.device.type == "cpu" and weight.shape[0] % 16 == 0 and weight.shape[1] % GROUP == 0


def grouped(weight: Tensor) -> Groups:
    """(O, I) -> 4 bits each: numbers from the group's smallest and largest, then the scale that fits them best."""
    groups = weight.float().unflatten(-1, (-1, GROUP))
    low, high = groups.aminmax(dim=-1, keepdim=True)
    step = ((high - low) / LEVELS).clamp(min=torch.finfo(torch.float32).tiny)
    numbers = ((groups - low) / step).round_().clamp_(0, LEVELS)
    centred = numbers - numbers.mean(dim=-1, keepdim=True)
    fitted = (centred * groups).sum(dim=-1) / centred.square().sum(dim=-1).clamp(min=1e-12)
    minimum = groups.mean(dim=-1) - fitted * numbers.mean(dim=-1)
    return Groups(numbers.to(torch.uint8).flatten(-2), fitted, minimum)


def halves(weight: Tensor) -> Groups:
    """(O, I) -> (O, 2 I): the upper and the lower half of 8 bits side by side, for inputs that come twice."""
    groups = weight.float().unflatten(-1, (-1, GROUP))
    scale = (groups.abs().amax(dim=-1) / 127).clamp(min=torch.finfo(torch.float32).tiny)
    numbers = (groups / scale.unsqueeze(-1)).round_().to(torch.int16).flatten(-2) + 128
    upper, lower = (numbers >> 4).to(torch.uint8), (numbers & 15).to(torch.uint8)
    # number - 128 = 16 * (upper - 8) + lower
    return Groups(
        torch.cat([upper, lower], dim=-1),
        torch.cat([16 * scale, scale], dim=-1),
        torch.cat([-128 * scale, torch.zeros_like(scale)], dim=-1),
    )


def came_in_four_bits(weight: Tensor, groups: Groups) -> bool:
    """Whether (O, I) are the groups' own, up to the rounding of their scales and of the weights themselves."""
    return _is_found_again(weight, groups.weights(), LEVELS * groups.scale)


def came_in_eight_bits(weight: Tensor, groups: Groups) -> bool:
    """The same of `halves`, where a group's numbers are steps of a quarter of a thousandth of its span."""
    upper, lower = groups.weights().chunk(2, dim=-1)
    steps = groups.scale.chunk(2, dim=-1)[1]
    return _is_found_again(weight, upper + lower, 16 * steps)


def _is_found_again(weight: Tensor, found: Tensor, span: Tensor) -> bool:
    allowed = EXACT * (span.abs().repeat_interleave(GROUP, dim=-1) + weight.float().abs())
    return bool(((weight.float() - found).abs() <= allowed).all())
