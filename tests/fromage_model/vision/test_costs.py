"""A file whose decoding would cost far more than its pixels is refused before; one like it that is honest is read."""

import re
import struct

import pytest
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.vision.images import decode_image
from fromage_model.vision.metadata import MOST_SCANS
from tests.pictures import encoded

PROGRESSIVE = encoded(Image.effect_noise((64, 64), 80).convert("RGB"), "JPEG", progressive=True)
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
OWN_SCANS = len(re.findall(b"\xff\xda", PROGRESSIVE))
COMMENT = b"\xff\xfe\0\x04\xff\xd9"


def with_scans(count: int, *, between: bytes = b"") -> bytes:
    """The progressive JPEG, its last scan repeated until there are `count`."""
    return PROGRESSIVE[:-2] + between + LAST_SCAN * (count - OWN_SCANS) + b"\xff\xd9"


def packed_bmp(side_px: int, rows: bytes) -> bytes:
    """A BMP of 256 colours, run-length encoded."""
    sizes = struct.pack("<IiiHHIIiiII", 40, side_px, side_px, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + sizes + bytes(1024) + rows


def test_a_jpeg_of_as_many_scans_as_encoders_write_is_read_and_one_of_more_is_not():
    assert decode_image(with_scans(MOST_SCANS)).size == (64, 64)
    with pytest.raises(ImageError, match=f"too many scans: at most {MOST_SCANS}"):
        decode_image(with_scans(MOST_SCANS + 1))


@pytest.mark.parametrize("between", [COMMENT, b"\xff\xd0", b"\0\xff\0", b"\xff\xff"])
def test_no_mark_between_scans_hides_those_that_follow(between):
    with pytest.raises(ImageError, match="too many scans"):
        decode_image(with_scans(MOST_SCANS + 1, between=between))


def test_what_stands_before_the_first_scan_hides_none():
    data = with_scans(MOST_SCANS + 1)
    for odd in (b"\xff\xd0", b"\xff\xfe\0\0"):
        with pytest.raises(ImageError, match="too many scans"):
            decode_image(data[:2] + odd + data[2:])


def test_what_a_phone_puts_behind_a_jpeg_is_not_counted():
    assert decode_image(PROGRESSIVE + LAST_SCAN * 100).tobytes() == decode_image(PROGRESSIVE).tobytes()


def test_comments_of_a_gif_are_left_out_and_its_transparency_is_not():
    image = Image.new("P", (4, 4), 1)
    image.putpalette([9, 9, 9, 200, 10, 10])
    plain = encoded(image, "GIF", transparency=1)
    at = plain.index(b"!\xf9")
    remarks = b"!\xfe" + b"\x01a" * 1000 + b"\0" + b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    shown = decode_image(plain[:at] + remarks + plain[at:])
    assert shown.tobytes() == decode_image(plain).tobytes()
    assert shown.getpixel((0, 0)) == (255, 255, 255)


def test_a_gif_of_countless_comments_is_refused():
    plain = encoded(Image.new("P", (4, 4)), "GIF")
    at = plain.index(b",\0\0\0\0")
    for remarks in (b"!\xfe" + b"\x01a" * 200_000 + b"\0", b"!\xfe\x01a\0" * 200_000):
        with pytest.raises(ImageError, match="too many pieces"):
            decode_image(plain[:at] + remarks + plain[at:])


def test_a_packed_bmp_is_read_where_it_is_small():
    assert decode_image(packed_bmp(2, b"\x02\0\0\0\x02\0\0\x01")).size == (2, 2)
    for large in (packed_bmp(2001, b""), packed_bmp(2, b"\x01\0" * 2_000_001)):
        with pytest.raises(ImageError, match="of a packed BMP are read; make it a PNG"):
            decode_image(large)
    assert decode_image(encoded(Image.new("RGB", (2001, 2001)), "BMP")).size == (2001, 2001)


def test_a_tiff_whose_tile_is_larger_than_any_picture_is_refused():
    entries = [(256, 8), (257, 8), (258, 8), (259, 8), (262, 1), (277, 1), (322, 40_000), (323, 40_000)]
    entries += [(324, 8), (325, 8)]
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    data = b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(entries)) + directory + bytes(4)
    with pytest.raises(ImageError, match="tiles have too many pixels"):
        decode_image(data)
