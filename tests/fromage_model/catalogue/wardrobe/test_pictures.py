"""What a garment is said to be can be measured in its picture, by eyes that do not know how it was drawn."""

import io
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from fromage_model.catalogue.wardrobe.choose import kinds, looks
from fromage_model.catalogue.wardrobe.draw.cloth import PLAIN
from fromage_model.catalogue.wardrobe.draw.pen import TABLE
from fromage_model.catalogue.wardrobe.drawing import drawn
from fromage_model.catalogue.wardrobe.look import Look, colour_code, data
from fromage_model.vision.drawings import rasterised

SIDE_PX = 112
TABLE_RGB = np.array([int(TABLE[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float32)


def pixels(look: Look, side_px: int = SIDE_PX) -> np.ndarray:
    """(side, side, 3) float32, 0 to 255."""
    png = rasterised(drawn(look, folds="test").encode(), side_px=side_px)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), dtype=np.float32)


def rgb(name: str) -> np.ndarray:
    code = colour_code(name)
    return np.array([int(code[place : place + 2], 16) for place in (1, 3, 5)], dtype=np.float32)


def look_of(
    kind: str, colour: str, *, second: str | None = None, pattern: str = PLAIN, material: str = "cotton", **cut: str
) -> Look:
    return Look(kind, cut, colour, second, pattern, material, ())


@pytest.fixture(scope="module")
def one_of_each() -> dict[str, Look]:
    found: dict[str, Look] = {}
    for look in islice(looks(3), 2000):
        found.setdefault(look.kind, look)
    return found


def test_every_kind_is_drawn_whole_on_the_table(one_of_each):
    """Nothing touches the edge, and what is drawn takes up a fair part of the picture."""
    assert one_of_each.keys() == kinds().keys()
    for kind, look in one_of_each.items():
        picture = pixels(look, 64)
        far = np.abs(picture - TABLE_RGB).max(axis=2) > 24
        edge = np.concatenate([far[0], far[-1], far[:, 0], far[:, -1]])
        assert not edge.any(), kind
        assert 0.04 < far.mean() < 0.75, kind


@pytest.mark.parametrize("kind", ["t-shirt", "dress", "trousers", "coat", "sneakers", "backpack"])
def test_the_colour_that_most_of_a_plain_garment_has_is_nearest_to_the_one_it_is_said_to_have(kind):
    names = list(data("cloth")["colours"])
    codes = np.stack([rgb(name) for name in names])
    wanted = dict.fromkeys(names)
    for look in islice(looks(5), 6000):
        if look.kind == kind and look.pattern == PLAIN and look.second is None and wanted[look.colour] is None:
            wanted[look.colour] = look
    right = 0
    drawn_looks = [look for look in wanted.values() if look is not None]
    for look in drawn_looks:
        picture = pixels(look, 72).reshape(-1, 3)
        garment = picture[np.abs(picture - TABLE_RGB).max(axis=1) > 20]
        nearest = np.square(garment[:, None] - codes[None]).sum(axis=2).argmin(axis=1)
        right += names[np.bincount(nearest, minlength=len(names)).argmax()] == look.colour
    assert len(drawn_looks) >= 12
    # Folds and texture shift some pixels; of dark cloth and leather, most of them.
    assert right >= len(drawn_looks) - 2


def test_stripes_go_up_and_down_along_a_striped_shirt_and_not_along_a_plain_one():
    cut = {"sleeves": "short", "neckline": "crew neck", "fit": "regular", "length": "hip-length"}
    striped = pixels(look_of("t-shirt", "navy", second="white", pattern="striped", **cut), 224)
    plain = pixels(look_of("t-shirt", "navy", **cut), 224)
    column = slice(95, 165)
    assert crossings(striped[column, 118].mean(axis=1)) >= 8
    assert crossings(plain[column, 118].mean(axis=1)) <= 2
    assert crossings(striped[120, 90:140].mean(axis=1)) <= 2


def crossings(values: np.ndarray, *, least: float = 40.0) -> int:
    """How often a line passes its middle, where it moves by more than `least` at all."""
    if np.ptp(values) < least:
        return 0
    above = values > (values.max() + values.min()) / 2
    return int((above[1:] != above[:-1]).sum())


@pytest.mark.parametrize("pattern", ["dotted", "checked", "floral", "leopard", "tartan", "starry"])
def test_a_patterned_dress_shows_both_its_colours_and_varies_more_than_a_plain_one(pattern):
    cut = {"sleeves": "short", "neckline": "crew neck", "length": "midi", "skirt": "a-line"}
    patterned = pixels(look_of("dress", "yellow", second="navy", pattern=pattern, **cut), 224)[120:170, 90:134]
    plain = pixels(look_of("dress", "yellow", **cut), 224)[120:170, 90:134]
    assert patterned.std(axis=(0, 1)).mean() > 2 * plain.std(axis=(0, 1)).mean()
    flat = patterned.reshape(-1, 3)
    for colour in ("yellow", "navy"):
        assert (np.abs(flat - rgb(colour)).max(axis=1) < 60).mean() > 0.03


def test_long_things_are_longer_and_long_sleeves_reach_further_down():
    base = {"neckline": "crew neck", "fit": "regular", "length": "hip-length"}
    short, long = (pixels(look_of("t-shirt", "red", sleeves=sleeves, **base)) for sleeves in ("short", "long"))
    beside = (slice(60, 90), slice(12, 28))
    assert red_share(long[beside]) > red_share(short[beside]) + 0.15
    skirts = [
        pixels(look_of("dress", "red", sleeves="short", neckline="crew neck", skirt="pencil", length=length))
        for length in ("mini", "maxi")
    ]
    proportions = [height / width for height, width in map(extent, skirts)]
    assert proportions[1] > 1.5 * proportions[0]


def red_share(area: np.ndarray) -> float:
    return float(((area[..., 0] - area[..., 1]) > 60).mean())


def extent(picture: np.ndarray) -> tuple[int, int]:
    red = (picture[..., 0] - picture[..., 1]) > 60
    rows, columns = np.nonzero(red.any(axis=1))[0], np.nonzero(red.any(axis=0))[0]
    return int(np.ptp(rows)), int(np.ptp(columns))
