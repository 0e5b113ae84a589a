"""A picture in a `data:` URL is read however the URL is written, and refused with what is wrong with it."""

import base64
import contextlib
import textwrap
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fromage_model.errors import ImageError
from fromage_model.storage.files import is_data_url
from fromage_model.vision.data_urls import data_url_bytes
from fromage_model.vision.images import ImageLimits, decode_image
from tests.pictures import png

PNG = png()
# Both characters that the alphabets of base64 differ in, and padding of two.
ODD = b"\xff\xd8\xff\xfb\xef\xbe\xff"
PLAIN = base64.b64encode(PNG).decode()


@pytest.mark.parametrize(
    "url",
    [
        f"data:image/png;base64,{PLAIN}",
        f"DATA:IMAGE/PNG;BASE64,{PLAIN}",
        f"data:image/png;name=a.png;base64,{PLAIN}",
        f"data:image/png;charset=utf-8;base64;name=a.png,{PLAIN}",
        f"data: image/png ; base64 ,{PLAIN}",
        f"data:image/*;base64,{PLAIN}",
        f"data:image/jpeg;base64,{PLAIN}",
        f"data:application/octet-stream;base64,{PLAIN}",
        f"data:;base64,{PLAIN}",
        f"data:base64,{PLAIN}",
        "data:image/png;base64," + "\n".join(textwrap.wrap(PLAIN, 76)),
        "data:image/png;base64,\r\n " + "\r\n".join(textwrap.wrap(PLAIN, 64)) + "\r\n",
        f" data:image/png;base64,{PLAIN} \n",
        f"data:image/png;base64,{PLAIN.rstrip('=')}",
        f"data:image/png;base64,{PLAIN}====",
        f"data:image/png;base64,{quote(PLAIN, safe='')}",
        f"data:image/png;base64,{PLAIN.replace('=', '%3d')}%0A",
        f"data:image/png,{quote_from_bytes(PNG)}",
        f"data:image/png,{''.join(f'%{byte:02x}' for byte in PNG)}",
    ],
)
def test_a_picture_is_read_however_its_url_is_written(url):
    assert is_data_url(url)
    assert data_url_bytes(url) == PNG
    assert decode_image(data_url_bytes(url)).size == (8, 8)


@given(st.binary(max_size=100), st.booleans(), st.booleans(), st.integers(1, 80))
@example(ODD, True, False, 4)
def test_any_bytes_come_back_from_either_alphabet_and_any_width_of_lines(data, url_safe, padded, width):
    encoded = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    lines = "\n".join(textwrap.wrap(encoded if padded else encoded.rstrip("="), width))
    assert data_url_bytes(f"data:image/png;base64,{lines}") == data
    assert data_url_bytes(f"data:image/png;base64,{quote(lines, safe='')}") == data


@given(st.text(max_size=200))
@example("image/png;base64,\ud800")
@example("image/png,%")
def test_what_is_no_data_url_is_an_error_of_ours(text):
    for url in (text, f"data:{text}", f"data:image/png;base64,{text}"):
        with contextlib.suppress(ImageError):
            data_url_bytes(url, limits=ImageLimits(max_bytes=100))


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://example.org/a.png", "expected a URL like data:image/png;base64"),
        (PLAIN, "expected a URL like data:image/png;base64"),
        (f"data:image/png;base64{PLAIN}", "no comma"),
        ("data:text/html;base64,PGI+", "got a data: URL of type text/html"),
        ("data:text/html,<html>", "of type text/html, an HTML page"),
        ("data:;base64,aGVsbG8=", "of type text/plain"),
        ("data:image/png,abc", "expected ;base64 before the comma"),
        (f"data:image/png,{PLAIN}", "expected ;base64 before the comma"),
        ("data:image/png;base64,@@@@", "'@' is none of its characters"),
        ("data:image/png;base64,äöü", "'ä' is none of its characters"),
        (f"data:image/png;base64,data:image/png;base64,{PLAIN}", "':' is none of its characters"),
        ("data:image/png;base64,AAAA=AAA", "'=' is none of its characters"),
        ("data:image/png;base64,%zz00", "'%' is none of its characters"),
        ("data:image/png;base64,AAAAA", "is cut off: no file has 5 characters of it"),
    ],
)
def test_what_is_wrong_with_a_url_is_named(url, reason):
    with pytest.raises(ImageError, match=reason):
        data_url_bytes(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("data:image/png;base64,", "0 bytes"),
        ("data:image/png;base64,aGVsbG8=", "not an image"),
        ("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing, not an image that can be"),
        (f"data:image/png;base64,{PLAIN[:60]}", "damaged"),
    ],
)
def test_what_is_wrong_with_the_picture_is_not_blamed_on_the_url(url, reason):
    with pytest.raises(ImageError, match=reason):
        decode_image(data_url_bytes(url))


@pytest.mark.parametrize("encoded", ["@" * 100_000, "@" * 16, "AAAA\n" * 100, "%41" * 16])
def test_what_is_too_large_is_refused_before_it_is_decoded(encoded):
    with pytest.raises(ImageError, match=r"too large: .* at most 10 are read"):
        data_url_bytes(f"data:image/png;base64,{encoded}", limits=ImageLimits(max_bytes=10))


def test_a_picture_of_exactly_the_limit_is_read_and_a_plain_one_beyond_it_is_not():
    limits = ImageLimits(max_bytes=len(PNG))
    assert data_url_bytes("data:image/png;base64," + "\n".join(textwrap.wrap(PLAIN, 4)), limits=limits) == PNG
    with pytest.raises(ImageError, match="too large"):
        data_url_bytes(f"data:image/png,{quote_from_bytes(PNG + b'!')}", limits=limits)


@pytest.mark.parametrize("text", ["", "a.png", "https://a/data:", "database/a.png", "data/a.png"])
def test_other_places_of_pictures_are_no_data_urls(text):
    assert not is_data_url(text)
