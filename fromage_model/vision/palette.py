"""How much of a picture has which colour: what a backbone that was trained to name things throws away.

A soft histogram over a grid of colours, as in colour indexing (Swain and Ballard, 1991). Knows no backbone.

Shapes: B batch, H x W pixels, L levels of a channel.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

LEVELS = 6
SOFTNESS = 0.008
"""Squared distance, in channels of 0 to 1, at which a pixel's share of a level falls to 1/e."""
CELL_PX = 4
"""Pixels are averaged over squares of so many: a histogram needs no more, and thin lines still count."""
WIDTH = LEVELS**3


def palette(pixels: Tensor) -> Tensor:
    """(B, 3, H, W) in -1 to 1 -> (B, L^3) float32: for each colour of the grid the root of its share, 1 for each where
    all have as much. The root lets a bow count beside a background.
    """
    channels = F.avg_pool2d(pixels.float(), CELL_PX).flatten(2).add(1).div(2)
    levels = torch.linspace(0, 1, LEVELS, device=pixels.device)
    # Gaussians over a grid are products of those over its axes, and so is what they sum to.
    shares = ((channels.unsqueeze(-1) - levels).square() / -SOFTNESS).softmax(dim=-1)
    red, green, blue = shares.unbind(dim=1)
    two = (red.unsqueeze(-1) * green.unsqueeze(-2)).flatten(2)
    joint = torch.einsum("bpi,bpj->bij", two, blue) / channels.shape[-1]
    return (joint.flatten(1) * WIDTH).clamp(min=0).sqrt()
