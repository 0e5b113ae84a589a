"""Rotated positions as complex factors: a head's pairs of numbers times (cos, sin) of their angles.

Shapes: N positions, K key heads, G queries of each, E width of a head.
"""

import torch
from torch import Tensor


class Rotation:
    """What queries, keys and values as the fused map gives them are multiplied with; values by 1."""

    def __init__(self, frequencies: Tensor, scale: float, *, key_heads: int, group: int):
        self._frequencies = frequencies
        self._scale = scale
        self._key_heads, self._group = key_heads, group

    def factors(self, positions: Tensor) -> Tensor:
        """(N,) -> (N, K (G + 2) E / 2) complex64."""
        angles = positions.unsqueeze(-1).float() * self._frequencies
        turned = torch.polar(torch.full_like(angles, self._scale), angles).unsqueeze(1)
        factors = torch.cat([turned.expand(-1, self._group + 1, -1), torch.ones_like(turned)], dim=1)
        return factors.repeat(1, self._key_heads, 1).flatten(1)


def rotate(states: Tensor, factors: Tensor) -> Tensor:
    """(N, K (G + 2) E) float32, turned in place."""
    states.view(torch.complex64).mul_(factors)
    return states
