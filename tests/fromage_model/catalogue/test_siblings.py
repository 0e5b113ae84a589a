"""Variants of one drawing share a group, and drawings that merely look alike in name do not."""

import numpy as np
import pytest
from PIL import Image

from fromage_model.catalogue.feeds.series import series_of
from fromage_model.catalogue.siblings import near_pairs, sibling_groups, thumbnail


def noise(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3072), dtype=np.uint8)


@pytest.mark.parametrize(
    ("subgroup", "names"),
    [
        ("person-sport", ["person golfing", "man golfing", "woman golfing"]),
        ("person-activity", ["woman running", "man running: facing right"]),
        ("person-role", ["judge", "woman judge"]),
        ("person", ["baby", "man: red hair", "older person", "woman: bald"]),
        ("family", ["family: man, woman, boy", "family: woman, girl, girl"]),
        ("family", ["kiss", "couple with heart: man, man"]),
        ("climate-environment", ["polar explorer", "polar explorer woman"]),
        ("time", ["twelve o\u2019clock", "ten-thirty"]),
        ("sky-weather", ["full moon", "waning crescent moon"]),
        ("hand-single-finger", ["backhand index pointing left", "index pointing up"]),
        ("arrow", ["up-left arrow", "left-right arrow"]),
        ("heart", ["red heart", "light blue heart"]),
        ("geometric", ["black medium-small square", "red square"]),
        ("regional-indicator", ["regional indicator A", "regional indicator Z"]),
        ("keycap", ["keycap: #", "keycap: 10"]),
        ("queer-symbols", ["pride", "bdsm rights"]),
        ("book-paper", ["closed book", "green book"]),
    ],
)
def test_variants_are_of_one_series(subgroup, names):
    assert len({series_of(name, subgroup=subgroup) for name in names}) == 1


@pytest.mark.parametrize(
    ("subgroup", "names"),
    [
        ("transport-ground", ["high-speed train", "bullet train"]),
        ("zodiac", ["Aries", "Taurus"]),
        ("clothing", ["man\u2019s shoe", "woman\u2019s boot", "woman\u2019s clothes", "running shoe", "t-shirt"]),
        ("heart", ["sparkling heart", "growing heart", "red heart"]),
        ("food-fruit", ["red apple", "pineapple"]),
        ("arrow", ["up arrow", "TOP arrow"]),
        ("person-role", ["judge", "teacher", "ninja"]),
        ("book-paper", ["open book", "closed book"]),
    ],
)
def test_different_drawings_are_of_different_series(subgroup, names):
    assert len({series_of(name, subgroup=subgroup) for name in names}) == len(names)


def test_a_cat_with_a_smile_is_no_sibling_of_a_smiley():
    assert series_of("grinning cat", subgroup="cat-face") != series_of("grinning face", subgroup="face-smiling")


def test_a_series_of_the_table_takes_in_no_drawing_that_merely_has_its_name():
    assert series_of("apple", subgroup="brand") != series_of("red apple", subgroup="food-fruit")


def test_a_name_that_is_nothing_but_a_variant_stays_itself():
    assert series_of("people", subgroup="people") == "people"


def test_siblings_of_siblings_are_siblings():
    pictures = noise(4)
    pictures[2] = pictures[1]
    groups = sibling_groups(["a", "b", "c", "d"], ["x", "x", "y", "z"], pictures)
    assert groups == ["x", "x", "x", "z"]


def test_drawings_with_the_same_name_are_siblings():
    assert sibling_groups(["Brain", "brain "], ["one", "two"], noise(2)) == ["one", "one"]


def test_groups_do_not_depend_on_the_order_of_rows():
    names, series = [f"n{row % 40}" for row in range(60)], [f"s{row % 50}" for row in range(60)]
    pictures = noise(60)
    forward = sibling_groups(names, series, pictures)
    backward = sibling_groups(names[::-1], series[::-1], pictures[::-1])
    assert forward == backward[::-1]


def test_near_pictures_are_found_across_blocks():
    pictures = noise(1100)
    pictures[1050] = np.clip(pictures[3].astype(int) + 3, 0, 255)
    assert near_pairs(pictures) == [(3, 1050)]


def test_a_picture_moved_by_a_few_pixels_is_not_near():
    square = Image.new("RGB", (224, 224), "white")
    moved = square.copy()
    square.paste("black", (40, 40, 140, 140))
    moved.paste("black", (60, 60, 160, 160))
    assert near_pairs(np.stack([thumbnail(square), thumbnail(moved)])) == []
    assert near_pairs(np.stack([thumbnail(square), thumbnail(square)])) == [(0, 1)]
