"""Pictures that stand in a `data:` URL, in a message or a feed -> the bytes of their files.

Read as browsers read them (https://fetch.spec.whatwg.org/#data-urls), and with the alphabet of URLs besides. Knows
nothing of what is in a file but how it begins.
"""

import base64

import numpy as np

from fromage_model.errors import ImageError
from fromage_model.storage.files import DATA_SCHEME
from fromage_model.storage.image_kinds import PICTURES, kind_of
from fromage_model.vision.images import ImageLimits, too_many_bytes

BLANKS = b" \t\r\n\f"
ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
# A byte is at most one character of base64 and a third, each of them at most three, with a line break now and then.
MOST_CHARS_PER_BYTE = 5
MAX_HEAD_CHARS = 4096
EXPECTED = "expected a URL like data:image/png;base64,..."


def data_url_bytes(url: str, *, limits: ImageLimits = ImageLimits()) -> bytes:
    """The file in a `data:` URL, at most `max_bytes` of it, not yet decoded.

    Whatever type the URL names, bytes that begin as a picture does are one. Raises ImageError, which says what is wrong
    with the URL.
    """
    scheme = DATA_SCHEME.match(url)
    if scheme is None:
        raise ImageError(EXPECTED)
    comma = url.find(",", scheme.end(), scheme.end() + MAX_HEAD_CHARS)
    if comma < 0:
        raise ImageError(f"the data: URL has no comma between its type and the picture; {EXPECTED}")
    media_type, *parameters = (part.strip().lower() for part in url[scheme.end() : comma].split(";"))
    chars = len(url) - comma - 1
    if chars > limits.max_bytes * MOST_CHARS_PER_BYTE + MAX_HEAD_CHARS:
        raise too_many_bytes(chars // MOST_CHARS_PER_BYTE, limits)
    encoded = _percent_decoded(url[comma + 1 :].encode("utf-8", "surrogatepass"))
    is_base64 = "base64" in (media_type, *parameters)
    data = _of_base64(encoded, limits) if is_base64 else encoded
    if len(data) > limits.max_bytes:
        raise too_many_bytes(len(data), limits)
    _check(data, media_type, is_base64=is_base64)
    return data


def _percent_decoded(text: bytes) -> bytes:
    """Escapes as the bytes that they stand for, all at once: a URL may consist of millions."""
    if b"%" not in text:
        return text
    codes = np.frombuffer(text, dtype=np.uint8)
    signs = np.flatnonzero(codes[:-2] == ord("%"))
    values = np.full(256, -1, dtype=np.int16)
    for digits in (b"0123456789abcdef", b"0123456789ABCDEF"):
        values[list(digits)] = range(16)
    high, low = values[codes[signs + 1]], values[codes[signs + 2]]
    whole = (high >= 0) & (low >= 0)
    signs = signs[whole]
    decoded = codes.copy()
    decoded[signs] = (high * 16 + low)[whole]
    return np.delete(decoded, np.concatenate([signs + 1, signs + 2])).tobytes()


def _of_base64(encoded: bytes, limits: ImageLimits) -> bytes:
    """Line breaks and other blanks are left out, padding may be missing, `-_` stand for `+/`."""
    bare = encoded.translate(bytes.maketrans(b"-_", b"+/"), BLANKS).rstrip(b"=")
    if len(bare) * 3 // 4 > limits.max_bytes:
        raise too_many_bytes(len(bare) * 3 // 4, limits)
    if strange := bare.translate(None, ALPHABET):
        character = strange.decode("utf-8", "backslashreplace")[0]
        raise ImageError(f"the base64 of the data: URL does not decode: {character!r} is none of its characters")
    if len(bare) % 4 == 1:
        raise ImageError(f"the base64 of the data: URL is cut off: no file has {len(bare):,} characters of it")
    return base64.b64decode(bare + b"=" * (-len(bare) % 4))


def _check(data: bytes, media_type: str, *, is_base64: bool) -> None:
    """Raises ImageError where what is there is no picture because the URL does not say or mean that it is one."""
    kind = kind_of(data)
    if kind in PICTURES:
        return
    if not media_type.startswith("image/") and media_type != "base64":
        named = media_type[:80] or "text/plain"
        raise ImageError(f"expected an image, got a data: URL of type {named}{f', {kind}' if kind else ''}")
    if not is_base64 and kind is None:
        raise ImageError("expected ;base64 before the comma of the data: URL, or a picture in percent-encoded bytes")
