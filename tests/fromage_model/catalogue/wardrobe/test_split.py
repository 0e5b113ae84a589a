"""What is held out of training: combinations whose parts are all known, and whole kinds; the seed decides."""

from itertools import islice

import pytest

from fromage_model.catalogue.assemble import Picture, assemble
from fromage_model.catalogue.schema import HELD_OUT
from fromage_model.catalogue.wardrobe.choose import kinds, looks
from fromage_model.catalogue.wardrobe.feed import read_wardrobe
from fromage_model.catalogue.wardrobe.split import BY_COMBINATION, BY_KIND, HELD_KINDS, held_kinds, held_out_by


@pytest.fixture(scope="module")
def many():
    return list(islice(looks(0), 4000))


def test_a_held_out_combination_is_never_trained_on_but_each_of_its_parts_is(many):
    trained = [one for one in many if held_out_by(one, 0) is None]
    held = [one for one in many if held_out_by(one, 0) == BY_COMBINATION]
    assert not {(one.kind, one.colour, one.pattern) for one in held} & {
        (one.kind, one.colour, one.pattern) for one in trained
    }
    for part in ("kind", "colour", "pattern"):
        assert {getattr(one, part) for one in held} <= {getattr(one, part) for one in trained}
    assert 0.07 < len(held) / len(many) < 0.18


def test_a_held_out_kind_is_never_trained_on_and_everyday_kinds_are_not_among_them(many):
    away = held_kinds(0)
    assert len(away) == HELD_KINDS
    assert {one.kind for one in many if held_out_by(one, 0) == BY_KIND} == away
    assert not away & {one.kind for one in many if held_out_by(one, 0) is None}
    assert not away & {"dress", "t-shirt", "trousers", "coat", "sneakers", "shirt"}


def test_the_seed_decides_and_nothing_else():
    assert held_kinds(0) == held_kinds(0)
    assert len({held_kinds(seed) for seed in range(8)}) > 4
    assert all(held_kinds(seed) < kinds().keys() for seed in range(8))


@pytest.mark.parametrize("asked", [None, 0, 100])
def test_the_catalogue_holds_out_what_the_wardrobe_names_and_more_if_asked(asked):
    feed = read_wardrobe(items=200, seed=0)
    pictures = [Picture(row.row, f"images/{row.row}.png", f"{row.row:032x}{0:032x}") for row in feed.rows]
    table = assemble(feed, pictures, held_out=asked).table
    named = {row.group for row in feed.rows if "held_out_by" in row.attributes}
    found = {
        group
        for group, split in zip(table["group"].to_pylist(), table["split"].to_pylist(), strict=True)
        if split == HELD_OUT
    }
    assert named
    assert (found == named) if asked != 100 else found > named
    if asked == 100:
        assert table["split"].to_pylist().count(HELD_OUT) >= 100
