"""numpy's arrays and dtypes as a pickle has them -> arrays of numbers, made by us and not by numpy's own way.

Knows only what numpy says of an array; which names in a pickle stand for these is `restricted.py`'s.
"""

import math
import pickle
import re
from typing import Any

import numpy as np

_NUMBERS = re.compile(r"[<>=|]?(f[248]|[iu][1248]|b1)")


class ArrayRecord:
    """A numpy array of numbers; the empty one that numpy asks for first gets its content as state."""

    __slots__ = ("array",)

    def __init__(self, array: np.ndarray | None = None):
        self.array = array

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran_order, data = state
        self.array = array_from_bytes(data, shape, dtype, order="F" if fortran_order else "C")


class DtypeRecord:
    """A numpy dtype by its code; the byte order comes as state."""

    __slots__ = ("code", "order")

    def __init__(self, code: str):
        self.code = code
        self.order = ""

    def __setstate__(self, state: Any) -> None:
        self.order = state[1] if state[1] in ("<", ">", "|", "=") else ""

    def __str__(self) -> str:
        return self.code if self.code[0] in "<>=|" else self.order + self.code


def array_from_bytes(data: Any, shape: Any, dtype: Any, *, order: str = "C") -> np.ndarray:
    """Read-only, of that shape and dtype code. Raises UnpicklingError where these and the bytes don't fit."""
    code = str(dtype)
    if not _NUMBERS.fullmatch(code):
        raise pickle.UnpicklingError(f"expected an array of numbers, got dtype {code!r}")
    if not isinstance(data, bytes | bytearray) or any(not isinstance(n, int) or n < 0 for n in shape):
        raise pickle.UnpicklingError(f"expected an array's bytes and shape, got {type(data).__name__} and {shape}")
    wanted = np.dtype(code)
    if math.prod(shape) * wanted.itemsize != len(data):
        raise pickle.UnpicklingError(f"an array of shape {shape} and dtype {code} can't have {len(data)} bytes")
    return np.frombuffer(data, dtype=wanted).reshape(shape, order="F" if order == "F" else "C")
