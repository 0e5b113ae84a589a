"""A price said in words becomes bounds; a number that is no price, or bounds that hold nothing, become none."""

from typing import Any

import pytest

from fromage_model.understanding import Reader, Said
from tests.fromage_model.understanding.shops import drawings, garments

PRICE = "attributes.price"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.of(garments())


def price(reader: Reader, *texts: str) -> Any:
    return reader.filters([Said(text) for text in texts]).get(PRICE)


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("something warm under 50 euros", {"lt": 50}),
        ("a dress for less than €50", {"lt": 50}),
        ("Cheaper than 49,90 €?", {"lt": 49.9}),
        ("boots up to 120 EUR", {"lte": 120}),
        ("a coat, 100 euros or less", {"lte": 100}),
        ("100 euros max", {"lte": 100}),
        ("max. 80€", {"lte": 80}),
        ("I have 50 euros to spend", {"lte": 50}),
        ("my budget is 70", {"lte": 70}),
        ("cheap dresses under 60", {"lt": 60}),
        ("no more than 80 euros", {"lte": 80}),
        ("I can't spend more than 60 euros", {"lte": 60}),
        ("not under 100 euros", {"gte": 100}),
        ("over 200 euros", {"gt": 200}),
        ("at least 100 euros", {"gte": 100}),
        ("dresses from 100 euros", {"gte": 100}),
        ("150 euros and up", {"gte": 150}),
        ("between 20 and 40", {"gte": 20, "lte": 40}),
        ("A scarf between 20 and 40, please", {"gte": 20, "lte": 40}),
        ("between 20 and 40 euros", {"gte": 20, "lte": 40}),
        ("gloves from 20 to 40 euros", {"gte": 20, "lte": 40}),
        ("20-40€", {"gte": 20, "lte": 40}),
        ("over 20 and under 50 euros", {"gt": 20, "lt": 50}),
        ("under fifty euros", {"lt": 50}),
        ("under a hundred and twenty euros", {"lt": 120}),
        ("a coat under 1.500 euros", {"lt": 1500}),
        ("a coat under 1,290.00 euros", {"lt": 1290}),
        ("50유로 이하의 따뜻한 옷", {"lte": 50}),
        ("20유로에서 40유로 사이", {"gte": 20, "lte": 40}),
    ],
)
def test_a_price_in_words_becomes_bounds(reader: Reader, text: str, bounds: dict[str, float]):
    assert price(reader, text) == bounds


# Written after the rules, and not used to write them.
@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("Could you show me wedding guest dresses below €120?", {"lt": 120}),
        ("need sandals for the beach, at most 35 euros", {"lte": 35}),
        ("anything nice, say 30 to 60 euros?", {"gte": 30, "lte": 60}),
        ("Looking for a gift (under 25 EUR)", {"lt": 25}),
        ("I don't want to pay more than 90 euros for a jacket", {"lte": 90}),
        ("a warm scarf for under twenty-five euros", {"lt": 25}),
        ("something above 150 euros, it's a special day", {"gt": 150}),
        ("I've got a budget of 200 euros for the whole outfit", {"lte": 200}),
        ("nothing over 75 euros please", {"lte": 75}),
        ("shoes that cost less than 60 euros", {"lt": 60}),
    ],
)
def test_wordings_that_the_rules_were_not_written_by_are_read_too(reader: Reader, text: str, bounds: dict[str, float]):
    assert price(reader, text) == bounds


@pytest.mark.parametrize(
    ("text", "bounds"),
    [
        ("a gift, around 50 euros", {"gte": 40, "lte": 60}),
        ("something about €40", {"gte": 32, "lte": 48}),
        ("a coat for roughly 99 EUR", {"gte": 79.2, "lte": 118.8}),
        ("a bag, 60 euros or so", {"gte": 48, "lte": 72}),
        ("50유로 정도", {"gte": 40, "lte": 60}),
        ("around 40 to 60 euros", {"gte": 40, "lte": 60}),
        ("between around 20 and 30 euros", {"gte": 20, "lte": 30}),
        ("under about 50 euros", {"lt": 50}),
        ("from around 50 euros", {"gte": 50}),
        ("a nice bag, budget 30 to 60", {"gte": 30, "lte": 60}),
        ("I'd spend between 30 and 50 on a scarf", {"gte": 30, "lte": 50}),
    ],
)
def test_a_price_that_is_said_roughly_has_room_to_both_sides(reader: Reader, text: str, bounds: dict[str, float]):
    assert price(reader, text) == bounds


@pytest.mark.parametrize(
    "text",
    [
        "tell me about 3 dresses",
        "about 20 people are coming",
        "something around 50",
        "the party is around 8 pm",
        "the party is between 20 and 23 on Saturday",
        "is delivery around 5 euros?",
        "I paid around 50 euros for my last one",
        "around 0 euros",
        "something to look around",
        "between around",
    ],
)
def test_what_is_said_roughly_and_is_no_price_is_no_filter(reader: Reader, text: str):
    assert price(reader, text) is None


@pytest.mark.parametrize(
    "text",
    [
        "under",
        "something under",
        "under euros",
        "between and",
        "between 20",
        "between 20 and",
        "something under 50",
        "a coat for 50",
        "dresses for women over 50",
        "what do people between 20 and 40 wear?",
        "the party is between 6 and 9 tonight",
        "between 40 and 20 euros",
        "from 40 to 20 euros",
        "between forty and twenty",
        "over 50 and under 20 euros",
        "under 50 and under 30 euros",
        "under 50 dollars",
        "under 50%",
        "under -5 euros",
        "is shipping free over 50 euros?",
        "do I get a refund on orders over 100 euros?",
        "I paid over 300 euros for my last coat",
        "Air Max 90",
        "99999999999999999999999999999999999999 euros",
        "under 1.2.3.4 euros",
        "under 9" + "9" * 400 + " euros",
        "€",
        "thanks a lot!",
        "",
    ],
)
def test_what_is_no_price_is_no_filter(reader: Reader, text: str):
    assert price(reader, text) is None


def test_a_later_price_replaces_an_earlier_one_and_bounds_are_replaced_apart(reader: Reader):
    assert price(reader, "under 50 euros", "in blue", "thanks") == {"lt": 50}
    assert price(reader, "under 50 euros", "under 30 euros") == {"lt": 30}
    assert price(reader, "under 50 euros", "under 30") == {"lt": 30}
    assert price(reader, "under 50 euros", "but over 20 euros") == {"lt": 50, "gt": 20}
    assert price(reader, "under 50 euros", "over 80 euros") == {"gt": 80}
    assert price(reader, "under 50 euros", "between 90 and 70 euros") == {"lt": 50}
    assert price(reader, "under 50 euros", "any price") is None
    assert price(reader, "under 50 euros", "the price doesn't matter") is None


def test_prices_are_in_the_currencies_of_the_catalogue():
    dollars = Reader.of(garments(currency=None, price="${}"))
    assert price(dollars, "under $50") == {"lt": 50}
    assert price(dollars, "under 50 euros") is None
    won = Reader.of(garments(currency="KRW", price="{}000"))
    assert price(won, "5만원 이하로 보여 주세요") == {"lte": 50_000}
    assert price(won, "50,000원 미만") == {"lt": 50_000}
    untold = Reader.of(garments(currency=None))
    assert price(untold, "under 50 euros") == {"lt": 50}


def test_a_catalogue_without_prices_has_no_price_to_ask_for():
    assert Reader.of(drawings()).filters([Said("a coat under 50 euros, between 20 and 40")]) == {}
