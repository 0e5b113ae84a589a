"""`cheaper` and `shorter` are read beside the products that were shown; without any they mean nothing."""

import pyarrow as pa
import pytest

from fromage_model.understanding import Reader, Said
from fromage_model.understanding.comparing import Comparison, comparisons_in
from fromage_model.understanding.orders import ordered
from fromage_model.understanding.words import words_of
from tests.fromage_model.understanding.shops import table_of

LENGTH, SLEEVES, HEEL, HEIGHT, LEG, FIT = (
    f"attributes.{name}" for name in ("length", "sleeves", "heel", "height", "leg", "fit")
)
PRICE = "attributes.price"
SHOP = {
    "mini": {"kind": "dress", "length": "mini", "sleeves": "short", "price": "20.00"},
    "knee": {"kind": "dress", "length": "knee-length", "sleeves": "puff", "price": "30.00"},
    "midi": {"kind": "dress", "length": "Midi", "sleeves": "three-quarter", "price": "40.00"},
    "maxi": {"kind": "dress", "length": "maxi", "sleeves": "long", "price": "50.00"},
    "flat": {"kind": "heels", "heel": "flat", "height": "low-top", "price": "60.00"},
    "block": {"kind": "heels", "heel": "block heel", "height": "low-top", "price": "70.00"},
    "stiletto": {"kind": "heels", "heel": "stiletto heel", "height": "high-top", "price": "80.00"},
    "slim": {"kind": "jeans", "leg": "slim", "length": "full length", "price": "90.00"},
    "wide": {"kind": "jeans", "leg": "wide-leg", "length": "cropped", "price": "99.00"},
    "loose": {"kind": "shirt", "fit": "oversized", "price": ""},
    "close": {"kind": "shirt", "fit": "fitted", "price": "45.00"},
}


def shop(**more: str) -> pa.Table:
    rows = [(id, {**cells, **more}) for id, cells in SHOP.items()]
    return table_of({"id": f"{id}{n or ''}", "caption": "x", "attributes": row} for id, row in rows for n in range(3))


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.of(shop(currency="EUR"))


def preferred(reader: Reader, shown: tuple[str, ...], *texts: str) -> dict[str, set[str]]:
    said = [Said("show me things"), Said(shown=shown), *map(Said, texts)]
    return {column: set(cells[column]) for cells in reader.read(said).preferred for column in cells}


DRESSES, SHOES, JEANS, SHIRTS = ("midi", "maxi"), ("block", "stiletto"), ("slim", "wide"), ("loose",)


@pytest.mark.parametrize(
    ("shown", "text", "found"),
    [
        (DRESSES, "shorter", {LENGTH: {"mini", "knee-length", "Midi", "cropped"}}),
        (DRESSES, "these are a bit long for me", {LENGTH: {"mini", "knee-length", "Midi", "cropped"}}),
        (("mini",), "Too short!", {LENGTH: {"knee-length", "Midi", "maxi", "full length"}}),
        (DRESSES, "with shorter sleeves", {SLEEVES: {"short", "three-quarter"}}),
        (DRESSES, "the sleeves are too long", {SLEEVES: {"short", "three-quarter"}}),
        (("mini", "knee"), "longer sleeves please", {SLEEVES: {"three-quarter", "long"}}),
        (SHOES, "ouch, lower", {HEEL: {"flat", "block heel"}}),
        (("block",), "the heel is too high", {HEEL: {"flat"}}),
        (("block",), "higher", {HEEL: {"stiletto heel"}}),
        (("slim",), "wider please", {LEG: {"wide-leg"}}),
        (("wide",), "a slimmer leg", {LEG: {"slim"}}),
        (SHIRTS, "that's too loose", {FIT: {"fitted"}}),
        (("close",), "looser", {FIT: {"oversized"}}),
        (("mini",), "shorter", {LENGTH: {"cropped"}}),
        (("wide",), "shorter", {}),
        (SHIRTS, "shorter", {}),
        (DRESSES, "not shorter", {}),
        (DRESSES, "I can't wait any longer", {}),
        (("gone",), "shorter", {}),
        (DRESSES, "in black", {}),
    ],
)
def test_what_lies_beyond_what_was_shown_is_preferred(reader: Reader, shown, text: str, found):
    assert preferred(reader, shown, text) == found


def test_without_products_nothing_is_compared(reader: Reader):
    assert reader.read([Said("a shorter dress, and cheaper")]).filters == {}
    assert LENGTH not in {column for cells in reader.read([Said("shorter")]).preferred for column in cells}


def test_a_comparison_holds_until_another_or_another_kind(reader: Reader):
    assert LENGTH in preferred(reader, DRESSES, "shorter", "in black")
    assert preferred(reader, DRESSES, "shorter", "then maxi")[LENGTH] == {"maxi"}
    assert LENGTH not in preferred(reader, DRESSES, "a dress, shorter", "and jeans?")


def test_each_comparison_is_with_what_was_shown_last(reader: Reader):
    said = [Said("dresses"), Said(shown=("maxi",)), Said("shorter"), Said(shown=("midi", "knee")), Said("shorter")]
    (length,) = (cells[LENGTH] for cells in reader.read(said).preferred if LENGTH in cells)
    assert set(length) == {"mini", "knee-length", "cropped"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("cheaper", {"lt": 40}),
        ("they cost too much", {"lt": 40}),
        ("I can't spend that much", {"lt": 40}),
        ("who could afford these?", None),
        ("something more expensive", {"gt": 40}),
        ("cheaper than 25 euros", {"lt": 25}),
        ("not cheaper", None),
        ("in black", None),
    ],
)
def test_a_price_is_bounded_by_half_of_what_was_shown(reader: Reader, text: str, found):
    said = [Said("dresses"), Said(shown=("knee", "midi", "maxi", "loose")), Said(text)]
    assert reader.read(said).filters.get(PRICE) == found


def test_a_bound_that_was_said_before_gives_way_and_the_other_side_stays(reader: Reader):
    said = [Said("dresses over 10 euros and under 80 euros"), Said(shown=("maxi",)), Said("cheaper?")]
    assert reader.read(said).filters[PRICE] == {"gt": 10, "lt": 50}


def test_prices_in_several_currencies_are_not_compared():
    rows = [{**cells, "price": cells["price"] + (" EUR" if n % 2 else " USD")} for n, cells in enumerate(SHOP.values())]
    mixed = Reader.of(table_of({"id": str(n), "caption": "x", "attributes": row} for n, row in enumerate(rows * 3)))
    assert mixed.read([Said("dresses"), Said(shown=("1", "2")), Said("cheaper")]).filters == {}


def test_filters_of_a_reply_and_its_products_count_together(reader: Reader):
    said = [Said("a dress from Norden"), Said(filters={PRICE: {"gt": 10}}, shown=("maxi",)), Said("cheaper")]
    assert reader.read(said).filters == {PRICE: {"gt": 10, "lt": 50}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("shorter", [Comparison(("length",), more=False)]),
        ("a lower price", [Comparison(("price",), more=False)]),
        ("lower", [Comparison(("heel", "height"), more=False)]),
        ("cheaper, and with longer sleeves", [Comparison(("price",), False), Comparison(("sleeves",), True)]),
        ("the legs are too wide", [Comparison(("width",), False, ("leg",))]),
        ("it is no longer raining", []),
        ("a long dress", []),
        ("", []),
    ],
)
def test_comparisons_in(text: str, found):
    assert list(comparisons_in(words_of(text))) == found


def test_columns_of_numbers_have_an_order_and_others_have_none():
    by_number = ordered("attributes.heel_height", ["4 cm", "9.5 cm", "12 cm"])
    assert by_number is not None
    assert by_number.ranks == {"4 cm": 4.0, "9.5 cm": 9.5, "12 cm": 12.0}
    assert by_number.beyond(["9.5 cm"], more=True) == ("12 cm",)
    assert ordered("attributes.heel", ["lilac", "puce"]) is None
    assert ordered("attributes.heel", ["flat"]) is None
    assert ordered("attributes.mood", ["short", "long"]) is None
