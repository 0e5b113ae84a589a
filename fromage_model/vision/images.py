"""Bytes -> RGB pictures, limits held before anything is decoded. Knows nothing of models or where bytes come from.

Every picture that leaves this module is a PIL image of mode RGB, upright, 8 bits a channel, first frame, without alpha.
"""

import base64
import binascii
import io
import re
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

from fromage_model.errors import ImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF")
DATA_URL = re.compile(
    r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?P<parameters>(;[\w.+-]+=[^;,]*)*)(?P<base64>;base64)?,", re.IGNORECASE
)
ORIENTATION_TAG = 0x0112

DECODED_AT_PX = 448
"""Encoders see squares of 224 to 384 pixels; for them a large JPEG is decoded at no less than twice the smaller."""


@dataclass(frozen=True)
class ImageLimits:
    """What a picture may cost. `max_bytes`: of the file. `max_pixels`: width x height, read from the header.

    `max_ratio`: of the longer side to the shorter. CLIP's preprocessing brings the shorter side to 224 pixels before it
    crops, and 65,000 x 1 pixels would become 14,560,000 x 224.
    """

    max_bytes: int = 20 * 1024 * 1024
    max_pixels: int = 50_000_000
    max_ratio: int = 100


def decode_image(data: bytes, *, limits: ImageLimits = ImageLimits(), target_px: int | None = None) -> Image.Image:
    """The picture in `data` as RGB, upright, transparent parts over white.

    With `target_px`, a JPEG much larger than that is decoded at a half, a quarter or an eighth of its size; the result
    is never smaller than `target_px` on either side unless the picture is. Raises ImageError with the reason.
    """
    image = _open(data, limits)
    try:
        if target_px is not None:
            image.draft("RGB", (target_px, target_px))
        image.load()
        return _to_rgb(_upright(image))
    except Exception as error:  # Pillow's decoders answer damaged bytes with nearly any type, RuntimeError among them
        raise ImageError(f"the picture is damaged: {error}") from error


def decode_data_url(url: str, *, limits: ImageLimits = ImageLimits()) -> Image.Image:
    """The picture in a `data:image/...;base64,...` URL, as `decode_image` gives it. Raises ImageError."""
    return decode_image(data_url_bytes(url, limits=limits), limits=limits)


def data_url_bytes(url: str, *, limits: ImageLimits = ImageLimits()) -> bytes:
    """The file in a `data:image/...;base64,...` URL, at most `max_bytes` of it, not yet decoded. Raises ImageError."""
    head = DATA_URL.match(url[:1000])
    if head is None:
        raise ImageError("expected a URL like data:image/png;base64,...")
    if not (head["type"] or "").lower().startswith("image/"):
        raise ImageError(f"expected an image, got a data: URL of type {head['type'] or 'text/plain'}")
    if head["base64"] is None:
        raise ImageError("expected ;base64 in the data: URL")
    encoded = url[head.end() :]
    if len(encoded) * 3 // 4 > limits.max_bytes + 3:
        raise _too_many_bytes(len(encoded) * 3 // 4, limits)
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"the base64 of the data: URL does not decode: {error}") from error


def image_format(data: bytes, *, limits: ImageLimits = ImageLimits()) -> str:
    """The file format of `data`, one of FORMATS, read from its header. Raises ImageError."""
    found = _open(data, limits).format or ""
    return "JPEG" if found == "MPO" else found


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    """Read the header alone and hold the limits."""
    if not data:
        raise ImageError("the picture is empty: 0 bytes")
    if len(data) > limits.max_bytes:
        raise _too_many_bytes(len(data), limits)
    # Pillow has a cap of its own, for those who have none: where ours is higher, ours counts.
    if Image.MAX_IMAGE_PIXELS is not None and limits.max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limits.max_pixels
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise ImageError(f"the picture has too many pixels: at most {limits.max_pixels:,} are read") from error
    except Exception as error:  # as above: the header is damaged, or no plugin knows it
        raise ImageError(f"not an image that can be read; known formats are {', '.join(FORMATS)}") from error
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ImageError(f"the picture has too many pixels: {width} x {height}, at most {limits.max_pixels:,} are read")
    if width == 0 or height == 0:
        raise ImageError(f"the picture has no pixels: {width} x {height}")
    if max(width, height) > limits.max_ratio * min(width, height):
        raise ImageError(f"the picture is too elongated: {width} x {height}, at most {limits.max_ratio} to 1 is read")
    return image


def _too_many_bytes(size_bytes: int, limits: ImageLimits) -> ImageError:
    return ImageError(f"the picture is too large: {size_bytes:,} bytes, at most {limits.max_bytes:,} are read")


def _upright(image: Image.Image) -> Image.Image:
    """Apply the EXIF orientation; a picture with broken EXIF is taken as it stands."""
    try:
        orientation = image.getexif().get(ORIENTATION_TAG, 1)
    except Exception:  # a tag's bytes are damaged: the picture itself may be whole
        return image
    return ImageOps.exif_transpose(image) if orientation in range(2, 9) else image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(image)
    if "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info:
        colour = image.convert("RGBA")
        white = Image.new("RGBA", colour.size, "white")
        return Image.alpha_composite(white, colour).convert("RGB")
    return image.convert("RGB")


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """16-bit grey -> 8 bits by dropping the low byte; 32-bit and float grey are spread over their own range."""
    values = np.asarray(image).astype(np.float32)
    if image.mode.startswith("I;16") or (image.mode == "I" and 255 < values.max(initial=0) <= 65535):
        values /= 257
    else:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if low < 0 or high > 255 or high <= 1:
            values = (values - low) * np.float32(255 / max(high - low, 1e-12))
    return Image.fromarray(np.nan_to_num(values).clip(0, 255).round().astype(np.uint8)).convert("RGB")
