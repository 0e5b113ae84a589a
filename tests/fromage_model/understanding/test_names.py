"""What a text names exactly, by id, name or brand, comes first; what it only mentions does not."""

import time
from typing import Any

import pytest

from fromage_model.understanding import Reader, Said
from tests.fromage_model.understanding.shops import drawings, garments, table_of


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.of(garments())


def titles(reader: Reader, text: str) -> set[str]:
    """Of the items that come first by id or name."""
    table = garments()
    named = [id for one in reader.named(text) for id in one.get("id", ())]
    rows = [row for row in table.to_pylist() if row["id"] in named]
    return {dict(row["attributes"])["title"] for row in rows}


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("red dress", "Red dress"),
        ("Do you have the Red Dress?", "Red dress"),
        ('Show me "Navy scarf", please.', "Navy scarf"),
        ("a red dress for a wedding", "Red dress"),
        ("rose gold boots", "Rose gold boots"),
        ("a white coat number 1", "White coat"),
    ],
)
def test_a_name_finds_its_items(reader: Reader, text: str, title: str):
    assert titles(reader, text) == {title}


@pytest.mark.parametrize("text", ["shoes to go with my red dress", "a dress", "red", "thanks", "", "?!"])
def test_what_is_mentioned_only_comes_not_first(reader: Reader, text: str):
    assert titles(reader, text) == set()


def test_a_name_of_one_word_counts_where_it_is_all_that_is_asked_for():
    reader = Reader.of(drawings())
    assert len(reader.named("Coat, please!")) == 1
    assert len(reader.named("a running shoe for the marathon")) == 1
    assert reader.named("I need a coat for the winter") == ()


@pytest.mark.parametrize("around", ["{}", "show me {} please", "item {}?", "https://shop.example/items/{}?x=1", "({})"])
def test_an_id_finds_its_item(reader: Reader, around: str):
    id = garments().column("id")[7].as_py()
    assert reader.named(around.format(id)) == ({"id": [id]},)


def test_an_id_may_hold_anything():
    reader = Reader.of(table_of([{"id": "shoes/été-50%"}, {"id": "1"}, {"id": "SKU-0815"}]))
    assert reader.named("is shoes/été-50% there?") == ({"id": ["shoes/été-50%"]},)
    assert reader.named("where is SKU-0815?") == ({"id": ["SKU-0815"]},)
    assert reader.named("I want 1 of them") == ()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Norden coats", ({"brand": ["Norden"]},)),
        ("what does plain goods sell?", ({"brand": ["Plain Goods"]},)),
        ("shoes for my Norden coat", ({"brand": ["Norden"]},)),
        ("shoes that go with my Norden coat", ()),
        ("not Norden", ()),
        ("what comes next?", ()),
        ("a dress by Next", ()),
    ],
)
def test_a_brand_comes_first_where_it_is_named(reader: Reader, text: str, first: tuple[dict[str, Any], ...]):
    assert reader.read([Said(text)]).first == first


def test_long_and_hostile_conversations_take_no_time(reader: Reader):
    hostile = ("in black " * 800, "one " * 2000, "a'" * 4000, "9" * 8000, "1," * 4000, "not any under my in " * 400)
    start_s = time.process_time()
    for text in hostile:
        reader.read([Said(text)] * 3)
    quick_s = time.process_time() - start_s
    plain_s = time.process_time()
    for _ in range(18):
        reader.read([Said("a red dress under 50 euros " * 30)])
    assert quick_s < 20 * max(0.05, time.process_time() - plain_s)
