"""Groups of siblings: drawings that are variants of one, and so must be trained on or held out together.

Two drawings are siblings when their names are of one series, when their names are the same, or when their pictures are
nearly the same; and siblings of siblings are siblings. Knows nothing of OpenMoji's names: `series.py` does.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

THUMBNAIL_PX = 32
# Measured on OpenMoji: at 0.025 of the full range and below, pairs are a head with and without a frown, or the same
# picture twice; from 0.03 on, smileys with different expressions begin to count as one.
NEAR = 0.025
BLOCK_ROWS = 512


def thumbnail(image: Image.Image) -> np.ndarray:
    """An RGB picture -> (3072,) uint8: the means of a 32 x 32 grid."""
    small = image.resize((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.BOX)
    return np.asarray(small.convert("RGB"), dtype=np.uint8).reshape(-1)


def sibling_groups(names: Sequence[str], series: Sequence[str], thumbnails: np.ndarray) -> list[str]:
    """The group of each drawing: the first, by the alphabet, of the series that came together in it.

    `thumbnails` is (N, 3072) uint8.
    """
    joined = Forest(len(names))
    for labels in (series, [name.strip().lower() for name in names]):
        first: dict[str, int] = {}
        for row, label in enumerate(labels):
            joined.join(row, first.setdefault(label, row))
    for row, other in near_pairs(thumbnails):
        joined.join(row, other)
    key: dict[int, str] = {}
    for row, label in enumerate(series):
        root = joined.root(row)
        key[root] = min(key.get(root, label), label)
    return [key[joined.root(row)] for row in range(len(names))]


def near_pairs(thumbnails: np.ndarray, *, near: float = NEAR) -> list[tuple[int, int]]:
    """Pairs of rows whose thumbnails differ by at most `near` (root of the mean square, 1 is white against black)."""
    pixels = thumbnails.astype(np.float32) / 255
    lengths = np.square(pixels).sum(axis=1)
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(pixels), BLOCK_ROWS):
        block = pixels[start : start + BLOCK_ROWS]
        distances = lengths[start : start + BLOCK_ROWS, None] + lengths[None] - 2 * block @ pixels.T
        rows, others = np.nonzero(distances <= near**2 * pixels.shape[1])
        pairs += [
            (start + int(row), int(other)) for row, other in zip(rows, others, strict=True) if start + row < other
        ]
    return pairs


class Forest:
    """Disjoint sets over 0..size-1."""

    def __init__(self, size: int):
        self._parent = list(range(size))

    def root(self, row: int) -> int:
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def join(self, row: int, other: int) -> None:
        low, high = sorted((self.root(row), self.root(other)))
        self._parent[high] = low
