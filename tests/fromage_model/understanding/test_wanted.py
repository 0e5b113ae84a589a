"""What things are described by is preferred and is no filter; another kind of things begins anew."""

import pytest

from fromage_model.understanding import Reader, Said
from fromage_model.understanding.kinds import stem
from tests.fromage_model.understanding.shops import garments, table_of

KIND, COLOUR, PATTERN, MATERIAL = "attributes.kind", "attributes.colour", "attributes.pattern", "attributes.material"


@pytest.fixture(scope="module")
def reader() -> Reader:
    return Reader.of(garments())


def preferred(reader: Reader, *texts: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for cells in reader.read([Said(text) for text in texts]).preferred:
        for column, wanted in cells.items():
            found[column] = set(wanted)
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a red dress", {KIND: {"dress"}, COLOUR: {"red"}}),
        ("dresses?", {KIND: {"dress"}}),
        ("Scarves, striped ones", {KIND: {"scarf"}, PATTERN: {"striped"}}),
        ("a jacket against the rain", {KIND: {"rain jacket"}}),
        ("have you got an anorak", {KIND: {"rain jacket"}}),
        ("stripes and red or blue", {PATTERN: {"striped"}, COLOUR: {"red", "blue"}}),
        ("rose gold boots", {KIND: {"boots"}, COLOUR: {"rose gold"}}),
        ("a woolly coat", {KIND: {"coat"}, MATERIAL: {"wool"}}),
        ("dark blue", {COLOUR: {"navy", "blue"}}),
        ("something to go with my black coat", {}),
        ("I don't want a dress", {}),
        ("no stripes please", {}),
        ("what time is it?", {}),
    ],
)
def test_what_a_thing_is_described_by_is_preferred(reader: Reader, text: str, found: dict[str, set[str]]):
    assert preferred(reader, text) == found


def test_a_filter_s_column_is_not_preferred_beside():
    reader = Reader.of(garments())
    read = reader.read([Said("a coat in red")])
    assert read.filters == {COLOUR: "red"}
    assert [set(cells) for cells in read.preferred] == [{KIND}]


def test_what_was_described_before_still_holds_until_it_is_said_anew(reader: Reader):
    assert preferred(reader, "a red dress", "striped") == {KIND: {"dress"}, COLOUR: {"red"}, PATTERN: {"striped"}}
    assert preferred(reader, "a red dress", "blue would be nicer") == {KIND: {"dress"}, COLOUR: {"blue"}}


def test_another_kind_of_things_begins_anew_but_for_price_and_brand(reader: Reader):
    said = [Said("a coat from Norden under 80 euros"), Said("in red wool"), Said("and a scarf to go with it?")]
    assert reader.filters(said[:2]).keys() == {"brand", "attributes.price", COLOUR, MATERIAL}
    assert reader.filters(said).keys() == {"brand", "attributes.price"}
    assert preferred(reader, "a red coat", "striped boots?") == {KIND: {"boots"}, PATTERN: {"striped"}}


def test_the_same_in_another_kind_goes_on(reader: Reader):
    assert reader.filters([Said("a coat in red"), Said("a scarf instead")]) == {COLOUR: "red"}
    assert reader.filters([Said("coats in red"), Said("another coat")]) == {COLOUR: "red"}


def test_cuts_count_where_their_words_mean_nothing_else():
    rows = [
        {"kind": "jeans", "leg": "wide-leg", "length": "cropped"},
        {"kind": "skirt", "leg": "", "length": "long"},
        {"kind": "heels", "heel": "block heel", "length": "long"},
    ]
    reader = Reader.of(table_of({"caption": "x", "attributes": row} for row in rows * 3))
    assert preferred(reader, "shoes with a block heel") == {"attributes.heel": {"block heel"}}
    assert preferred(reader, "cropped jeans") == {"attributes.length": {"cropped"}, KIND: {"jeans"}}
    assert preferred(reader, "a long day") == {}
    assert preferred(reader, "of a long length")["attributes.length"] == {"long"}


@pytest.mark.parametrize(
    ("one", "several"),
    [
        ("dress", "dresses"),
        ("scarf", "scarves"),
        ("tie", "ties"),
        ("hoodie", "hoodies"),
        ("watch", "watches"),
        ("glove", "gloves"),
        ("shoe", "shoes"),
        ("blouse", "blouses"),
        ("body", "bodies"),
    ],
)
def test_one_and_several_have_one_stem(one: str, several: str):
    assert stem(one) == stem(several)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a roll neck", {"neckline": {"turtleneck"}}),
        ("off the shoulder, please", {"neckline": {"off-shoulder"}}),
        ("gold hoop earrings", {"style": {"hoops"}}),
        ("a short-sleeved one", {"sleeves": {"short"}}),
        ("long-sleeve", {"sleeves": {"long"}}),
        ("wide-legged", {"leg": {"wide-leg"}}),
        ("bell-bottoms, baby!", {"leg": {"flared"}}),
        ("on stilettos", {"heel": {"stiletto heel"}}),
        ("block-heeled", {"heel": {"block heel"}}),
        ("boots without a heel", {"heel": {"flat"}}),
        ("down to the ground", {"length": {"maxi"}}),
        ("both hands on the bars", {}),
        ("back on the court", {}),
        ("not a roll neck", {}),
        ("it fell flat", {}),
        ("a long day, a short night", {}),
    ],
)
def test_cuts_are_called_by_other_names_too(text: str, found: dict[str, set[str]]):
    rows = [
        {"neckline": "turtleneck", "sleeves": "long", "leg": "wide-leg", "heel": "flat", "length": "maxi"},
        {"neckline": "off-shoulder", "sleeves": "short", "leg": "flared", "heel": "block heel", "length": "mini"},
        {"style": "hoops", "heel": "stiletto heel", "worn_on": "hands", "!": "odd"},
        {"style": "studs", "worn_on": "back", "!": "even"},
    ]
    reader = Reader.of(table_of({"caption": "x", "attributes": row} for row in rows * 3))
    assert preferred(reader, text) == {f"attributes.{name}": cells for name, cells in found.items()}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("one with a belt", {"details": {"belt", "belt, hood"}}),
        ("with a belt and boots", {"details": {"belt", "belt, hood"}, "kind": {"boots"}}),
        ("belts", {"kind": {"belt"}}),
        ("with hood", {"details": {"hood", "belt, hood"}}),
        ("with the hood colour of my car", {}),
        ("short ones", {}),
        ("shorts", {"kind": {"shorts"}}),
        ("a bow on top", {}),
        ("tops", {"section": {"tops"}}),
        ("forget belts. Let me see shorts", {"kind": {"shorts"}}),
        ("hm no. shorts instead", {"kind": {"shorts"}}),
        ("no, shorts", {"kind": {"shorts"}}),
        ("no shorts", {}),
        ("a two piece", {"kind": {"two-piece"}}),
    ],
)
def test_kinds_and_details_are_told_apart(text: str, found: dict[str, set[str]]):
    rows = [
        {"kind": "belt", "section": "accessories", "details": "hood"},
        {"kind": "shorts", "section": "trousers", "details": "belt"},
        {"kind": "two-piece", "section": "tops", "details": "belt, hood"},
        {"kind": "boots", "section": "shoes"},
    ]
    reader = Reader.of(table_of({"caption": "x", "attributes": row} for row in rows * 3))
    assert preferred(reader, text) == {f"attributes.{name}": cells for name, cells in found.items()}


def test_a_kind_within_another_column_s_is_not_another():
    rows = [
        {"kind": "cardigan", "section": "knitwear", "colour": "teal"},
        {"kind": "boots", "section": "shoes", "colour": "red"},
    ]
    reader = Reader.of(table_of({"caption": "x", "attributes": row} for row in rows * 4))
    assert reader.filters([Said("knitwear in teal"), Said("a cardigan")]) == {COLOUR: "teal"}
    assert reader.filters([Said("knitwear in teal"), Said("boots")]) == {}
    assert reader.filters([Said("knitwear in teal"), Said("shoes")]) == {}
    assert reader.filters([Said("knitwear in teal"), Said("and something for my feet")]) == {}
