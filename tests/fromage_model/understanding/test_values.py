"""Brands and attributes said in words become filters; the same words in another sense do not."""

from typing import Any

import pytest

from fromage_model.understanding import Reader, Said
from tests.fromage_model.understanding.shops import drawings, garments, table_of

COLOUR, MATERIAL, SIZE = "attributes.colour", "attributes.material", "attributes.size"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.of(garments())


def filters(reader: Reader, *texts: str) -> dict[str, Any]:
    return reader.filters([Said(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("coats from Norden", {"brand": "Norden"}),
        ("do you have anything from norden?", {"brand": "Norden"}),
        ("anything by maison aurelle?", {"brand": "Maison Aurelle"}),
        ("from Fjell and Fell or Bluebark", {"brand": ["Fjell & Fell", "Bluebark"]}),
        ("a dress from Next", {"brand": "Next"}),
        ("nothing from Norden", {"brand": {"not": "Norden"}}),
        ("brand: Plain Goods", {"brand": "Plain Goods"}),
        ("Norden 제품 보여 주세요", {"brand": "Norden"}),
        ("in wool", {MATERIAL: "wool"}),
        ("in size-free wool", {MATERIAL: "wool"}),
        ("a coat in soft wool or cashmere, please", {MATERIAL: ["wool", "cashmere"]}),
        ("made of patent leather", {MATERIAL: "patent leather"}),
        ("boots in real leather", {MATERIAL: "leather"}),
        ("leather-free boots", {MATERIAL: {"not": "leather"}}),
        ("no leather or silk", {MATERIAL: {"not": ["leather", "silk"]}}),
        ("not black", {COLOUR: {"not": "black"}}),
        ("Something nice, but no black please", {COLOUR: {"not": "black"}}),
        ("anything but black", {COLOUR: {"not": "black"}}),
        ("I don't like gray", {COLOUR: {"not": "grey"}}),
        ("I'd like a scarf in black", {COLOUR: "black"}),
        ("in navy blue", {COLOUR: "navy"}),
        ("in red, blue or green", {COLOUR: ["red", "blue", "green"]}),
        ("a gift for my wife in blue", {COLOUR: "blue"}),
        ("in black wool", {COLOUR: "black", MATERIAL: "wool"}),
        ("size M", {SIZE: "M"}),
        ("boots in size 42", {SIZE: "42"}),
        ("colour: blue", {COLOUR: "blue"}),
    ],
)
def test_values_of_the_catalogue_become_filters(reader: Reader, text: str, found: dict[str, Any]):
    assert filters(reader, text) == found


# Written after the rules, and not used to write them.
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Got any scarves by Bluebark?", {"brand": "Bluebark"}),
        ("Same thing but from Plain Goods", {"brand": "Plain Goods"}),
        ("could I see it in green instead?", {COLOUR: "green"}),
        ("I'm looking for gloves made out of cashmere", {MATERIAL: "cashmere"}),
        ("a pair of boots, not leather", {MATERIAL: {"not": "leather"}}),
        ("without wool if possible", {MATERIAL: {"not": "wool"}}),
        ("not in white", {COLOUR: {"not": "white"}}),
        ("a coat for the office in grey or navy", {COLOUR: ["grey", "navy"]}),
    ],
)
def test_wordings_that_the_rules_were_not_written_by_are_read_too(reader: Reader, text: str, found: dict[str, Any]):
    assert filters(reader, text) == found


@pytest.mark.parametrize(
    "text",
    [
        "a red dress for a wedding",
        "I look good in black jeans",
        "a scarf that goes with a coat in navy",
        "I have a dress in red",
        "my favourite colour is blue",
        "in faux leather",
        "in blue or something similar",
        "in turquoise",
        "from Bottega",
        "from next week on I need a coat",
        "I'm from Norden",
        "why not black?",
        "not only black",
        "a black tie event",
        "how do I get a stain out of cotton?",
        "how can I tell real leather from fake?",
        "not plain black, something wild",
        "explain it in plain English",
        "what is the capital of Norway?",
        "something for the office",
        "wedding",
        "in",
        "not",
        "from",
        "any",
        "size",
    ],
)
def test_other_words_and_other_senses_are_no_filters(reader: Reader, text: str):
    assert filters(reader, text) == {}


def test_what_is_said_later_replaces_what_was_said_of_the_same_column(reader: Reader):
    assert filters(reader, "dresses", "in blue", "from Norden") == {COLOUR: "blue", "brand": "Norden"}
    assert filters(reader, "in blue", "in red") == {COLOUR: "red"}
    assert filters(reader, "not black", "not navy") == {COLOUR: {"not": ["black", "navy"]}}
    assert filters(reader, "not black", "in black") == {COLOUR: "black"}
    assert filters(reader, "in blue or red", "not red") == {COLOUR: "blue"}
    assert filters(reader, "in blue", "not blue") == {COLOUR: {"not": "blue"}}
    assert filters(reader, "from Norden", "any brand") == {}
    assert filters(reader, "in blue", "the colour doesn't matter") == {}


def test_another_value_that_is_no_filter_ends_the_filter_of_its_column(reader: Reader):
    assert filters(reader, "boots in black from Norden", "a red dress for a wedding") == {"brand": "Norden"}
    assert filters(reader, "in black", "a black dress") == {COLOUR: "black"}
    assert filters(reader, "in black", "not red") == {COLOUR: "black"}
    assert filters(reader, "in black", "to go with my red coat") == {
        COLOUR: "black",
        "attributes.kind": {"not": "coat"},
    }
    assert filters(reader, "not black", "a red dress") == {COLOUR: {"not": "black"}}


def test_filters_that_a_reply_brought_stand_for_all_that_was_said_before(reader: Reader):
    said = [Said("in blue from Norden"), Said(filters={"brand": "Norden"}), Said("under 50 euros")]
    assert reader.filters(said) == {"brand": "Norden", "attributes.price": {"lt": 50}}
    assert reader.filters([*said[:1], Said(filters={})]) == {}
    assert reader.filters([Said(filters={COLOUR: {"not": ["black"]}}), Said("not red")]) == {
        COLOUR: {"not": ["black", "red"]}
    }


def test_what_was_said_last_stands_last(reader: Reader):
    assert list(filters(reader, "in blue from Norden", "under 50 euros", "in red")) == [
        "brand",
        "attributes.price",
        COLOUR,
    ]


def test_tags_and_columns_of_other_names_are_left_to_the_embedding(reader: Reader):
    assert not any("tags" in column for column in reader.vocabulary.columns.values())
    assert filters(Reader.of(drawings()), "in clothing, not objects, from people-body") == {}


def test_each_part_of_a_list_is_a_value_of_all_cells_that_hold_it(reader: Reader):
    assert filters(reader, "occasions: wedding") == {"attributes.occasions": "wedding, party"}
    assert filters(reader, "occasions: party") == {"attributes.occasions": ["office, party", "wedding, party"]}
    colours = table_of({"attributes": {"colour": cell}} for cell in ("red, blue", "blue, green") * 4)
    assert filters(Reader.of(colours), "in blue") == {}


@pytest.mark.parametrize("column", ["Color", "color", "main_colour", "색상"])
def test_columns_are_known_by_their_usual_names(column: str):
    shop = table_of({"attributes": {column: colour}} for colour in ("Teal", "Ochre", "Teal", "ochre"))
    assert filters(Reader.of(shop), "in ochre") == {f"attributes.{column}": ["Ochre", "ochre"]}


def test_an_empty_catalogue_is_no_error():
    assert Reader.of(garments().slice(0, 0)).read([Said("in blue under 50 euros, Norden")]).filters == {}
