"""Pictures of any mode have the colours that a browser shows over white; expectations are computed without Pillow."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from fromage_model.vision.images import decode_image
from tests.fromage_model.vision.png_files import GREY, KINDS, PALETTE, RGB, chunk, png_file, shown
from tests.pictures import encoded


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode_image(data)).astype(int)


def grey_row(values: np.ndarray) -> list[int]:
    """What a TIFF of these values shows."""
    return pixels(encoded(Image.fromarray(values), "TIFF"))[0, :, 0].tolist()


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("see_through", [False, True])
@pytest.mark.parametrize(("colour", "depth"), KINDS)
def test_a_png_of_every_kind_shows_what_its_samples_mean(colour, depth, see_through, interlaced):
    rng = np.random.default_rng(depth)
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    samples = rng.integers(0, 2**depth, (9, 13, channels))
    samples[3:5, 4:9] = samples[0, 0]
    palette = rng.integers(0, 256, (2**depth, 3)) if colour == PALETTE else None
    before, transparent = b"" if palette is None else chunk(b"PLTE", palette.astype(np.uint8).tobytes()), None
    if see_through and colour == PALETTE:
        transparent = [0, 128][: 2**depth]
        before += chunk(b"tRNS", bytes(transparent))
    elif see_through and colour in (GREY, RGB):
        transparent = samples[0, 0].tolist()
        before += chunk(b"tRNS", struct.pack(f">{channels}H", *transparent))
    data = png_file(samples, colour=colour, depth=depth, before=before, interlaced=interlaced)
    expected = shown(samples, colour=colour, depth=depth, transparent=transparent, palette=palette)
    assert np.abs(pixels(data) - expected).max() <= (2 if depth == 16 else 1)


@pytest.mark.parametrize("colour", [GREY, RGB])
def test_the_transparent_colour_of_16_bits_is_no_other_that_rounds_to_the_same(colour):
    channels = 1 if colour == GREY else 3
    samples = np.array([[[0x1234] * channels, [0x1235] * channels, [0x1134] * channels]])
    trns = chunk(b"tRNS", struct.pack(f">{channels}H", *[0x1234] * channels))
    row = pixels(png_file(samples, colour=colour, depth=16, before=trns))[0, :, 0]
    assert (row[0], row[1] < 20, row[2] < 20) == (255, True, True)


def test_infinity_and_no_number_do_not_change_what_finite_pixels_show():
    assert grey_row(np.array([[0, 100, np.inf, -np.inf, np.nan]], dtype=np.float32)) == [0, 100, 255, 0, 0]
    assert grey_row(np.array([[-1, 0, 1, np.inf, -np.inf, np.nan]], dtype=np.float32)) == [0, 128, 255, 255, 0, 0]
    assert grey_row(np.array([[-3e38, 0, 3e38]], dtype=np.float32)) == [0, 128, 255]
    assert grey_row(np.array([[np.nan, np.inf, -np.inf]], dtype=np.float32)) == [0, 255, 0]


def test_whole_numbers_of_32_bits_are_spread_over_their_own_range_unless_they_are_those_of_16_or_8():
    assert grey_row(np.array([[-1000, 0, 1000]], dtype=np.int32)) == [0, 128, 255]
    assert grey_row(np.array([[2**31 - 11, 2**31 - 6, 2**31 - 1]], dtype=np.int32)) == [0, 128, 255]
    assert grey_row(np.array([[0, 32896, 65535]], dtype=np.int32)) == [0, 128, 255]
    assert grey_row(np.array([[0, 7, 255]], dtype=np.int32)) == [0, 7, 255]


@pytest.mark.parametrize("order", ["<u2", ">u2"])
def test_16_bits_of_grey_keep_their_brightness_in_either_order(order):
    assert grey_row(np.array([[0, 257, 32896, 65535]], dtype=order)) == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_a_tiff_of_any_mode_is_read(mode):
    grey = Image.linear_gradient("L").resize((16, 16))
    image = (grey.convert("P") if mode == "PA" else grey).convert(mode)
    found = pixels(encoded(image, "TIFF"))
    assert found.shape == (16, 16, 3)
    assert mode == "1" or np.abs(found - np.asarray(grey)[..., None]).max() <= 6


@pytest.mark.parametrize("progressive", [False, True])
def test_a_cmyk_jpeg_shows_its_inks_over_white(progressive):
    inks = np.zeros((16, 48, 4), dtype=np.uint8)
    inks[:, :16], inks[:, 16:32], inks[:, 32:] = (0, 255, 255, 0), (200, 0, 0, 0), (0, 0, 0, 128)
    found = pixels(encoded(Image.fromarray(inks, "CMYK"), "JPEG", quality=100, progressive=progressive))
    cyan, magenta, yellow, black = (inks[..., ink].astype(float) for ink in range(4))
    expected = np.stack([(255 - ink) * (255 - black) / 255 for ink in (cyan, magenta, yellow)], axis=-1)
    assert np.abs(found - expected)[:, [8, 24, 40]].max() < 8


def test_a_gif_whose_first_frame_is_smaller_than_its_screen_is_white_around_it():
    frame = Image.new("P", (2, 1), 0)
    frame.putpalette([255, 0, 0, 0, 255, 0])
    data = bytearray(encoded(frame, "GIF"))
    at = data.index(b"\x2c")
    data[6:10], data[at + 1 : at + 5] = struct.pack("<HH", 4, 2), struct.pack("<HH", 1, 1)
    white, red = [255, 255, 255], [255, 0, 0]
    assert pixels(bytes(data)).tolist() == [[white] * 4, [white, red, red, white]]


def test_an_animation_shows_its_first_frame_and_an_apng_the_still_picture_that_it_has():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for file_format in ("GIF", "WEBP", "PNG", "AVIF"):
        data = encoded(frames[0], file_format, save_all=True, append_images=frames[1:], lossless=True, quality=100)
        assert Image.open(io.BytesIO(data)).n_frames == 2
        assert np.abs(pixels(data) - (255, 0, 0)).max() <= 4, file_format
    still = encoded(Image.new("RGB", (4, 4), "green"), save_all=True, append_images=frames, default_image=True)
    assert pixels(still)[0, 0].tolist() == [0, 128, 0]


@pytest.mark.parametrize(("alpha", "expected"), [((0, 0), [255, 0]), ((0, 255), [255, 0]), ((255, 255), [255, 0])])
def test_a_bmp_without_any_opacity_means_none_of_it(alpha, expected):
    header = struct.pack("<IiiHHIIiiII", 124, 2, 1, 1, 32, 3, 8, 0, 0, 0, 0)
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + bytes(124 - 56)
    body = bytes([0, 0, 255, alpha[0], 0, 0, 0, alpha[1]])
    data = b"BM" + struct.pack("<IHHI", 138 + len(body), 0, 0, 138) + header + masks + body
    assert pixels(data)[0, :, 0].tolist() == expected
