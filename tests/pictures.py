"""Small pictures for tests."""

import io
from pathlib import Path

from PIL import Image


def png(colour: str = "red", *, side_px: int = 8) -> bytes:
    """A square of one colour."""
    return encoded(Image.new("RGB", (side_px, side_px), colour))


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def write_png(path: Path, colour: str = "red", *, side_px: int = 8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png(colour, side_px=side_px))
    return path
