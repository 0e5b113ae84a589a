"""What was shown is what a conversation goes on about, until it turns to another kind of things."""

import pytest

from fromage_model.understanding import Reader, Said
from fromage_model.understanding.others import goes_with
from fromage_model.understanding.words import words_of
from tests.fromage_model.understanding.shops import drawings, garments, table_of

COATS = ("1", "6")


@pytest.fixture(scope="module")
def reader() -> Reader:
    kinds = ("dress", "coat", "scarf", "boots", "rain jacket")
    rows = [
        {"id": str(n), "caption": "x", "attributes": {"kind": kinds[n % 5], "colour": ("red", "blue")[n % 2]}}
        for n in range(60)
    ]
    return Reader.of(table_of(rows))


def topic(reader: Reader, *said: str | tuple[str, ...]) -> tuple[str, ...]:
    return reader.read([Said(one) if isinstance(one, str) else Said(shown=one) for one in said]).topic


@pytest.mark.parametrize(
    "text",
    ["in blue", "what else?", "not these", "another coat", "something warmer", "for a wedding", "hm", "a red one"],
)
def test_who_goes_on_speaks_of_what_was_shown(reader: Reader, text: str):
    assert topic(reader, "something warm", COATS, text) == COATS


@pytest.mark.parametrize(
    "text",
    [
        "and a scarf?",
        "boots instead",
        "a rain jacket, then",
        "something to go with it",
        "what could I wear with these?",
        "to match them",
        "would go well with those",
    ],
)
def test_another_kind_of_things_or_what_goes_with_them_is_another_topic(reader: Reader, text: str):
    assert topic(reader, "something warm", COATS, text) == ()


def test_a_topic_that_was_left_does_not_come_back(reader: Reader):
    assert topic(reader, "coats", COATS, "and a scarf?", (), "in blue") == ()
    assert topic(reader, "coats", COATS, "and a scarf?", ("2",), "in blue") == ("2",)


def test_the_last_reply_with_products_counts(reader: Reader):
    assert topic(reader, "coats", COATS, "in blue", ("11",), "thanks!", (), "a longer one") == ("11",)
    assert topic(reader, "coats") == topic(reader) == ()


def test_of_a_reply_with_filters_too(reader: Reader):
    said = [Said("coats"), Said(filters={}, shown=COATS), Said("in blue")]
    assert reader.read(said).topic == COATS


def test_a_catalogue_without_kinds_can_not_tell_topics_apart():
    without = Reader.of(drawings())
    ids = tuple(drawings().column("id").to_pylist()[:2])
    assert topic(without, "a coat", ids, "another") == ()


def test_items_that_are_no_longer_there_end_no_topic(reader: Reader):
    assert topic(reader, "coats", ("gone",), "in blue") == ("gone",)


@pytest.mark.parametrize("text", ["I wear it with pride", "with long sleeves", "a match", "go", "", "matching"])
def test_what_goes_with_nothing_that_was_shown(text: str):
    assert not goes_with(words_of(text))


def test_garments_have_kinds():
    ids = tuple(garments().column("id").to_pylist()[:1])
    assert topic(Reader.of(garments()), "a dress", ids, "in blue") == ids


def test_the_kind_that_is_wanted_is_told_by_itself(reader: Reader):
    assert reader.read([Said("a red coat")]).kind == {"attributes.kind": ("coat",)}
    assert reader.read([Said("a red coat"), Said("in blue")]).kind == {"attributes.kind": ("coat",)}
    assert reader.read([Said("something red")]).kind == {}
