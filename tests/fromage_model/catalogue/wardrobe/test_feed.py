"""The wardrobe as a feed: the same for the same seed, every kind, colour and pattern in it, and words that are true."""

import hashlib
import os
import subprocess
import sys
from collections import Counter
from itertools import islice

import pytest

from fromage_model.catalogue.wardrobe.choose import allowed_patterns, goes_together, kinds, looks
from fromage_model.catalogue.wardrobe.draw.cloth import PLAIN
from fromage_model.catalogue.wardrobe.feed import MAX_ITEMS, read_wardrobe
from fromage_model.catalogue.wardrobe.look import data
from fromage_model.errors import ConfigError

SOME = 160


@pytest.fixture(scope="module")
def feed():
    return read_wardrobe(items=SOME, seed=0)


@pytest.fixture(scope="module")
def many():
    return list(islice(looks(0), 4000))


def test_the_same_seed_gives_the_same_rows_byte_for_byte_and_another_gives_others(feed):
    again = read_wardrobe(items=SOME, seed=0)
    assert [vars_of(row) for row in again.rows] == [vars_of(row) for row in feed.rows]
    assert (again.sha256, again.held_out) == (feed.sha256, feed.held_out)
    other = read_wardrobe(items=SOME, seed=1)
    assert other.sha256 != feed.sha256
    assert [row.svg for row in other.rows] != [row.svg for row in feed.rows]


def test_the_first_garments_are_the_same_however_many_are_asked_for(feed):
    fewer = read_wardrobe(items=20, seed=0)
    assert [vars_of(row) for row in fewer.rows] == [vars_of(row) for row in feed.rows[:20]]
    assert fewer.sha256 != feed.sha256


def test_another_process_with_another_hash_seed_draws_the_same_bytes(feed):
    program = (
        "import hashlib; from fromage_model.catalogue.wardrobe.feed import read_wardrobe; "
        "print(hashlib.sha256(b''.join(row.svg for row in read_wardrobe(items=12, seed=0).rows)).hexdigest())"
    )
    for hash_seed in ("1", "2"):
        env = os.environ | {"PYTHONHASHSEED": hash_seed}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
        assert done.stdout.strip() == hashlib.sha256(b"".join(row.svg for row in feed.rows[:12])).hexdigest()


def test_no_two_garments_are_alike(feed, many):
    assert len({row.svg for row in feed.rows}) == SOME
    seen = {
        (one.kind, *one.cut.items(), one.colour, one.second, one.pattern, one.material, one.details) for one in many
    }
    assert len(seen) == len(many) == 4000


def test_every_kind_colour_pattern_and_material_occurs(many):
    assert len(kinds()) >= 40
    assert {one.kind for one in many} == kinds().keys()
    cloth = data("cloth")
    assert len(cloth["colours"]) == 16
    assert {one.colour for one in many} == cloth["colours"].keys() | cloth["metals"].keys()
    assert {one.pattern for one in many} - {PLAIN} == {name for names in cloth["patterns"].values() for name in names}
    assert {one.material for one in many} == cloth["materials"].keys()
    for choice in ("sleeves", "neckline", "length", "fit", "heel", "leg"):
        asked = {option for kind in kinds().values() for option in kind["cut"].get(choice, ())}
        assert {one.cut[choice] for one in many if choice in one.cut} == asked


def test_no_colour_is_rare_and_half_of_the_things_are_plain(many):
    colours = Counter(one.colour for one in many if one.colour in data("cloth")["colours"])
    assert min(colours.values()) * 1.5 > max(colours.values())
    assert 0.45 < sum(one.pattern == PLAIN for one in many) / len(many) < 0.65


def test_what_goes_together_is_realistic(many):
    for one in many:
        kind = kinds()[one.kind]
        assert one.material in kind["materials"]
        assert one.pattern == PLAIN or one.pattern in allowed_patterns(kind, one.material)
        assert goes_together(kind, one)
        assert one.second != one.colour
        assert (one.colour in data("cloth")["metals"]) == (one.material == "metal")
    knitted = {"fine knit", "chunky knit", "cable knit", "rib knit", "cashmere"}
    never_knitted = {"sunglasses", "heels", "umbrella", "watch", "ring", "raincoat", "suit", "jeans", "belt", "handbag"}
    assert not [one for one in many if one.kind in never_knitted and one.material in knitted]
    assert {one.material for one in many if one.kind == "jeans"} == {"denim"}
    assert {one.kind for one in many if one.material == "straw"} <= {"sun hat", "fedora"}


def test_an_item_says_what_it_is_what_it_costs_and_what_it_is_for(feed):
    for row in feed.rows:
        said = row.attributes
        for name in (
            "title",
            "kind",
            "section",
            "colour",
            "pattern",
            "material",
            "season",
            "occasions",
            "worn_on",
            "description",
            "tags",
        ):
            assert said[name]
        assert 1 < float(said["price"]) < 1500
        assert said["currency"] == "EUR"
        assert row.brand in data("shop")["brands"]
        assert row.brand in said["description"]
        assert row.item_url is None
        assert len(row.captions) >= 2
        assert row.captions[0] == row.caption
        assert set(kinds()[said["kind"]]["cut"]) <= set(said)
    by_kind = {row.attributes["kind"]: float(row.attributes["price"]) for row in feed.rows}
    assert by_kind["suit"] > by_kind["socks"]


def test_captions_name_the_kind_and_the_colour_and_read_well(feed):
    cloth = data("cloth")
    for row in feed.rows:
        kind, colour = row.attributes["kind"], row.attributes["colour"]
        known = (cloth["colours"].get(colour) or cloth["metals"][colour])["said"]
        for caption in row.captions:
            assert any(word in caption for word in kinds()[kind]["words"]), caption
            assert any(word in caption for word in (colour, *known)), caption
            for fault in ("  ", " ,", ",,", "None", "{", "with with", " a a", "a an ", "with,", " in,", " in with"):
                assert fault not in caption, caption
            assert not caption.endswith((" with", ",", " in", " of")), caption
    assert len({row.caption for row in feed.rows}) > SOME * 0.95


@pytest.mark.parametrize(
    ("items", "seed", "told"), [(0, 0, "items: expected 1 to"), (MAX_ITEMS + 1, 0, "items"), (5, -1, "seed: expected")]
)
def test_what_cannot_be_drawn_is_refused(items, seed, told):
    with pytest.raises(ConfigError, match=told):
        read_wardrobe(items=items, seed=seed)


def vars_of(row) -> tuple:
    return (row.row, row.image, row.captions, row.brand, row.attributes, row.group, row.svg)
