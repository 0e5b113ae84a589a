"""What a caller gives to a search, checked before anything is done with it. Knows no index.

Shapes: Q queries, S shared width.
"""

import operator
from typing import Any

import numpy as np

from fromage_model.errors import InvalidInput


def checked_queries(queries: Any, *, width: int, rows: int | None = None, field: str = "queries") -> np.ndarray:
    """(Q, S) or (S,), of whatever numpy makes an array -> (Q, S) float32; `rows` is what Q has to be, where that is
    known. Raises InvalidInput, which names the `field`.
    """
    try:
        given = np.asarray(queries)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"expected {field} as an array (Q, {width}): {error}", field=field) from error
    if given.dtype.kind not in "fiu":
        message = f"expected {field} of numbers, (Q, {width}), got {type(queries).__name__} of {given.dtype}"
        raise InvalidInput(message, field=field)
    with np.errstate(over="ignore"):  # too large for float32: infinite, and refused as such
        found = np.atleast_2d(given.astype(np.float32, copy=False))
    if found.ndim != 2 or found.shape[1] != width:
        raise InvalidInput(f"expected {field} of width {width}, got shape {found.shape}", field=field)
    if rows is not None and len(found) != rows:
        raise InvalidInput(f"expected {rows} {field}, as many as queries, got {len(found)}", field=field)
    if not np.isfinite(found).all():
        raise InvalidInput(f"expected finite {field}, got NaN or infinity", field=field)
    return found


def checked_sample(queries: Any, *, width: int) -> np.ndarray | None:
    """The same of queries that recall is measured with; None where there are none."""
    found = None if queries is None else checked_queries(queries, width=width)
    return None if found is None or not len(found) else found


def checked_top_k(top_k: Any) -> int:
    """Raises InvalidInput (field `top_k`) for what is no whole number of at least 1."""
    try:
        count = operator.index(top_k)
    except TypeError as error:
        raise InvalidInput(f"expected top_k as a whole number, for example 5, got {top_k!r}", field="top_k") from error
    if count < 1 or isinstance(top_k, bool):
        raise InvalidInput(f"expected top_k of at least 1, got {top_k}", field="top_k")
    return count


def checked_weight(weight: Any) -> float:
    """Raises InvalidInput (field `text_weight`) for what is no number from 0 to 1."""
    if isinstance(weight, bool) or not isinstance(weight, int | float | np.floating) or not 0 <= weight <= 1:
        raise InvalidInput(
            f"expected text_weight from 0 to 1, for example 0.5, got {weight!r:.80}", field="text_weight"
        )
    return float(weight)


def checked_ids(ids: Any, *, field: str) -> list[str]:
    """Any collection of texts; one text alone would be taken for its letters. Raises InvalidInput."""
    try:
        listed = None if isinstance(ids, str | bytes) else list(ids)
    except TypeError:
        listed = None
    if listed is None:
        message = f"expected a collection of ids, for example a list, got {type(ids).__name__} {ids!r:.80}"
        raise InvalidInput(message, field=field)
    for id in listed:
        if not isinstance(id, str):
            raise InvalidInput(f"expected ids as texts, got {type(id).__name__} {id!r:.80}", field=field)
    return listed
