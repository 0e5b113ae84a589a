"""The embedded catalogue as `make prepare` makes it: sizes, siblings and the split that figures are reported on."""

from collections import Counter, defaultdict

import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.vision.images import decode_image


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.open("openmoji")


def test_it_holds_each_drawing_once(catalogue):
    assert len(catalogue) == 2186
    items = catalogue.items()
    assert len({item.id for item in items}) == len({item.item_url for item in items}) == 2186
    assert sum(item.attributes["subgroup"] == "clothing" for item in items) == 47
    assert catalogue.info["counts"]["failed"] == 0
    assert "CC BY-SA 4.0" in catalogue.info["attribution"]


def test_pictures_are_rasterised_on_white(catalogue):
    dress = next(item for item in catalogue.items() if item.caption == "dress")
    picture = decode_image(catalogue.image_bytes(dress.id))
    assert picture.size == (224, 224)
    assert picture.getpixel((0, 0)) == (255, 255, 255)


def test_no_group_straddles_the_split(catalogue):
    splits = defaultdict(set)
    for item in catalogue.items():
        splits[item.group].add(item.split)
    assert all(len(of_group) == 1 for of_group in splits.values())


def test_at_least_300_items_are_held_out_in_many_groups(catalogue):
    held_out = catalogue.items("held-out")
    assert 300 <= len(held_out) < 330
    assert len({item.group for item in held_out}) > 100


def test_no_group_swallows_the_catalogue(catalogue):
    sizes = Counter(item.group for item in catalogue.items())
    assert len(sizes) > 1300
    assert max(sizes.values()) < 80


def test_the_same_picture_or_name_never_stands_on_both_sides(catalogue):
    for what in ("image_sha256", "caption"):
        splits = defaultdict(set)
        for item in catalogue.items():
            splits[getattr(item, what).lower()].add(item.split)
        assert [value for value, of_value in splits.items() if len(of_value) > 1] == []


@pytest.mark.parametrize("role", ["judge", "pilot", "teacher", "student", "golfing", "vampire", "astronaut"])
def test_person_man_and_woman_of_a_role_share_a_group(catalogue, role):
    groups = {item.group for item in catalogue.items() if item.caption.split()[-1] == role}
    assert len(groups) == 1
