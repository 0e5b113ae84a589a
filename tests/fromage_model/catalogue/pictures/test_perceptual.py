"""Pictures that are nearly the same are found, whatever was done to their bytes; others are not."""

import io
import tracemalloc

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from fromage_model.catalogue.pictures.perceptual import NEAR_BITS, SIGNATURE_BYTES, near_pairs, signature


def scene(seed: int) -> Image.Image:
    """Shapes on a ground, a little blurred: edges as photographs have them."""
    chance = np.random.default_rng(seed)
    image = Image.new("RGB", (300, 200), tuple(chance.integers(0, 256, 3).tolist()))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        left, top = chance.integers(0, 260), chance.integers(0, 160)
        box = (int(left), int(top), int(left + chance.integers(15, 120)), int(top + chance.integers(15, 120)))
        draw.ellipse(box, fill=tuple(chance.integers(0, 256, 3).tolist()))
    return image.filter(ImageFilter.GaussianBlur(2))


def as_jpeg(image: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return Image.open(buffer).convert("RGB")


def signatures(*images: Image.Image) -> np.ndarray:
    return np.stack([np.frombuffer(signature(image), dtype=np.uint8) for image in images])


@pytest.mark.parametrize(
    "change", [as_jpeg, lambda image: image.resize((150, 100)), lambda image: image.resize((600, 400))]
)
def test_a_picture_is_found_again_after_a_change_of_its_bytes(change):
    scenes = [scene(seed) for seed in range(20)]
    found = near_pairs(signatures(*scenes, *(change(image) for image in scenes)))
    assert [(row, other) for row, other, _ in found] == [(row, row + 20) for row in range(20)]
    assert max(bits for *_, bits in found) <= NEAR_BITS


def test_the_same_shape_in_another_colour_is_another_picture():
    red, green = (Image.new("RGB", (64, 64), "white") for _ in range(2))
    ImageDraw.Draw(red).ellipse((8, 8, 56, 56), fill=(200, 0, 0))
    # As bright as the red: brightness alone can not tell them apart.
    ImageDraw.Draw(green).ellipse((8, 8, 56, 56), fill=(0, 102, 0))
    found = signatures(red, green)
    assert np.array_equal(found[0, :32], found[1, :32])
    assert near_pairs(found) == []


def test_pairs_are_those_of_comparing_everything_with_everything():
    """Signatures at random distances around a few centres, against the plain double loop; more than one block."""
    chance = np.random.default_rng(1)
    bits = np.repeat(chance.integers(0, 2, (3, 256)), 300, axis=0)
    for row in bits:
        row[chance.choice(256, chance.integers(2, 12), replace=False)] ^= 1
    assert len(np.unique(bits, axis=0)) == len(bits)
    packed = np.zeros((len(bits), SIGNATURE_BYTES), dtype=np.uint8)
    packed[:, :32] = np.packbits(bits.astype(np.uint8), axis=1)
    expected = [
        (row, other, int((bits[row] != bits[other]).sum()))
        for row in range(len(bits))
        for other in range(row + 1, len(bits))
        if (bits[row] != bits[other]).sum() <= NEAR_BITS
    ]
    assert len(expected) > 500
    assert near_pairs(packed) == expected


def test_a_picture_that_comes_a_thousand_times_is_paired_with_its_first_alone():
    """A placeholder, and a scaled copy of it that is near."""
    placeholder, other = scene(1), scene(2)
    found = near_pairs(signatures(other, *[placeholder] * 1000, placeholder.resize((150, 100)), other))
    assert found == [(0, 1002, 0), *((1, row, 0) for row in range(2, 1001)), (1, 1001, found[-1][2])]


def test_pictures_of_one_shape_in_many_colours_are_compared_in_little_memory():
    """2,000 signatures with the same hash: every pair is compared, of which colours alone would take 1.5 GB."""
    alike = np.zeros((2000, SIGNATURE_BYTES), dtype=np.uint8)
    alike[:, 32:] = np.random.default_rng(3).integers(0, 256, (2000, SIGNATURE_BYTES - 32))
    tracemalloc.start()
    try:
        assert near_pairs(alike) == []
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 200e6


def test_without_pictures_there_are_no_pairs():
    assert near_pairs(np.zeros((0, SIGNATURE_BYTES), dtype=np.uint8)) == []
