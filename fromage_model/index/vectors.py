"""Vectors in segments, in memory or mapped from files: read as float32, appended to, never changed in place.

Shapes: N rows, S width.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fromage_model.errors import RetrievalIndexError

NORM_TOLERANCE = 1e-3


class VectorRows:
    """Segments (N_i, S) of float32 or float16 that are read as one (N, S) matrix of float32."""

    def __init__(self, segments: Sequence[np.ndarray]):
        self.segments = list(segments)
        self._starts = np.cumsum([0, *(len(segment) for segment in self.segments)])

    @property
    def width(self) -> int:
        return self.segments[0].shape[1]

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """(R,) row numbers -> (R, S) float32, a copy."""
        if len(self.segments) == 1:
            return self.segments[0][rows].astype(np.float32, copy=False)
        taken = np.empty((len(rows), self.width), dtype=np.float32)
        segment_of = np.searchsorted(self._starts, rows, side="right") - 1
        for number in np.unique(segment_of):
            there = segment_of == number
            taken[there] = self.segments[number][rows[there] - self._starts[number]]
        return taken

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """The number of the first row, and at most `rows` vectors as float32, until there are no more."""
        for first, segment in zip(self._starts, self.segments, strict=False):
            for start in range(0, len(segment), rows):
                yield int(first) + start, np.asarray(segment[start : start + rows], dtype=np.float32)

    def matrix(self) -> np.ndarray:
        """(N, S) float32; the mapped file itself where one segment of float32 is all there is."""
        if len(self.segments) == 1 and self.segments[0].dtype == np.float32:
            return self.segments[0]
        return np.concatenate([np.asarray(segment, dtype=np.float32) for segment in self.segments])


def checked_vectors(vectors: Any) -> np.ndarray:
    """What numpy makes an array (N, S) of real numbers, of length 1 each. Raises RetrievalIndexError."""
    try:
        found = np.asarray(vectors)
        numbers = found.dtype.kind in "fiu"
    except (TypeError, ValueError, RuntimeError) as error:
        raise RetrievalIndexError(f"expected vectors as an array, got {type(vectors).__name__}: {error}") from error
    if found.ndim != 2:
        raise RetrievalIndexError(f"expected vectors of shape (items, width), got {found.shape}")
    if not numbers:
        raise RetrievalIndexError(f"expected vectors of floating-point numbers, got {found.dtype}")
    check_lengths(found)
    return found


def check_lengths(vectors: np.ndarray) -> None:
    """Raises RetrievalIndexError unless every vector is of length 1; one that is not finite has no length."""
    with np.errstate(over="ignore"):  # one that is too long is of infinite length, which is not 1
        lengths = np.linalg.norm(vectors, axis=1)
    off = np.abs(lengths - 1.0)
    if not (off <= NORM_TOLERANCE).all():
        worst = int(np.argmax(np.nan_to_num(off, nan=np.inf)))
        raise RetrievalIndexError(f"expected vectors of length 1, got one of length {lengths[worst]:.4g}")
