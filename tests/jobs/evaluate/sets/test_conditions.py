"""What an item must be: one of, none of, and beside other items, against cases written by hand."""

import pytest

from fromage_model.errors import InvalidInput
from jobs.evaluate.sets.conditions import meets, on_top, parsed

ORDERS = {"length": ["mini", "knee-length", "midi", "maxi"]}
SKIRT = {"kind": "skirt", "colour": "red", "length": "midi", "details": "belt, pockets", "price": "39.95"}


def must(value):
    return on_top((), parsed(value, "must"))


def skirt(**changes):
    return SKIRT | changes


@pytest.mark.parametrize(
    ("asked", "met"),
    [
        ({"kind": "skirt"}, True),
        ({"kind": ["dress", "skirt"], "colour": "red"}, True),
        ({"kind": "skirt", "colour": "blue"}, False),
        ({"details": "pockets"}, True),
        ({"details": ["bow", "belt"]}, True),
        ({"details": "pocket"}, False),
        ({"sleeves": "long"}, False),
        ({"colour": {"not": ["blue", "green"]}}, True),
        ({"colour": {"not": ["blue", "red"]}}, False),
        ({"details": {"not": ["bow"]}}, True),
        ({"details": {"not": ["bow", "pockets"]}}, False),
        ({"sleeves": {"not": ["long"]}}, True),
        ([{"kind": "dress"}, {"kind": "skirt", "length": "midi"}], True),
        ([{"kind": "dress"}, {"kind": "skirt", "length": "mini"}], False),
        ({}, True),
    ],
)
def test_conditions_of_an_item_alone(asked, met):
    assert meets(SKIRT, must(asked)) is met


@pytest.mark.parametrize(
    ("asked", "beside", "met"),
    [
        ({"length": {"than": "less"}}, [skirt(length="maxi")], True),
        ({"length": {"than": "less"}}, [skirt(length="midi")], False),
        ({"length": {"than": "less"}}, [skirt(length="maxi"), skirt(length="midi")], True),
        ({"length": {"than": "less"}}, [skirt(length="maxi"), skirt(length="mini")], False),
        ({"length": {"than": "more"}}, [skirt(length="mini"), skirt(length="knee-length")], True),
        ({"length": {"than": "more"}}, [{"kind": "scarf"}], False),
        ({"length": {"than": "more"}}, [{"kind": "scarf"}, skirt(length="mini")], True),
        ({"length": {"than": "more"}}, [], False),
        ({"price": {"than": "less"}}, [skirt(price="30.00"), skirt(price="60.00")], True),
        ({"price": {"than": "less"}}, [skirt(price="9.95")], False),
        ({"price": {"than": "less"}}, [skirt(price="on request")], False),
        ({"colour": {"than": "same"}}, [skirt(colour="blue"), skirt()], True),
        ({"colour": {"than": "same"}}, [skirt(colour="blue")], False),
        ({"colour": {"than": "other"}}, [skirt(colour="blue")], True),
        ({"colour": {"than": "other"}}, [skirt(colour="blue"), skirt()], False),
        ({"kind": {"than": "same"}, "colour": "red"}, [skirt(colour="blue")], True),
    ],
)
def test_conditions_beside_other_items(asked, beside, met):
    assert meets(SKIRT, must(asked), beside=beside, orders=ORDERS) is met


def test_what_is_said_later_comes_on_top_and_null_takes_away():
    before = must({"kind": "skirt", "colour": "blue"})
    assert on_top(before, parsed({"length": "midi"}, "must")) == must(
        {"kind": "skirt", "colour": "blue", "length": "midi"}
    )
    assert on_top(before, parsed({"colour": "red"}, "must")) == must({"kind": "skirt", "colour": "red"})
    assert on_top(before, parsed({"colour": None}, "must")) == must({"kind": "skirt"})
    assert on_top(before, parsed({}, "must")) == before


def test_what_compared_with_the_last_items_is_not_asked_of_those_after_them():
    shorter = on_top(must({"kind": "skirt"}), parsed({"length": {"than": "less"}}, "must"))
    assert on_top(shorter, parsed({}, "must")) == must({"kind": "skirt"})


def test_alternatives_are_each_narrowed_and_none_stands_twice():
    before = must([{"kind": "gown"}, {"kind": "dress", "length": "maxi"}])
    narrowed = on_top(before, parsed({"colour": "green"}, "must"))
    assert narrowed == must(
        [{"kind": "gown", "colour": "green"}, {"kind": "dress", "length": "maxi", "colour": "green"}]
    )
    assert on_top(before, parsed({"kind": "hat", "length": None}, "must")) == must({"kind": "hat"})


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ("red", "must"),
        ([], "must"),
        ([{"kind": "skirt"}, "red"], "must"),
        ({"colour": []}, "must.colour"),
        ({"colour": [1]}, "must.colour"),
        ({"colour": {"than": "nicer"}}, "must.colour"),
        ({"colour": {"not": ["red"], "than": "same"}}, "must.colour"),
        ({"price": {"lt": 40}}, "must.price"),
    ],
)
def test_a_condition_that_is_none_is_refused_by_its_field(wrong, field):
    with pytest.raises(InvalidInput) as refused:
        parsed(wrong, "must")
    assert refused.value.field == field
