"""Pictures of items made smaller, or another format, once: kept within bytes. Knows nothing of catalogues."""

import io
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock

from PIL import Image

from fromage_model.vision.images import decode_image
from services.products import ImageFile, Variant

QUALITY = {"jpeg": 88, "webp": 82}


class Thumbnails:
    """The last variants that were asked for, at most `max_bytes` of them."""

    def __init__(self, *, max_bytes: int = 0):
        self._max_bytes = max_bytes
        self._kept: OrderedDict[tuple[str, Variant], ImageFile] = OrderedDict()
        self._bytes = 0
        # One picture is decoded at a time: each may take a hundred megabytes, and who waits may find it made.
        self._making = Lock()
        self._lock = Lock()

    @property
    def kept_bytes(self) -> int:
        return self._bytes

    def get(self, sha256: str, variant: Variant, read: Callable[[], bytes]) -> ImageFile:
        """The variant of the picture with this sha256, whose file `read` returns. Raises what `read` and
        `decode_image` raise.
        """
        if (found := self._recall((sha256, variant))) is not None:
            return found
        with self._making:
            if (found := self._recall((sha256, variant))) is not None:
                return found
            made = ImageFile(resized(read(), variant), f"image/{variant.format}", sha256)
            self._keep((sha256, variant), made)
            return made

    def _recall(self, key: tuple[str, Variant]) -> ImageFile | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[str, Variant], made: ImageFile) -> None:
        with self._lock:
            self._kept[key] = made
            self._bytes += len(made.data)
            while self._bytes > self._max_bytes:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= len(dropped.data)


def resized(data: bytes, variant: Variant) -> bytes:
    """A picture's file -> one of the variant's width, or less where the picture is smaller: RGB, what was transparent
    white. Raises ImageError.
    """
    image = decode_image(data, target_px=variant.width)
    if image.width > variant.width:
        height = max(1, round(image.height * variant.width / image.width))
        image = image.resize((variant.width, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, variant.format.upper(), quality=QUALITY[variant.format])
    return file.getvalue()
