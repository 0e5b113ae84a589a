"""Ray Data stages: load in `__init__`, a batch in, a batch out.

Every row comes out again, with its error if it has one. Knows nothing of where batches come from and where they go.
"""

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fromage_model.catalogue.fetch import Fetcher, FetchLimits
from fromage_model.catalogue.siblings import thumbnail
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.images import ImageLimits, decode_image, image_format

# A JPEG is checked at this size: every byte is still read, few pixels are made.
CHECKED_AT_PX = 224
# The encoders see squares of 224 to 384 pixels; a large JPEG need not be decoded at more than twice that.
DECODED_AT_PX = 512
MAX_MESSAGE_CHARS = 500
EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif"}

FETCHED = pa.schema(
    [
        ("row", pa.int64()),
        ("data", pa.large_binary()),
        ("sha256", pa.string()),
        ("extension", pa.string()),
        ("thumbnail", pa.binary()),
        ("stage", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
    ]
)
EMBEDDED = pa.schema(
    [
        ("id", pa.string()),
        ("stage", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
    ]
)


class FetchPictures:
    """(row, image, svg) -> FETCHED: the bytes of each picture, checked by decoding it, or why there are none.

    `svg` holds a drawing, which is rasterised on white; where it is null, `image` is a path or an http(s) URL.
    """

    columns = ("row", "image", "svg")

    def __init__(
        self,
        *,
        side_px: int,
        image_limits: ImageLimits = ImageLimits(),
        allow_private: bool = False,
        threads: int = 8,
    ):
        self.side_px = side_px
        self.image_limits = image_limits
        self.fetch_limits = FetchLimits(max_bytes=image_limits.max_bytes)
        self.allow_private = allow_private
        self._threads = ThreadPoolExecutor(threads)
        self._mine = local()

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="FetchPictures")
        rows = list(self._threads.map(self._one, batch.to_pylist()))
        return pa.Table.from_pylist(rows, schema=FETCHED)

    def _one(self, row: dict[str, Any]) -> dict[str, Any]:
        result = {"row": row["row"], "attempts": 1}
        stage = "fetch" if row["svg"] is None else "render"
        try:
            if row["svg"] is not None:
                data = self._render(row["svg"])
            else:
                fetched = self._fetcher().fetch(row["image"])
                result["attempts"] = fetched.attempts
                if fetched.data is None:
                    return result | failed(stage, fetched.error)
                stage, data = "decode", fetched.data
            picture = decode_image(data, limits=self.image_limits, target_px=CHECKED_AT_PX)
            if row["svg"] is not None:
                result["thumbnail"] = thumbnail(picture).tobytes()
            found = image_format(data, limits=self.image_limits)
        except (InvalidInput, ValueError) as error:
            return result | failed(stage, error)
        extension = EXTENSIONS.get(found, found.lower())
        return result | {"data": data, "sha256": hashlib.sha256(data).hexdigest(), "extension": extension}

    def _fetcher(self) -> Fetcher:
        if not hasattr(self._mine, "fetcher"):
            self._mine.fetcher = Fetcher(limits=self.fetch_limits, allow_private=self.allow_private)
        return self._mine.fetcher

    def _render(self, svg: bytes) -> bytes:
        """System fonts are left alone, so that every machine draws the same bytes."""
        import resvg_py

        return resvg_py.svg_to_bytes(
            svg_string=svg.decode(),
            width=self.side_px,
            height=self.side_px,
            background="white",
            skip_system_fonts=True,
        )


class EmbedPictures:
    """(id, image) -> EMBEDDED, vector, encoder_fingerprint: a frozen encoder's features (F,) of each picture.

    `image` is a path or an http(s) URL. Pictures are decoded and run through the encoder a batch at a time.
    """

    columns = ("id", "image")

    def __init__(
        self,
        *,
        encoder: str,
        device: str,
        threads: int,
        image_limits: ImageLimits = ImageLimits(),
        allow_private: bool = False,
    ):
        import torch

        from fromage_model.vision import load_vision_encoder

        # Ray gives a worker one thread for each whole CPU it reserves, whatever the machine has.
        torch.set_num_threads(threads)
        self.encoder = load_vision_encoder(encoder, device=device)
        self.image_limits = image_limits
        self._fetcher = Fetcher(limits=FetchLimits(max_bytes=image_limits.max_bytes), allow_private=allow_private)

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="EmbedPictures")
        pictures, results = [], []
        for row in batch.to_pylist():
            picture, result = self._decode(row["image"])
            pictures += [picture] if picture is not None else []
            results.append({"id": row["id"]} | result)
        good = np.array(["error" not in result for result in results], dtype=bool)
        vectors = np.zeros((len(results), self.encoder.feature_width), dtype=np.float32)
        vectors[good] = self.encoder.encode(pictures)
        table = pa.Table.from_pylist(results, schema=EMBEDDED)
        column = pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), vectors.shape[1], mask=pa.array(~good))
        table = table.append_column("vector", column)
        return table.append_column("encoder_fingerprint", pa.array([self.encoder.fingerprint] * len(results)))

    def _decode(self, image: str) -> tuple[Image.Image | None, dict[str, Any]]:
        """The picture, or None and its error."""
        fetched = self._fetcher.fetch(image)
        if fetched.data is None:
            return None, {"attempts": fetched.attempts} | failed("fetch", fetched.error)
        try:
            picture = decode_image(fetched.data, limits=self.image_limits, target_px=DECODED_AT_PX)
        except InvalidInput as error:
            return None, {"attempts": fetched.attempts} | failed("decode", error)
        return picture, {"attempts": fetched.attempts}


def require_columns(batch: pa.Table, columns: Sequence[str], *, stage: str) -> None:
    """Raises CatalogueError, which names the columns that a stage needs and does not find."""
    missing = [name for name in columns if name not in batch.column_names]
    if missing:
        raise CatalogueError(f"{stage}: missing columns {', '.join(missing)}; found {', '.join(batch.column_names)}")


def failed(stage: str, error: Exception | None) -> dict[str, str]:
    """The fields of a row that went wrong."""
    return {"stage": stage, "error": type(error).__name__, "message": str(error)[:MAX_MESSAGE_CHARS]}
