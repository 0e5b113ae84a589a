"""Conditions: what a filter asks of one column, checked, and which cells meet it. Knows no tables.

A cell holds text, or a moment. A text in a condition is met by the same text, a number by a cell that says that number,
`True` by "true" in any case, None by an empty cell. A range, `{"gte": 20, "lt": 50}`, is met by the numbers in it, and
`{"not": ["A", "B"]}` by every cell but those that "A" and "B" are met by. A price may have its currency beside it and
commas between its thousands: "1,290.00 USD" says 1290. A moment is a number too: of seconds since 1970.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fromage_model.errors import InvalidInput

Value = str | bool | int | float | None
Range: TypeAlias = Mapping[str, float]
Negation: TypeAlias = Mapping[str, Value | Sequence[Value]]
Condition: TypeAlias = Value | Sequence[Value] | Range | Negation
Checked: TypeAlias = list[Value] | dict[str, Any]

NOT = "not"

COMPARED = {"gte": np.greater_equal, "gt": np.greater, "lte": np.less_equal, "lt": np.less}
CURRENCY = r"(?:\p{Sc}|[A-Z]{3}|원)"
NUMBER = (
    rf"^\s*{CURRENCY}?\s*(?P<number>[+-]?(?:\d{{1,3}}(?:,\d{{3}})+|\d+)?(?:\.\d+)?(?:[eE][+-]?\d+)?)\s*{CURRENCY}?\s*$"
)


def checked_condition(name: str, given: Any) -> Checked:
    """The values of which a cell is to hold one, the bounds of its number, or what it is not to hold, as
    `{"not": [...]}`. Raises InvalidInput (`filter.NAME`).
    """
    if isinstance(given, Mapping):
        return _checked_negation(name, given) if NOT in given else _checked_range(name, given)
    listed = given if isinstance(given, Sequence) and not isinstance(given, str | bytes) else [given]
    if not listed:
        raise _refused(name, "must give a value, a list of values, or a range; got an empty list")
    for value in listed:
        if value is not None and not isinstance(value, str | bool | int | float):
            raise _refused(name, f"must give texts, numbers, true or false, got {type(value).__name__} {value!r:.80}")
        if isinstance(value, str) and not is_unicode(value):
            raise _refused(name, f"must give texts of whole characters, got {value!r:.80}")
    return [_finite(name, value) if _is_number(value) else value for value in listed]


def _checked_negation(name: str, given: Mapping) -> dict[str, Any]:
    if len(given) > 1 or isinstance(given[NOT], Mapping):
        raise _refused(name, f"must give by not a value or a list, and nothing else, got {given!r:.80}")
    return {NOT: checked_condition(name, given[NOT])}


def _checked_range(name: str, given: Mapping) -> dict[str, float]:
    unknown = [bound for bound in given if bound not in COMPARED]
    if unknown or not given:
        found = f"got {unknown[0]!r:.80}" if unknown else "got none of them"
        raise _refused(name, f"must give a range by gte, gt, lte or lt, or values by not, {found}")
    for value in given.values():
        if not _is_number(value):
            raise _refused(name, f"must give a range of numbers, got {type(value).__name__} {value!r:.80}")
    bounds = {bound: _finite(name, value) for bound, value in given.items()}
    low = max(bounds.get("gte", -math.inf), bounds.get("gt", -math.inf))
    high = min(bounds.get("lte", math.inf), bounds.get("lt", math.inf))
    if low > high or (low == high and low in (bounds.get("gt"), bounds.get("lt"))):
        raise _refused(name, f"is met by no number: {bounds} ends before it begins")
    return bounds


def meets(name: str, column: pa.ChunkedArray, numbers: np.ndarray, wanted: Checked) -> np.ndarray:
    """(N,) bool, for the cells of a column and the (N,) float64 that they say, NaN where one says none.

    Raises InvalidInput (`filter.NAME`) for a range over cells of which none is a number, and for a text that is to be
    found among moments.
    """
    if isinstance(wanted, dict):
        if NOT in wanted:
            return ~meets(name, column, numbers, wanted[NOT])
        if len(numbers) and np.isnan(numbers).all():
            raise _refused(name, "is a range of numbers, and no item has a number there")
        return np.logical_and.reduce([COMPARED[bound](numbers, limit) for bound, limit in wanted.items()])
    texts = [value for value in wanted if isinstance(value, str)]
    mask = np.isin(numbers, np.array([value for value in wanted if _is_number(value)], dtype=np.float64))
    if None in wanted:
        mask |= _as_bool(pc.is_null(column))
    if not pa.types.is_string(column.type):
        if texts:
            raise _refused(name, f"must give seconds since 1970, as in {{'gte': 1767225600}}, got {texts[0]!r:.80}")
        return mask
    mask |= _as_bool(pc.is_in(column, value_set=pa.array(texts, pa.string())))
    truths = [str(value).lower() for value in wanted if isinstance(value, bool)]
    if truths:
        mask |= _as_bool(pc.is_in(pc.utf8_lower(column), value_set=pa.array(truths, pa.string())))
    return mask


def numbers_in(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) float64: what each cell says as a number, NaN where it is empty or says something else."""
    if pa.types.is_timestamp(column.type):
        return pc.divide(pc.cast(pc.cast(column, pa.int64()), pa.float64()), 1e6).to_numpy()
    said = pc.struct_field(pc.extract_regex(column, NUMBER), "number")
    digits = pc.replace_substring(said, ",", "")
    # The expression lets a currency without a number through, which arrow would not take for one.
    digits = pc.if_else(pc.match_substring_regex(digits, r"\d"), digits, None)
    digits = pc.if_else(pc.match_substring_regex(digits, r"^[+-]?[eE]"), None, digits)
    return pc.cast(digits, pa.float64()).to_numpy()


def is_unicode(text: str) -> bool:
    """Half a surrogate pair, as JSON's "\\ud800", is in no column."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _as_bool(found: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(found.to_numpy(), dtype=bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(name: str, value: Any) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise _refused(name, f"must give numbers that are finite, got {number}")
    return number


def _refused(name: str, problem: str) -> InvalidInput:
    return InvalidInput(f"the filter on {name} {problem}", field=f"filter.{name}")
