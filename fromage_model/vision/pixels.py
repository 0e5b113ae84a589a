"""Opened pictures of any mode -> 8-bit RGB as a browser shows them over white. Knows nothing of files, limits or EXIF.

Colour profiles are not applied: the encoders were trained on pictures read without them.
"""

import numpy as np
from PIL import Image, ImageFile

# How Pillow unpacks grey of few bits, and of how many: it scales the pixels, and not the colour that is transparent.
SHALLOW_GREY = {"1": 1, "L;2": 2, "L;4": 4}
ROWS_AT_ONCE = 256
WHITE = 255


def rgb_of(image: ImageFile.ImageFile, *, again: ImageFile.ImageFile | None = None) -> Image.Image:
    """Decode an opened picture. `again` is the same, opened once more, for what one decoding can't tell.

    Raises whatever Pillow's decoders raise.
    """
    stored = image.tile[0] if image.tile else None
    unpacked = stored.args if stored is not None else None
    if image.format == "PNG" and unpacked in SHALLOW_GREY and isinstance(key := image.info.get("transparency"), int):
        most = 2 ** SHALLOW_GREY[unpacked] - 1
        image.info["transparency"] = (key & most) * 255 // most
    deep_key = image.info.pop("transparency", None) if unpacked == "RGB;16B" else None
    image.load()
    if deep_key is not None and again is not None:
        return _without_deep_key(image, again, deep_key)
    box = stored.extents if stored is not None else None
    if image.format == "GIF" and box is not None and box != (0, 0, *image.size):
        return _on_white_screen(image, box)
    if image.format == "BMP" and image.mode == "RGBA" and image.getchannel("A").getextrema() == (0, 0):
        # Many programs leave the fourth byte at nothing and mean no transparency by it.
        return image.convert("RGB")
    return _to_rgb(image)


def needs_another_look(image: ImageFile.ImageFile) -> bool:
    """Whether `rgb_of` wants the picture opened `again`: a PNG of 16 bits a channel with a transparent colour."""
    return "transparency" in image.info and bool(image.tile) and image.tile[0].args == "RGB;16B"


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


def _without_deep_key(image: Image.Image, again: ImageFile.ImageFile, key: tuple[int, ...]) -> Image.Image:
    """White where all 16 bits of each channel are the key's: Pillow gives the high bytes, and so asked the low ones."""
    again.tile = [again.tile[0]._replace(args="RGB;16L")]
    again.load()
    high, low = np.array(image), np.asarray(again)
    colour = np.array(key)
    high[(high == colour >> 8).all(axis=-1) & (low == (colour & 255)).all(axis=-1)] = WHITE
    return Image.fromarray(high)


def _on_white_screen(image: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    """A GIF's first frame may cover a part of the screen: the rest is transparent."""
    screen = Image.new("RGB", image.size, "white")
    screen.paste(_to_rgb(image.crop(box)), box[:2])
    return screen


def _from_deep_grey(image: Image.Image) -> Image.Image:
    """16-bit grey -> 8 bits of it; 32-bit and float grey are spread over the range of their finite values.

    White stands for the transparent value and for infinity, black for its negative and for what is no number.
    """
    values = np.asarray(image)
    low, factor = _range_of(values, sixteen_bits=image.mode.startswith("I;16"))
    grey = np.empty(values.shape, dtype=np.uint8)
    for row in range(0, len(values), ROWS_AT_ONCE):
        some = (values[row : row + ROWS_AT_ONCE].astype(np.float64) - low) * factor
        grey[row : row + ROWS_AT_ONCE] = np.nan_to_num(some.clip(0, 255)).round()
    if (key := image.info.get("transparency")) is not None:
        grey[values == key] = WHITE
    return Image.fromarray(grey).convert("RGB")


def _range_of(values: np.ndarray, *, sixteen_bits: bool) -> tuple[float, float]:
    """What is black, and by what a value above it is multiplied so that white is 255."""
    finite = values[np.isfinite(values)]
    if sixteen_bits or not finite.size:
        return 0.0, 1 / 257
    low, high = float(finite.min()), float(finite.max())
    if values.dtype.kind == "i" and low >= 0 and 255 < high <= 65535:
        return 0.0, 1 / 257
    if low < 0 or high > 255 or high <= 1:
        return low, 255 / max(high - low, 1e-12)
    return 0.0, 1.0
