"""Conditions on what cells say: texts, numbers in texts, truths, moments and ranges; with what is refused, and why."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fromage_model.catalogue import SCHEMA
from fromage_model.errors import InvalidInput
from fromage_model.index.conditions import numbers_in
from fromage_model.index.filters import Filters

CELLS = ["19.90 EUR", "1,250", "₩39,000", "-3", "1e3", "TRUE", "false", "large", None]
APART = pa.chunked_array([pa.array(CELLS[:4], pa.string()), pa.array(CELLS[4:], pa.string())])


@pytest.fixture(scope="module")
def filters() -> Filters:
    """One item for each cell, in its attribute `said`; the last has no attributes."""
    fixed = {"image": "", "image_sha256": "", "source": "test", "group": "", "split": "train"}
    rows = [
        fixed
        | {
            "id": str(place),
            "attributes": [("said", cell)] if cell else [],
            "updated_at": datetime(2026, 1, 1 + place, tzinfo=UTC),
        }
        for place, cell in enumerate(CELLS)
    ]
    return Filters(pa.Table.from_pylist(rows, schema=SCHEMA))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("19.99", 19.99),
        (" 7 ", 7),
        (".5", 0.5),
        ("+3", 3),
        ("1e3", 1000),
        ("1,290.00 USD", 1290),
        ("USD 5", 5),
        ("€ 19.5", 19.5),
        ("39,000원", 39000),
        ("USD", None),
        ("e5", None),
        ("", None),
        (None, None),
        ("1,2", None),
        ("12kg", None),
        ("1-2", None),
        ("inf", None),
        ("nan", None),
    ],
)
def test_a_number_is_read_from_a_text_that_is_one(text: str | None, number: float | None):
    (found,) = numbers_in(pa.chunked_array([pa.array([text], pa.string())]))
    assert np.isnan(found) if number is None else found == number


def test_cells_in_several_chunks_are_read_in_their_order():
    assert numbers_in(APART)[:5].tolist() == [19.9, 1250, 39000, -3, 1000]
    assert np.isnan(numbers_in(APART)[5:]).all()


@pytest.mark.parametrize(
    ("condition", "places"),
    [
        ("large", {7}),
        ("1250", set()),
        (1250, {1}),
        (1250.0, {1}),
        ([-3, "large", None], {3, 7, 8}),
        (True, {5}),
        (False, {6}),
        ([False, True], {5, 6}),
        (1, set()),
        (None, {8}),
        ({"gte": 1000}, {1, 2, 4}),
        ({"gt": 1000, "lte": 39000}, {1, 2}),
        ({"lt": 0}, {3}),
        ({"gte": -3, "lte": -3}, {3}),
        ({"gt": -3, "gte": -5, "lt": 20}, {0}),
        ({"not": "large"}, {0, 1, 2, 3, 4, 5, 6, 8}),
        ({"not": ["large", None, 1250, True]}, {0, 2, 3, 4, 6}),
    ],
)
def test_a_condition_is_met_by_cells_that_say_so(filters: Filters, condition: Any, places: set[int]):
    assert set(np.flatnonzero(filters.mask({"attributes.said": condition}))) == places


def test_moments_are_seconds_since_1970(filters: Filters):
    third = datetime(2026, 1, 3, tzinfo=UTC).timestamp()
    assert set(np.flatnonzero(filters.mask({"updated_at": {"lte": third}}))) == {0, 1, 2}
    assert set(np.flatnonzero(filters.mask({"updated_at": third}))) == {2}


def test_conditions_on_several_columns_hold_together(filters: Filters):
    assert set(np.flatnonzero(filters.mask({"attributes.said": {"gt": 0}, "id": ["1", "3"]}))) == {1}


@pytest.mark.parametrize(
    ("name", "condition", "told"),
    [
        ("attributes.said", {}, "gte, gt, lte or lt"),
        ("attributes.said", {"above": 3}, "'above'"),
        ("attributes.said", {"gt": "3"}, "range of numbers, got str '3'"),
        ("attributes.said", {"gt": True}, "range of numbers, got bool"),
        ("attributes.said", {"gt": float("nan")}, "finite"),
        ("attributes.said", 10**400, "finite"),
        ("attributes.said", {"gte": 5, "lte": 4}, "ends before it begins"),
        ("attributes.said", {"gte": 5, "lt": 5}, "ends before it begins"),
        ("attributes.said", {"not": "A", "gt": 3}, "nothing else"),
        ("attributes.said", {"not": {"gt": 3}}, "nothing else"),
        ("attributes.said", {"not": []}, "empty list"),
        ("source", {"gt": 1}, "no item has a number there"),
        ("updated_at", "2026-01-01", "seconds since 1970"),
        ("attributes.price", {"gt": 1}, "known are id, .*attributes.said"),
    ],
)
def test_a_condition_that_can_not_be_met_is_refused_by_name(filters: Filters, name: str, condition: Any, told: str):
    with pytest.raises(InvalidInput, match=told) as refused:
        filters.mask({name: condition})
    assert refused.value.field == f"filter.{name}"


def test_a_table_without_rows_is_filtered_too(filters: Filters):
    assert Filters(SCHEMA.empty_table()).mask({"source": "test"}).tolist() == []
