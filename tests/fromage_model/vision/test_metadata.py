"""What a file says beside its pixels turns the picture upright, and whatever else it is, it makes no difference."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fromage_model.errors import ImageError
from fromage_model.vision.images import ImageLimits, decode_image
from fromage_model.vision.metadata import orientation_of, without_metadata
from tests.fromage_model.vision.png_files import RGB, chunk, png_file
from tests.pictures import encoded

ORIENTATION, X_RESOLUTION, SRATIONAL = 0x0112, 0x011A, 10
NO_NUMBER = struct.pack("<ii", -1, 0)
SAMPLES = np.zeros((16, 32, 3), dtype=np.uint8)
SAMPLES[:8, :16], SAMPLES[:8, 16:], SAMPLES[8:, :16], SAMPLES[8:, 16:] = (255, 0, 0), (0, 255, 0), (0, 0, 255), 255
PICTURE = Image.fromarray(SAMPLES)
# How the rows and columns of a file become those that are shown: EXIF 2.3, 4.6.4.A.
TURNED = {
    1: SAMPLES,
    2: SAMPLES[:, ::-1],
    3: SAMPLES[::-1, ::-1],
    4: SAMPLES[::-1],
    5: SAMPLES.swapaxes(0, 1),
    6: SAMPLES.swapaxes(0, 1)[:, ::-1],
    7: SAMPLES.swapaxes(0, 1)[::-1, ::-1],
    8: SAMPLES.swapaxes(0, 1)[::-1],
}
ENTRY = st.tuples(
    st.integers(0, 0xFFFF).filter(lambda tag: tag != ORIENTATION),
    st.integers(0, 16),
    st.sampled_from([0, 1, 2, 5, 1000, 2**31]),
    st.binary(min_size=4, max_size=4),
)


def exif(orientation: int, others=(), *, order: str = "<", rest: bytes = b"") -> bytes:
    """An EXIF block with that orientation among other entries (tag, type, count, value or offset)."""
    shorts = struct.pack(f"{order}HH", orientation, 0)
    entries = sorted([(ORIENTATION, 3, 1, shorts), *others])
    body = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HIH", 42, 8, len(entries)) + body + bytes(4) + rest


def unread(orientation: int) -> bytes:
    """An orientation, and a resolution of -1/0."""
    return exif(orientation, [(X_RESOLUTION, SRATIONAL, 1, struct.pack("<I", 38))], rest=NO_NUMBER)


def in_jpeg(block: bytes) -> bytes:
    return encoded(PICTURE, "JPEG", exif=b"Exif\0\0" + block, quality=100, subsampling=0)


def in_png(block: bytes) -> bytes:
    return png_file(SAMPLES, colour=RGB, depth=8, before=chunk(b"eXIf", block))


def in_webp(block: bytes) -> bytes:
    return encoded(PICTURE, "WEBP", exif=block, lossless=True)


def same(data: bytes, expected: np.ndarray) -> bool:
    found = np.asarray(decode_image(data)).astype(int)
    return found.shape == expected.shape and np.abs(found - expected).max() <= 12


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("holds", [in_jpeg, in_png, in_webp])
def test_a_picture_is_turned_whatever_its_exif_says_beside(holds, orientation):
    assert same(holds(exif(orientation)), TURNED[orientation])
    assert same(holds(exif(orientation, order=">")), TURNED[orientation])
    assert same(holds(unread(orientation)), TURNED[orientation])


@given(st.integers(1, 8), st.lists(ENTRY, max_size=8), st.sampled_from("<>"), st.binary(max_size=80))
def test_no_exif_block_makes_a_picture_damaged_or_hides_which_way_is_up(orientation, others, order, rest):
    block = exif(orientation, others, order=order, rest=rest)
    for holds in (in_jpeg, in_png, in_webp):
        assert same(holds(block), TURNED[orientation])


@given(st.binary(max_size=200))
def test_an_exif_block_of_any_bytes_has_an_orientation(block):
    assert 1 <= orientation_of(block) <= 8
    assert 1 <= orientation_of(b"II*\0\x08\0\0\0" + block) <= 8


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_is_none_leaves_the_picture_as_it_stands(orientation):
    assert same(in_jpeg(exif(orientation)), SAMPLES)


@given(st.lists(st.tuples(st.sampled_from([*range(0xE1, 0xEE), 0xEF, 0xFE]), st.binary(max_size=60)), max_size=6))
def test_no_segment_of_an_application_changes_a_jpeg(segments):
    plain = encoded(PICTURE, "JPEG", quality=100, subsampling=0)
    said = b"".join(
        b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body
        for marker, body in segments
        if not body.startswith(b"Exif")
    )
    for data in (plain[:2] + said + plain[2:], plain[:20] + said + plain[20:], plain[:20] + b"\0\0" + plain[20:]):
        assert decode_image(data).tobytes() == decode_image(plain).tobytes()


@pytest.mark.parametrize(
    "mark", [b"MPF\0", b"ICC_PROFILE\0\1\1", b"Photoshop 3.0\0", b"http://ns.adobe.com/xap/1.0/\0"]
)
def test_a_preview_a_profile_and_a_description_of_a_jpeg_may_be_damaged(mark):
    plain = encoded(PICTURE, "JPEG")
    for body in (mark, mark + b"8BIM\4\4\xff\xff\xff\xff", mark + b"II*\0\xff\xff\xff\xff"):
        for marker in (0xE1, 0xE2, 0xED):
            segment = b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body
            assert decode_image(plain[:20] + segment + plain[20:]).tobytes() == decode_image(plain).tobytes()


def test_of_a_jpeg_with_several_pictures_the_first_is_shown():
    data = encoded(PICTURE, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))], quality=100, subsampling=0)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert same(data, SAMPLES)


LONG = zlib.compress(bytes(100 << 20))


@pytest.mark.parametrize(
    "said",
    [
        chunk(b"iCCP", b"x\0\0" + LONG),
        chunk(b"zTXt", b"x\0\0" + LONG),
        chunk(b"iTXt", b"x\0\1\0\0\0" + LONG),
        chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(1 << 20))) * 100,
        chunk(b"iCCP", b"x\0\1no zlib"),
        chunk(b"tEXt", b"a\0b")[:-4] + b"crc?",
        chunk(b"pHYs", b""),
        chunk(b"acTL", b""),
        chunk(b"fcTL", b"?"),
    ],
)
def test_what_a_png_says_before_or_after_its_pixels_is_skipped_and_never_unpacked(said):
    expected = SAMPLES.astype(int)
    for place in ("before", "after"):
        data = png_file(SAMPLES, colour=RGB, depth=8, **{place: said})
        tracemalloc.start()
        found = np.asarray(decode_image(data)).astype(int)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert (found == expected).all()
        assert peak_bytes < 4 * len(data) + (1 << 20)


def test_a_png_with_texts_still_may_not_exceed_the_limits():
    data = png_file(SAMPLES, colour=RGB, depth=8, before=chunk(b"tEXt", bytes(1000)))
    with pytest.raises(ImageError, match="too large"):
        decode_image(data, limits=ImageLimits(max_bytes=len(data) - 1))
    with pytest.raises(ImageError, match="too many pixels"):
        decode_image(data, limits=ImageLimits(max_pixels=511))


@pytest.mark.parametrize("said", [chunk(b"tEXt", b""), chunk(b"IDAT", b"")])
def test_a_picture_in_too_many_pieces_is_refused(said):
    with pytest.raises(ImageError, match="too many pieces: at most 100,000"):
        decode_image(png_file(SAMPLES, colour=RGB, depth=8, before=said * 100_000))
    plain = encoded(PICTURE, "JPEG")
    with pytest.raises(ImageError, match="too many pieces"):
        decode_image(plain[:2] + b"\xff\xfe\0\2" * 100_000 + plain[2:])
    for filled in (b"\xff" * (1 << 20), b"\xff\0" * (1 << 20)):
        assert decode_image(plain[:2] + filled + plain[2:]).tobytes() == decode_image(plain).tobytes()


def test_an_avif_is_turned_as_its_box_says_even_where_its_exif_can_not_be_written_anew():
    block = exif(6, [(X_RESOLUTION, SRATIONAL, 1, struct.pack("<I", 38))], rest=struct.pack("<ii", 1234567, 7654321))
    data = encoded(PICTURE, "AVIF", exif=block, quality=95, subsampling="4:4:4")
    number = struct.pack("<ii", 1234567, 7654321)
    assert data.count(number) == 1
    for damaged in (data, data.replace(number, NO_NUMBER)):
        assert np.asarray(decode_image(damaged)).shape == TURNED[6].shape
        assert np.abs(np.asarray(decode_image(damaged))[4, 4].astype(int) - TURNED[6][4, 4]).max() <= 12


def test_a_tiff_is_turned_by_its_tag_even_where_another_is_no_number():
    for compression in (None, "tiff_lzw"):
        buffer = io.BytesIO()
        PICTURE.save(buffer, "TIFF", compression=compression, tiffinfo={ORIENTATION: 6, X_RESOLUTION: 1234567})
        whole = buffer.getvalue()
        number = struct.pack("<II", 1234567, 1)
        assert whole.count(number) == 1
        for data in (whole, whole.replace(number, struct.pack("<II", 1, 0))):
            assert same(data, TURNED[6])


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "AVIF", "HEIF", "WEBP"]))
def test_no_bytes_make_the_walk_over_a_file_fail_or_grow_it(data, kind):
    bare, orientation = without_metadata(data, kind)
    assert len(bare) <= len(data)
    assert 1 <= orientation <= 8
