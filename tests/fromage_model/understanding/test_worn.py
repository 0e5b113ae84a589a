"""A part of somebody's body says what is looked for, where a catalogue tells where things are worn."""

import hashlib

import pytest

from fromage_model.understanding import Reader, Said
from tests.fromage_model.understanding.shops import table_of

WORN = "attributes.worn_on"
PLACES = {
    "socks": "feet",
    "gloves": "hands",
    "beanie": "head and ears",
    "cap": "head",
    "earrings": "ears",
    "clutch": "in the hand",
    "dress": "whole body",
}


@pytest.fixture(scope="module")
def dressed() -> Reader:
    rows = [
        {"caption": f"{colour} {kind}", "attributes": {"kind": kind, "worn_on": place, "colour": colour}}
        for kind, place in PLACES.items()
        for colour in ("black", "red", "grey")
    ]
    return Reader.of(table_of(rows))


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("something warm for my feet", ("feet",)),
        ("nothing keeps my toes warm", ("feet",)),
        ("it should keep your hands warm", ("hands",)),
        ("anything to put on the head", ("head and ears", "head")),
        ("I need something for my poor ears", ("head and ears", "ears")),
        ("for my hands and for my feet", ("hands", "feet")),
    ],
)
def test_where_a_thing_is_to_be_worn_is_described_by_the_part_of_the_body(
    dressed: Reader, text: str, places: tuple[str, ...]
):
    assert dressed.read([Said(text)]).preferred == ({WORN: places},)


@pytest.mark.parametrize(
    "text",
    [
        "a head start",
        "it is handmade",
        "hands down the best",
        "on the one hand",
        "a foot",
        "it goes over my head",
        "my legs look pasty",
    ],
)
def test_a_part_of_nobodys_body_is_not_where_a_thing_is_worn(dressed: Reader, text: str):
    assert dressed.read([Said(text)]).preferred == ()


def test_another_part_of_the_body_is_another_thing(dressed: Reader):
    socks, gloves = (hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in (0, 3))
    understood = dressed.read([Said("red socks"), Said(shown=(socks,)), Said("and for my hands?")])
    assert (understood.preferred, understood.topic) == (({WORN: ("hands",)},), ())
    same = dressed.read([Said("something for my hands"), Said(shown=(gloves,)), Said("in red, for my hands")])
    assert same.topic == (gloves,)
    later = dressed.read([Said("something for my hands"), Said(shown=(gloves,)), Said("a dress")])
    assert later.preferred == ({"attributes.kind": ("dress",)},)
