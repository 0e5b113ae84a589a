"""Rows of numbers in a file that is mapped into memory: what memory has no room for is read again when it is wanted.

The file has no name and goes with the array. Shapes: N rows, F width.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from fromage_model.storage.artefacts import home

BYTES_AT_ONCE = 2**24


def in_parts(vectors: np.ndarray, rows: Sequence[int]) -> Iterator[np.ndarray]:
    """These rows of (N, F) in their order, some 16 MB at a time."""
    most = max(1, BYTES_AT_ONCE // max(1, vectors.itemsize * vectors.shape[1]))
    for start in range(0, len(rows), most):
        yield vectors[list(rows[start : start + most])]


def mapped(parts: Iterable[np.ndarray], *, width: int) -> np.ndarray:
    """Parts (n, F) one after the other, of which one at a time is in memory -> (N, F) float32.

    The file lies in FROMAGE_HOME: the system's folder for what is temporary is memory on some machines.
    """
    home().mkdir(parents=True, exist_ok=True)
    rows = 0
    with tempfile.TemporaryFile(dir=home()) as file:
        for part in parts:
            file.write(np.ascontiguousarray(part, dtype=np.float32).data)
            rows += len(part)
        file.flush()
        if rows == 0 or width == 0:
            return np.empty((rows, width), dtype=np.float32)
        return np.memmap(file, dtype=np.float32, mode="r+", shape=(rows, width))
