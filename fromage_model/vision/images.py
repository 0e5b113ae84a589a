"""Bytes -> RGB pictures, limits held before anything is decoded. Knows nothing of models or where bytes come from.

Every picture that leaves this module is a PIL image of mode RGB, upright, 8 bits a channel, without alpha, and of an
animation its first frame, or the still picture that the file has for those who show no animations.
"""

import io
from dataclasses import dataclass
from functools import cache

from PIL import Image, ImageFile

from fromage_model.errors import ImageError
from fromage_model.storage.image_kinds import FORMATS, HEIF, PICTURES, kind_of
from fromage_model.vision.metadata import UPRIGHT, orientation_of, without_metadata
from fromage_model.vision.pixels import needs_another_look, rgb_of

ORIENTATION_TAG = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TILE_SIDE_TAGS = (322, 323)
JPEG_END = b"\xff\xd9"
PACKED_BMP = (1, 2)
MOST_PACKED_BMP = 4_000_000
"""Pixels, and bytes: this many take two seconds."""

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
    kind = _checked_kind(data, limits)
    bare, orientation = without_metadata(data, kind)
    try:
        return _decoded(bare, kind, orientation, limits, target_px)
    except ImageError:
        raise
    except Exception as error:  # Pillow's decoders answer damaged bytes with nearly any type, RuntimeError among them
        if kind == "JPEG" and (image := _of_jpeg_without_end(bare, orientation, limits, target_px)) is not None:
            return image
        raise ImageError(f"the picture is damaged: {error}") from error


def image_format(data: bytes) -> str:
    """The file format of `data`, one of FORMATS or HEIF, by its first bytes. Raises ImageError."""
    kind = kind_of(data)
    if kind in FORMATS:
        return kind
    if kind == HEIF and _reads_heif():
        return kind
    if kind == HEIF:
        raise ImageError("HEIC is read once pillow-heif is there: pip install pillow-heif; or make it a JPEG")
    known = ", ".join(FORMATS)
    if kind in PICTURES:
        raise ImageError(f"{kind} can't be read; make it one of {known}")
    raise ImageError(f"{kind + ', ' if kind else ''}not an image that can be read; known formats are {known}")


def _checked_kind(data: bytes, limits: ImageLimits) -> str:
    if not data:
        raise ImageError("the picture is empty: 0 bytes")
    if len(data) > limits.max_bytes:
        raise too_many_bytes(len(data), limits)
    return image_format(data)


@cache
def _reads_heif() -> bool:
    """Whether pillow-heif is there, which brings libraries under the GPL and is not installed unasked."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True


def _decoded(data: bytes, kind: str, orientation: int, limits: ImageLimits, target_px: int | None) -> Image.Image:
    image = _open(data, kind, limits)
    if target_px is not None and kind == "JPEG":
        image.draft("RGB", (target_px, target_px))
    if kind == "TIFF":
        orientation = _forget_exif(image)
    elif orientation == UPRIGHT and kind != HEIF:
        orientation = orientation_of(image.info.get("exif", b""))
    again = _open(data, kind, limits) if needs_another_look(image) else None
    rgb = rgb_of(image, again=again)
    return rgb if orientation not in TURNS else rgb.transpose(TURNS[orientation])


def _of_jpeg_without_end(
    data: bytes, orientation: int, limits: ImageLimits, target_px: int | None
) -> Image.Image | None:
    """The picture of a JPEG of which only the mark of its end is missing, as is frequent; None where pixels are.

    No decoder says whether the data went as far as the last pixel: where it did, what follows makes no difference.
    """
    if data.endswith(JPEG_END):
        return None
    data = data.removesuffix(JPEG_END[:1])
    try:
        some, other = (
            _decoded(data + more + JPEG_END, "JPEG", orientation, limits, target_px) for more in (b"", b"\x55" * 64)
        )
    except Exception:  # it is damaged in another way too
        return None
    return some if some.tobytes() == other.tobytes() else None


def _open(data: bytes, kind: str, limits: ImageLimits) -> ImageFile.ImageFile:
    """Read the header alone and hold the limits."""
    # Pillow has a cap of its own, for those who have none: where ours is higher, ours counts.
    if Image.MAX_IMAGE_PIXELS is not None and limits.max_pixels > Image.MAX_IMAGE_PIXELS:
        Image.MAX_IMAGE_PIXELS = limits.max_pixels
    try:
        image = Image.open(io.BytesIO(data), formats=(kind,))
    except Image.DecompressionBombError as error:
        raise ImageError(f"the picture has too many pixels: at most {limits.max_pixels:,} are read") from error
    except Exception as error:  # as above: the header is damaged
        raise ImageError(f"the picture is damaged: its {kind} header can't be read") from error
    width, height = image.size
    if width * height > limits.max_pixels:
        raise ImageError(f"the picture has too many pixels: {width} x {height}, at most {limits.max_pixels:,} are read")
    if width == 0 or height == 0:
        raise ImageError(f"the picture has no pixels: {width} x {height}")
    if max(width, height) > limits.max_ratio * min(width, height):
        raise ImageError(f"the picture is too elongated: {width} x {height}, at most {limits.max_ratio} to 1 is read")
    _check_packing(image, len(data), limits)
    return image


def _check_packing(image: ImageFile.ImageFile, size_bytes: int, limits: ImageLimits) -> None:
    """What costs more than the picture's own pixels: a TIFF's tiles may be larger than the picture itself, and Pillow
    unpacks a BMP in Python.
    """
    if image.format == "TIFF":
        wide, high = (image.tag_v2.get(tag) for tag in TILE_SIDE_TAGS)  # type: ignore[attr-defined]
        if isinstance(wide, int) and isinstance(high, int) and wide * high > limits.max_pixels:
            raise ImageError(f"the picture's tiles have too many pixels: at most {limits.max_pixels:,} are read")
    packed = image.format == "BMP" and image.info.get("compression") in PACKED_BMP
    if packed and max(image.width * image.height, size_bytes) > MOST_PACKED_BMP:
        most = f"at most {MOST_PACKED_BMP:,} pixels, and bytes, of a packed BMP are read"
        raise ImageError(f"the picture is too large: {most}; make it a PNG")


def too_many_bytes(size_bytes: int, limits: ImageLimits) -> ImageError:
    """Why a file is not decoded."""
    return ImageError(f"the picture is too large: {size_bytes:,} bytes, at most {limits.max_bytes:,} are read")


def _forget_exif(image: Image.Image) -> int:
    """The orientation of a TIFF, which Pillow now no longer turns by itself: for that it would rewrite all tags."""
    orientation = image.tag_v2.get(ORIENTATION_TAG, UPRIGHT)  # type: ignore[attr-defined]
    image.getexif().load(b"")
    return orientation if isinstance(orientation, int) else UPRIGHT
