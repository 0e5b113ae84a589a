"""Weights in 4 bits by groups of 32, each with a scale and a minimum, and the same in 8 as two halves of 4.

The default LM's file has just such groups (GGUF's Q4_1, and Q8_0 for its token table). Their smallest and their largest
value are always among the weights, so that the groups, and every weight's number in them, are found again in the
weights that came out of the file; what differs is the rounding of scale and minimum.

Shapes: O outputs, I inputs, N = I / 32 groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

GROUP = 32
"""Weights of a row that share a scale; torch's product knows 32, 64, 128 and 256."""
LEVELS = 15
PART = 2**15 - 1
"""Weights that are grouped at once, at most: they stay in the processor's cache, and torch splits work of less than
2^15 numbers over no threads, which beside other work would wait for each other in every call."""
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
        scale, offset = self._rounded_pair().float().unbind(-1)
        numbers = self.numbers.float().unflatten(-1, (-1, GROUP)).sub_(8)
        return numbers.mul_(scale.unsqueeze(-1)).add_(offset.unsqueeze(-1)).flatten(-2)

    def scale_and_offset(self) -> Tensor:
        """(N, O, 2) bfloat16: a weight is (number - 8) * scale + offset."""
        return self._rounded_pair().transpose(0, 1).contiguous()

    def _rounded_pair(self) -> Tensor:
        """(O, N, 2) bfloat16."""
        return torch.stack([self.scale, self.minimum + 8 * self.scale], dim=-1).bfloat16()


def can_group(weight: Tensor) -> bool:
    """Whether torch's 4-bit product takes weights of this shape."""
    return weight.device.type == "cpu" and weight.shape[0] % 16 == 0 and weight.shape[1] % GROUP == 0


def grouped(weight: Tensor) -> Groups:
    """(O, I) -> 4 bits each: numbers from the group's smallest and largest, then the scale that fits them best."""
    return _joined([_grouped(part.float()) for part in _parts(weight)])


def halves(weight: Tensor) -> Groups:
    """(O, I) -> (O, 2 I): the upper and the lower half of 8 bits side by side, for inputs that come twice."""
    return _joined([_halves(*_in_eight_bits(part.float())) for part in _parts(weight)])


def came_in_four_bits(weight: Tensor) -> Groups | None:
    """The groups of which (O, I) are the weights, up to the rounding of scales and of the weights; None if of none."""
    found = []
    for part in _parts(weight):
        part = part.float()
        groups = _grouped(part)
        if not _is_found_again(part, groups.weights(), LEVELS * groups.scale):
            return None
        found.append(groups)
    return _joined(found)


def came_in_eight_bits(weight: Tensor) -> Groups | None:
    """The same of `halves`, where a group's numbers are steps of a quarter of a thousandth of its span."""
    found = []
    for part in _parts(weight):
        part = part.float()
        numbers, scale = _in_eight_bits(part)
        again = numbers.float().sub_(128).mul_(scale.bfloat16().float().unsqueeze(-1)).flatten(-2)
        if not _is_found_again(part, again, 16 * scale):
            return None
        found.append(_halves(numbers, scale))
    return _joined(found)


def _parts(weight: Tensor) -> Sequence[Tensor]:
    return weight.split(max(PART // weight.shape[1], 1))


def _joined(parts: Sequence[Groups]) -> Groups:
    return Groups(
        torch.cat([part.numbers for part in parts]),
        torch.cat([part.scale for part in parts]),
        torch.cat([part.minimum for part in parts]),
    )


def _grouped(weight: Tensor) -> Groups:
    groups = weight.unflatten(-1, (-1, GROUP))
    low, high = groups.amin(dim=-1), groups.amax(dim=-1)
    step = (high - low).div_(LEVELS).clamp_(min=torch.finfo(torch.float32).tiny)
    above = groups - low.unsqueeze(-1)
    rounded = _rounded(above * step.reciprocal_().unsqueeze(-1))
    numbers = rounded.float()
    mean, mean_above = numbers.mean(dim=-1), above.mean(dim=-1)
    fitted = above.mul_(numbers).mean(dim=-1).sub_(mean * mean_above)
    fitted /= numbers.square().mean(dim=-1).sub_(mean.square()).clamp_(min=1e-12)
    return Groups(rounded.flatten(-2), fitted, low + mean_above - fitted * mean)


def _in_eight_bits(weight: Tensor) -> tuple[Tensor, Tensor]:
    """(O, I) -> numbers, (O, N, 32) uint8 of which 128 is zero, and their scale, (O, N)."""
    groups = weight.unflatten(-1, (-1, GROUP))
    scale = (groups.abs().amax(dim=-1) / 127).clamp_(min=torch.finfo(torch.float32).tiny)
    return _rounded((groups / scale.unsqueeze(-1)).add_(128)), scale


def _halves(numbers: Tensor, scale: Tensor) -> Groups:
    numbers = numbers.flatten(-2)
    # number - 128 = 16 * (upper - 8) + lower
    return Groups(
        torch.cat([numbers >> 4, numbers & 15], dim=-1),
        torch.cat([16 * scale, scale], dim=-1),
        torch.cat([-128 * scale, torch.zeros_like(scale)], dim=-1),
    )


def _rounded(numbers: Tensor) -> Tensor:
    """None below 0 -> uint8; torch's own rounding splits even 2^11 numbers over its threads. `numbers` is changed."""
    return numbers.add_(0.5).to(torch.uint8)


def _is_found_again(weight: Tensor, found: Tensor, span: Tensor) -> bool:
    """All to within EXACT; `found` is overwritten."""
    beyond = found.sub_(weight).abs_().sub_(weight.abs(), alpha=EXACT)
    return bool((beyond.unflatten(-1, (-1, GROUP)).amax(dim=-1) <= EXACT * span.abs()).all())
