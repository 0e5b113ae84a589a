"""Kinds of things that a conversation turns down are left out, until they are asked for again."""

import hashlib
from typing import Any

import pytest

from fromage_model.understanding import Reader, Said
from tests.fromage_model.understanding.shops import garments, table_of

KIND, DEPARTMENT = "attributes.kind", "attributes.department"
SHELVES = {
    "suit": "tailoring",
    "blazer": "tailoring",
    "jeans": "trousers",
    "shorts": "trousers",
    "necklace": "jewellery",
    "ring": "jewellery",
    "boots": "shoes",
    "sandals": "shoes",
}


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.of(garments())


@pytest.fixture(scope="module")
def departments() -> Reader:
    rows = [
        {"caption": f"{colour} {kind}", "attributes": {"kind": kind, "department": shelf, "colour": colour}}
        for kind, shelf in SHELVES.items()
        for colour in ("black", "grey", "brown")
    ]
    return Reader.of(table_of(rows))


def filters(reader: Reader, *texts: str) -> dict[str, Any]:
    return reader.filters([Said(text) for text in texts])


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("no scarf please", "scarf"),
        ("Something for my sister, no scarves", "scarf"),
        ("anything but dresses", "dress"),
        ("I don't want a dress", "dress"),
        ("don't show me coats or boots", ["coat", "boots"]),
        ("everything except boots", "boots"),
        ("not a fan of scarves", "scarf"),
        ("I'm tired of boots", "boots"),
        ("no more coats", "coat"),
        ("my feet are cold, no boots though", "boots"),
    ],
)
def test_a_kind_that_is_turned_down_is_left_out(reader: Reader, text: str, kinds: Any):
    assert filters(reader, text) == {KIND: {"not": kinds}}


@pytest.mark.parametrize(
    "text",
    [
        "I have no boots for the wedding",
        "I've got no coat yet",
        "there's no dress code",
        "a coat without a scarf",
        "a coat with no scarf",
        "I don't like the dress",
        "no. boots",
        "no, a scarf",
        "why no boots?",
        "do you have no boots?",
        "no",
        "not",
        "anything but",
        "I hate",
    ],
)
def test_what_turns_no_kind_down_leaves_none_out(reader: Reader, text: str):
    assert KIND not in filters(reader, text)


def test_another_kind_in_the_same_breath_is_what_is_wanted(reader: Reader):
    for text in ("not boots but a scarf", "I don't want boots, I want a scarf", "forget boots, a scarf"):
        understood = reader.read([Said(text)])
        assert understood.filters == {KIND: {"not": "boots"}}
        assert (understood.kind, understood.preferred) == ({KIND: ("scarf",)}, ({KIND: ("scarf",)},))


def test_a_kind_that_is_asked_for_again_is_left_out_no_longer(departments: Reader):
    assert filters(departments, "no jewellery") == {DEPARTMENT: {"not": "jewellery"}}
    assert filters(departments, "no jewellery", "in black") == {
        DEPARTMENT: {"not": "jewellery"},
        "attributes.colour": "black",
    }
    assert filters(departments, "no jewellery", "well, show me necklaces") == {}
    assert filters(departments, "no rings or boots", "show me a ring") == {KIND: {"not": "boots"}}
    assert filters(departments, "no rings", "show me boots") == {KIND: {"not": "ring"}}


def test_what_was_shown_is_no_topic_once_it_is_turned_down(departments: Reader):
    number = 3 * list(SHELVES).index("ring")
    ring = hashlib.sha256(str(number).encode()).hexdigest()[:32]
    said = [Said("something black"), Said(shown=(ring,))]
    assert departments.read([*said, Said("in grey")]).topic == (ring,)
    for text in ("no rings", "no jewellery", "what goes with a ring?"):
        assert departments.read([*said, Said(text)]).topic == ()
    assert departments.read([*said, Said("no boots")]).topic == (ring,)


@pytest.mark.parametrize(
    ("text", "kind", "department"),
    [
        ("what goes with a grey suit?", "suit", "tailoring"),
        ("What can I wear with black jeans", "jeans", "trousers"),
        ("something to match my boots", "boots", "shoes"),
        ("what would look nice with brown sandals?", "sandals", "shoes"),
    ],
)
def test_what_goes_with_a_thing_is_none_of_its_kind_or_department(
    departments: Reader, text: str, kind: str, department: str
):
    understood = departments.read([Said(text)])
    assert understood.filters == {KIND: {"not": kind}, DEPARTMENT: {"not": department}}
    assert (understood.kind, understood.preferred) == ({}, ())


def test_a_kind_that_is_to_go_with_another_is_asked_for_as_ever(departments: Reader):
    for text in ("boots to go with a grey suit", "which boots match my suit?", "boots that look good with jeans"):
        assert filters(departments, text) == {}
        assert departments.read([Said(text)]).kind == {KIND: ("boots",)}


def test_a_question_about_what_was_wanted_ends_what_it_was_wanted_to_look_like(departments: Reader):
    understood = departments.read([Said("a suit in grey"), Said("what goes with a suit?")])
    assert understood.filters == {KIND: {"not": "suit"}, DEPARTMENT: {"not": "tailoring"}}
    assert understood.preferred == ()


def test_a_value_that_somebody_cannot_have_is_left_out(reader: Reader):
    for text in ("I'm allergic to wool", "he can't wear wool, any coats?", "any material but wool", "I hate wool"):
        understood = reader.read([Said(text)])
        assert understood.filters == {"attributes.material": {"not": "wool"}}
        assert all("attributes.material" not in cells for cells in understood.preferred)
