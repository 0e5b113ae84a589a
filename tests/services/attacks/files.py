"""Picture files that are not what they seem, by name: each would cost far more than it weighs, or is no picture."""

import struct
import zlib
from base64 import b64encode
from collections.abc import Callable
from functools import cache

from PIL import Image

from tests.fromage_model.vision.png_files import chunk
from tests.pictures import encoded, png

RED = Image.new("RGB", (8, 8), "red")


def png_of(width: int, height: int, pixels: bytes, *, before: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + before + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@cache
def zeros(megabytes: int) -> bytes:
    """A zlib stream of that many MiB of zeros, a thousandth of it."""
    packer = zlib.compressobj(6)
    return b"".join([packer.compress(bytes(1 << 20)) for _ in range(megabytes)] + [packer.flush()])


def webp_of(width: int, height: int) -> bytes:
    """An animation of one small frame on a canvas of that size."""
    sides = struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    small = struct.pack("<I", 7)[:3] * 2
    frame = bytes(6) + small + b"\x10\0\0\0" + encoded(RED, "WEBP")[12:]
    inner = b"VP8X" + struct.pack("<I", 10) + b"\2\0\0\0" + sides + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    inner += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", 4 + len(inner)) + b"WEBP" + inner


def gif_with(*, side_px: int | None = None, before: bytes = b"") -> bytes:
    whole = encoded(Image.new("P", (8, 8)), "GIF")
    at = whole.index(b",\0\0\0\0\x08\0\x08\0")
    sides = whole[at + 5 : at + 9] if side_px is None else struct.pack("<HH", side_px, side_px)
    return whole[:at] + before + whole[at : at + 5] + sides + whole[at + 9 :]


def tiff_of(*, side_px: int = 8, tile_px: int = 16, pixels: bytes = b"") -> bytes:
    """One tile of grey, packed with zlib."""
    values = {256: side_px, 257: side_px, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile_px, 323: tile_px, 324: 8}
    entries = [(tag, 4, 1, value) for tag, value in (values | {325: len(pixels)}).items()]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return (
        b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(entries)) + directory + bytes(4)
    )


def jpeg_of_scans(side_px: int, count: int) -> bytes:
    plain = encoded(Image.new("L", (side_px, side_px), 128), "JPEG", progressive=True)
    return plain[:-2] + plain[plain.rindex(b"\xff\xda") : -2] * count + b"\xff\xd9"


def bmp_of_short_rows(side_px: int) -> bytes:
    """One pixel and the end of the row, for each row."""
    sizes = struct.pack("<IiiHHIIiiII", 40, side_px, side_px, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + sizes + bytes(1024) + b"\1\1\0\0" * side_px


def avif_claiming(side_px: int) -> bytes:
    whole = encoded(RED, "AVIF")
    at = whole.index(b"ispe") + 8
    return whole[:at] + struct.pack(">II", side_px, side_px) + whole[at + 8 :]


def jpeg_with(segment: bytes) -> bytes:
    plain = encoded(RED, "JPEG")
    return plain[:2] + segment + plain[2:]


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (16, 16), (number % 256, number // 256, 0)) for number in range(300)]
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:])


BOMBS: dict[str, Callable[[], bytes]] = {
    "png that claims 10^9 pixels": lambda: png_of(40_000, 40_000, zlib.compress(b"\0")),
    "png of 2^31 columns": lambda: png_of(2**31 - 1, 2**31 - 1, b""),
    "webp of 16,000 px": lambda: webp_of(16_000, 16_000),
    "webp of 2^24 columns": lambda: webp_of(2**24, 200),
    "gif whose frame is 60,000 px": lambda: gif_with(side_px=60_000),
    "gif of countless comments": lambda: gif_with(before=b"!\xfe\1a\0" * 2_000_000),
    "gif of one endless comment": lambda: gif_with(before=b"!\xfe" + b"\1a" * 5_000_000 + b"\0"),
    "tiff of 60,000 px": lambda: tiff_of(side_px=60_000, tile_px=60_000),
    "tiff of one tile, 16,000 px": lambda: tiff_of(tile_px=16_000, pixels=zeros(245)),
    "avif that claims 60,000 px": lambda: avif_claiming(60_000),
    "bmp of 7,000 short rows": lambda: bmp_of_short_rows(7000),
    "jpeg of 2,000 scans": lambda: jpeg_of_scans(7000, 2000),
    "jpeg in 10^6 pieces": lambda: jpeg_with(b"\xff\xfe\0\2" * 10**6),
    "png in 10^6 pieces": lambda: png_of(8, 8, b"", before=chunk(b"teXt", b"") * 10**6),
    "a row of 65,000 pixels": lambda: encoded(Image.new("L", (65_000, 1))),
    "a column of 65,000 pixels": lambda: encoded(Image.new("L", (1, 65_000))),
}
"""Refused, and nearly nothing spent on them."""

NO_PICTURES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\x89",
    "the beginning of a png": lambda: png()[:30],
    "half a png": lambda: (whole := encoded(Image.effect_noise((64, 64), 80)))[: len(whole) // 2],
    "half a jpeg": lambda: (whole := encoded(Image.effect_noise((64, 64), 80), "JPEG"))[: len(whole) // 2],
    "half a webp": lambda: (whole := encoded(RED, "WEBP", lossless=True))[: len(whole) // 2],
    "a png without pixels": lambda: png_of(0, 0, zlib.compress(b"")),
    "a page that goes on as a png": lambda: b"<html><script>alert(1)</script>" + png(),
    "an archive that goes on as a gif": lambda: b"PK\3\4" + gif_with(),
    "a drawing that asks for a file": lambda: b"<svg xmlns='x'><image href='file:///etc/passwd'/></svg>",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n(/etc/passwd) (r) file\n",
    "a pdf": lambda: b"%PDF-1.7\n" + png(),
    "an icon": lambda: encoded(RED, "ICO"),
    "a psd": lambda: b"8BPS\0\1" + bytes(20),
    "a jpeg 2000": lambda: encoded(RED, "JPEG2000"),
    "a ppm": lambda: encoded(RED, "PPM"),
    "a pcx": lambda: encoded(RED, "PCX"),
    "a tga": lambda: encoded(RED, "TGA"),
}

HARMLESS: dict[str, Callable[[], bytes]] = {
    "png whose pixels unpack to far too many": lambda: png_of(8, 8, zeros(245)),
    "png whose profile unpacks to far too much": lambda: png_of(
        8, 8, zlib.compress(bytes(8 * 25)), before=chunk(b"iCCP", b"a\0\0" + zeros(245))
    ),
    "png of many texts that unpack": lambda: png_of(
        8, 8, zlib.compress(bytes(8 * 25)), before=chunk(b"zTXt", b"a\0\0" + zeros(1)) * 200
    ),
    "webp of a profile of megabytes": lambda: encoded(RED, "WEBP", icc_profile=bytes(8 << 20)),
    "tiff whose strip unpacks to far too many": lambda: tiff_of(pixels=zeros(245)),
    "gif of 300 frames": lambda: animated("GIF"),
    "webp of 300 frames": lambda: animated("WEBP"),
    "apng of 300 frames": lambda: animated("PNG"),
    "png that goes on as a page": lambda: png() + b"<script>alert(1)</script>" * 1000,
    "jpeg that goes on as an archive": lambda: encoded(RED, "JPEG") + b"PK\3\4" + bytes(1000),
}
"""Read as the small pictures that they are, and what is wound up in them stays so."""


@cache
def file_of(name: str) -> bytes:
    return (BOMBS | NO_PICTURES | HARMLESS)[name]()


def as_url(data: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"
