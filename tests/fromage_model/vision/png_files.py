"""PNG files of every kind, written without Pillow, and what they show, computed without it."""

import struct
import zlib

import numpy as np

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
KINDS = [(GREY, depth) for depth in (1, 2, 4, 8, 16)] + [(PALETTE, depth) for depth in (1, 2, 4, 8)]
KINDS += [(colour, depth) for colour in (RGB, GREY_ALPHA, RGBA) for depth in (8, 16)]
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
# Adam7: x and y of the first pixel of each pass, and the steps.
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_file(
    samples: np.ndarray, *, colour: int, depth: int, before: bytes = b"", after: bytes = b"", interlaced: bool = False
) -> bytes:
    """Samples (H, W, channels) as they stand in the file; `before` and `after` the pixels come further chunks."""
    height, width = samples.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    passes = [samples[y::dy, x::dx] for x, y, dx, dy in PASSES] if interlaced else [samples]
    body = zlib.compress(b"".join(_packed(part, depth) for part in passes if part.size))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + before + chunk(b"IDAT", body) + after + chunk(b"IEND", b"")


def shown(samples: np.ndarray, *, colour: int, depth: int, transparent=None, palette=None) -> np.ndarray:
    """What the file shows over white, (H, W, 3) of 0 to 255, not rounded. `transparent` is what tRNS says."""
    most = 2**depth - 1
    alpha = np.ones((*samples.shape[:2], 1))
    if colour == PALETTE:
        alphas = np.full(len(palette), 255)
        alphas[: len(transparent or ())] = transparent or ()
        rgb, alpha = palette[samples[..., 0]].astype(float), alphas[samples] / 255
    else:
        channels = samples / most
        grey = colour in (GREY, GREY_ALPHA)
        rgb = 255 * (channels[..., :1].repeat(3, axis=-1) if grey else channels[..., :3])
        if colour in (GREY_ALPHA, RGBA):
            alpha = channels[..., -1:]
        elif transparent is not None:
            alpha = 1.0 - (samples == transparent).all(axis=-1, keepdims=True)
    return rgb * alpha + 255 * (1 - alpha)


def _packed(samples: np.ndarray, depth: int) -> bytes:
    """Rows without a filter, pixels of few bits side by side in a byte."""
    if depth == 16:
        rows = samples.astype(">u2").reshape(len(samples), -1).view(np.uint8)
    else:
        bits = np.unpackbits(samples.astype(np.uint8).reshape(len(samples), -1, 1), axis=-1)[..., 8 - depth :]
        rows = np.packbits(bits.reshape(len(samples), -1), axis=-1)
    return b"".join(b"\0" + row.tobytes() for row in rows)
