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
# What comes next among the pixels: what stands for 255 and marks to restart from are no news.
JPEG_NEXT_MARKER = re.compile(rb"\xff[^\xff\0\x01\xd0-\xd8]")
JPEG_END = 0xD9
# Each scan goes over the whole picture, and takes some bytes. Encoders write ten, for four colours eighteen.
MOST_SCANS = 32

GIF_HEAD_BYTES = 13
GIF_IMAGE_OR_END, GIF_EXTENSION = b",;", ord("!")
GIF_TRANSPARENCY = b"\xf9"

# A PNG with a chunk for each of its rows has some ten thousand. With more, to walk them alone would take seconds.
MOST_SEGMENTS = 100_000
TOO_MANY = f"the picture is in too many pieces: at most {MOST_SEGMENTS:,} are read"


def without_metadata(data: bytes, kind: str) -> tuple[bytes, int]:
    """A file of that kind -> one that shows the same pixels, and its orientation, 1 to 8 as EXIF counts them.

    The orientation of a kind other than JPEG and PNG is for its decoder to find: here it is 1. What is not as it should
    be is left for the decoder to judge. Raises ImageError where it has too many segments, or scans.
    """
    if kind == "JPEG":
        return _jpeg(data)
    if kind == "PNG":
        return _png(data)
    if kind == "GIF":
        return _gif(data), UPRIGHT
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
            _check_scans(data, at)
            return b"".join((*kept, data[at:])), orientation_of(exif)
        if marker not in JPEG_METADATA:
            kept.append(data[at : at + 2 + length])
        elif marker == JPEG_APP1 and not exif and data.startswith(b"Exif\0", at + 4):
            exif = data[at + 4 : at + 2 + length]
        at += 2 + length
    raise ImageError(TOO_MANY)


def _check_scans(data: bytes, at: int) -> None:
    """Walks as libjpeg does, to the mark of the end; what other programs put behind it may hold anything."""
    scans = 0
    for _ in range(MOST_SEGMENTS):
        found = JPEG_NEXT_MARKER.search(data, at)
        if found is None or data[found.end() - 1] == JPEG_END:
            return
        at = found.end()
        scans += data[at - 1] == JPEG_SCAN
        if scans > MOST_SCANS:
            raise ImageError(f"the picture has too many scans: at most {MOST_SCANS} are read; save the JPEG anew")
        at += max(2, int.from_bytes(data[at : at + 2], "big"))
    raise ImageError(TOO_MANY)


def _gif(data: bytes) -> bytes:
    """Comments, and what applications left, before the first image: each of their bytes would cost forty."""
    palette = data[GIF_HEAD_BYTES - 3 : GIF_HEAD_BYTES - 2] or b"\0"
    at = GIF_HEAD_BYTES + (6 << (palette[0] & 7) if palette[0] & 0x80 else 0)
    kept, start, within = [data[:at]], at, False
    for _ in range(MOST_SEGMENTS):
        size = data[at] if at < len(data) else 0
        if within:
            at += 1 + size
            within = size > 0
            if not within and data[start + 1 : start + 2] == GIF_TRANSPARENCY:
                kept.append(data[start:at])
        elif at >= len(data) or data[at] in GIF_IMAGE_OR_END:
            return b"".join((*kept, data[at:]))
        elif data[at] == GIF_EXTENSION:
            start, at, within = at, at + 2, True
        else:  # a decoder passes over what is no block
            at += 1
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
