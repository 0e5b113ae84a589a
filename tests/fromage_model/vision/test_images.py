"""Pictures of every kind become upright RGB; what is no picture, or too large, is refused before it is decoded."""

import contextlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.vision.images import ImageLimits, decode_image, image_format


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes do not hold."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
def test_each_known_format_becomes_rgb(file_format):
    data = encoded(Image.new("RGB", (8, 6), (200, 30, 30)), file_format)
    image = decode_image(data)
    assert (image.mode, image.size) == ("RGB", (8, 6))
    assert np.abs(np.asarray(image).astype(int) - (200, 30, 30)).max() < 12
    assert image_format(data) == file_format


def test_transparent_parts_are_white():
    rgba = Image.new("RGBA", (2, 1), (255, 0, 0, 0))
    rgba.putpixel((1, 0), (255, 0, 0, 255))
    assert np.asarray(decode_image(encoded(rgba))).tolist() == [[[255, 255, 255], [255, 0, 0]]]


def test_transparency_of_palette_and_grey_pictures_is_white():
    palette = Image.new("P", (1, 1), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert decode_image(encoded(palette)).getpixel((0, 0)) == (10, 20, 30)
    assert decode_image(encoded(palette, transparency=1)).getpixel((0, 0)) == (255, 255, 255)
    assert decode_image(encoded(Image.new("LA", (1, 1), (0, 0)))).getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bit_grey_keeps_its_brightness():
    deep = Image.fromarray(np.array([[0, 32896, 65535]], dtype=np.uint16))
    assert [decode_image(encoded(deep)).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_float_grey_is_spread_over_its_own_range():
    image = Image.fromarray(np.array([[-1.0, 0.0, 1.0]], dtype=np.float32))
    assert [decode_image(encoded(image, "TIFF")).getpixel((x, 0))[0] for x in range(3)] == [0, 128, 255]


def test_cmyk_and_bilevel_pictures_become_rgb():
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    pixel = decode_image(encoded(red, "JPEG", quality=100)).getpixel((4, 4))
    assert np.abs(np.array(pixel) - (255, 0, 0)).max() < 60
    assert decode_image(encoded(Image.new("1", (1, 1), 1))).getpixel((0, 0)) == (255, 255, 255)


def test_exif_orientation_is_applied():
    image = Image.new("RGB", (8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode_image(encoded(image, "JPEG", exif=exif)).size == (4, 8)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data).getpixel((0, 0)) == (255, 0, 0)


def test_a_large_jpeg_is_drafted_but_not_below_the_target():
    data = encoded(Image.new("RGB", (1600, 1000), "green"), "JPEG")
    assert decode_image(data, target_px=224).size == (400, 250)
    assert decode_image(data, target_px=2000).size == (1600, 1000)
    assert decode_image(data).size == (1600, 1000)


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_bytes_that_are_no_image_are_refused(data):
    with pytest.raises(ImageError):
        decode_image(data)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF", "AVIF"])
def test_a_cut_off_picture_is_refused_and_never_grey(file_format):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), file_format)
    with pytest.raises(ImageError):
        decode_image(data[: len(data) // 2])


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("target_px", [None, 64])
def test_a_jpeg_that_lacks_only_the_mark_of_its_end_is_whole_and_one_that_lacks_pixels_is_not(progressive, target_px):
    noise = np.random.default_rng(0).integers(0, 255, (160, 160, 3), dtype=np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", progressive=progressive)
    whole = decode_image(data, target_px=target_px).tobytes()
    for cut in (1, 2):
        assert decode_image(data[:-cut], target_px=target_px).tobytes() == whole
    for cut in (8, 100, 1000, len(data) // 2):
        with pytest.raises(ImageError, match="truncated"):
            decode_image(data[:-cut], target_px=target_px)


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_a_picture_that_lacks_only_the_mark_of_its_end_is_whole(file_format):
    data = encoded(Image.effect_noise((64, 64), 80), file_format)
    assert decode_image(data[:-1]).tobytes() == decode_image(data).tobytes()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_damage_is_an_image_error_or_a_picture_and_nothing_else():
    rng = np.random.default_rng(1)
    sample = Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
    for file_format in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"):
        whole = bytearray(encoded(sample, file_format))
        for _ in range(60):
            damaged = bytearray(whole)
            for position in rng.integers(0, len(whole), 8):
                damaged[position] = rng.integers(0, 256)
            with contextlib.suppress(ImageError):
                assert decode_image(bytes(damaged), limits=ImageLimits(max_pixels=10**6)).mode == "RGB"


def test_too_many_bytes_are_refused_with_both_sizes():
    with pytest.raises(ImageError, match="11 bytes, at most 10"):
        decode_image(b"x" * 11, limits=ImageLimits(max_bytes=10))


@pytest.mark.parametrize("side", [9_000, 40_000])
def test_too_many_pixels_are_refused_from_the_header_alone(side):
    with pytest.raises(ImageError, match="too many pixels"):
        decode_image(png_claiming(side, side))


@pytest.mark.parametrize("size", [(65_000, 1), (1, 65_000), (707, 7)])
def test_an_elongated_picture_is_refused_before_a_resize_of_its_short_side_makes_it_huge(size):
    with pytest.raises(ImageError, match=r"too elongated: .* at most 100 to 1"):
        decode_image(encoded(Image.new("RGB", size)))
    assert decode_image(encoded(Image.new("RGB", (700, 7)))).size == (700, 7)


def test_the_limits_let_exactly_the_limit_through():
    data = encoded(Image.new("RGB", (10, 10)))
    assert decode_image(data, limits=ImageLimits(max_bytes=len(data), max_pixels=100)).size == (10, 10)
    with pytest.raises(ImageError):
        decode_image(data, limits=ImageLimits(max_pixels=99))
