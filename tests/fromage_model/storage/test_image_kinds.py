"""A file is what its first bytes say; what is no picture, or one that can't be read, is called by its name."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.storage.image_kinds import FORMATS, kind_of
from fromage_model.vision import images
from fromage_model.vision.images import decode_image, image_format
from tests.pictures import encoded

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


@pytest.mark.parametrize("file_format", FORMATS)
def test_each_format_is_known_by_its_first_bytes(file_format):
    for mode in ("RGB", "L"):
        assert kind_of(encoded(Image.new(mode, (8, 6)), file_format)) == file_format


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (HEIC, "HEIF"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "AVIF"),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42isom", "a film"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL picture"),
        (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
        (b"<?xml version='1.0'?>\n<!-- drawn -->\n<svg>", "an SVG drawing"),
        (b"\n<!DOCTYPE HTML><title>sold out</title><svg>", "an HTML page"),
        (b"<html><body><svg>", "an HTML page"),
        (b"8BPS\0\1", "a Photoshop file"),
        (b"%PDF-1.7", "a PDF"),
        (b"BMW and other makers of cars, in alphabetical order", None),
        (b"image\tcaption\n", None),
        (b"", None),
    ],
)
def test_what_is_read_and_what_is_not_are_told_apart(head, kind):
    assert kind_of(head) == kind


@given(st.binary(max_size=600))
def test_any_bytes_are_of_a_kind_or_of_none(data):
    assert kind_of(data) is None or isinstance(kind_of(data), str)


@pytest.mark.parametrize("repeated", [b"<!---->", b"<a", b"<svg", b"<html", b" ", b"<?xml>"])
def test_no_beginning_keeps_the_search_long(repeated):
    """It would not end before the test's time is up."""
    kind_of(b"<" + repeated * 500)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<!doctype html><p>sold out</p>", "an HTML page, not an image that can be read; known formats are JPEG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing, not an image that can be read"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS .*git lfs pull"),
        (b"\xff\x0a\xfa\x1f", "a JPEG XL picture can't be read; make it one of JPEG, PNG"),
        (b"hello", "^not an image that can be read; known formats are JPEG, PNG"),
    ],
)
def test_a_refusal_names_what_it_is(data, reason):
    with pytest.raises(ImageError, match=reason):
        decode_image(data)


def test_a_heic_picture_is_read_upright_where_pillow_heif_is_there():
    import pillow_heif

    pillow_heif.register_heif_opener()
    picture = Image.new("RGB", (64, 32), "red")
    picture.paste("blue", (32, 0, 64, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = decode_image(encoded(picture, "HEIF", quality=95, exif=exif.tobytes()))
    assert (image_format(encoded(picture, "HEIF")), found.size) == ("HEIF", (32, 64))
    top, bottom = found.getpixel((16, 4)), found.getpixel((16, 60))
    assert (top[0] > 240, top[2] < 15, bottom[0] < 15, bottom[2] > 240) == (True, True, True, True)


def test_a_heic_picture_is_refused_with_what_would_read_it_where_pillow_heif_is_not(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    images._reads_heif.cache_clear()
    try:
        with pytest.raises(ImageError, match=r"HEIC.*pip install pillow-heif; or make it a JPEG"):
            decode_image(HEIC)
    finally:
        images._reads_heif.cache_clear()
