"""What a picture's file says beside its pixels: only which way is up is read, and the rest is not even shown to Pillow.

EXIF, colour profiles, texts and previews are often damaged or huge, and no pixel depends on them. Here a file is walked
by its segments; nothing is unpacked, and nothing is copied but what is kept. Knows nothing of pixels.
"""

import re

from fromage_model.errors import ImageError

UPRIGHT = 1
ORIENTATION_TAG = 0x0112
SHORT = 3

# JPEG: the JFIF and Adobe segments say how colours are stored; those of other applications, and comments, don't.
JPEG_MARKER = re.compile(rb"\xff[^\xff\0]")
JPEG_SCAN, JPEG_APP1 = 0xDA, 0xE1
JPEG_METADATA = frozenset((*range(0xE1, 0xEE), 0xEF, 0xFE))
JPEG_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xDA)))

# A PNG with a chunk for each of its rows has some ten thousand. With more, to walk them alone would take seconds.
MOST_SEGMENTS = 100_000
TOO_MANY = f"the picture is in too many pieces: at most {MOST_SEGMENTS:,} are read"


def without_metadata(data: bytes, kind: str) -> tuple[bytes, int]:
    """A file of that kind -> one that shows the same pixels, and its orientation, 1 to 8 as EXIF counts them.

    The orientation of a kind other than JPEG and PNG is for its decoder to find: here it is 1. What is not as it should
    be is left for the decoder to judge. Raises ImageError where the file has too many segments.
    """
    if kind == "JPEG":
        return _jpeg(data)
    if kind == "PNG":
        return _png(data)
    if kind in ("AVIF", "HEIF"):
        return _boxes(data), UPRIGHT
    return data, UPRIGHT


def orientation_of(exif: bytes) -> int:
    """The orientation in an EXIF block, with or without its `Exif` mark; 1 where there is none.

    Like browsers do, the first directory alone is searched for one tag, whatever the others hold.
    """
    tiff = exif[6:] if exif.startswith(b"Exif\0") else exif
    if tiff[:2] not in (b"II", b"MM"):
        return UPRIGHT
    little = tiff[:2] == b"II"

    def number(at: int, size: int) -> int:
        return int.from_bytes(tiff[at : at + size], "little" if little else "big")

    start = number(4, 4)
    for at in range(start + 2, min(start + 2 + 12 * number(start, 2), len(tiff) - 11), 12):
        if number(at, 2) == ORIENTATION_TAG:
            found = number(at + 8, 2)
            return found if number(at + 2, 2) == SHORT and 1 <= found <= 8 else UPRIGHT
    return UPRIGHT


def _jpeg(data: bytes) -> tuple[bytes, int]:
    kept, at, exif = [data[:2]], 2, b""
    for _ in range(MOST_SEGMENTS):
        # Decoders skip what stands between segments, and so do we.
        found = JPEG_MARKER.search(data, at)
        if found is None:
            return b"".join(kept), orientation_of(exif)
        at, marker = found.end() - 2, data[found.end() - 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == JPEG_SCAN or marker in JPEG_WITHOUT_LENGTH or length < 2:
            return b"".join((*kept, data[at:])), orientation_of(exif)
        if marker not in JPEG_METADATA:
            kept.append(data[at : at + 2 + length])
        elif marker == JPEG_APP1 and not exif and data.startswith(b"Exif\0", at + 4):
            exif = data[at + 4 : at + 2 + length]
        at += 2 + length
    raise ImageError(TOO_MANY)


def _png(data: bytes) -> tuple[bytes, int]:
    kept, at, exif = [data[:8]], 8, b""
    for _ in range(MOST_SEGMENTS):
        name, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if name == b"eXIf":
            exif = data[at + 8 : end - 4]
        # A small first letter marks a chunk without which the picture can be shown. Frames of an animation are such.
        if name[:1].isupper() or name == b"tRNS":
            kept.append(data[at:end])
        at = end
        if name == b"IEND" or at + 8 > len(data):
            return b"".join(kept), orientation_of(exif)
    raise ImageError(TOO_MANY)


def _boxes(data: bytes) -> bytes:
    """AVIF and HEIF: nothing is said to describe the picture any more, so no decoder reads it. Sizes stay."""
    at = 0
    while at + 8 <= len(data):
        size, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        end = len(data) if size == 0 else at + size
        if name == b"meta":
            return data[:at] + data[at:end].replace(b"cdsc", b"skip") + data[end:]
        if end < at + 8:
            break
        at = end
    return data
