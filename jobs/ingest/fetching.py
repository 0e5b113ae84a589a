"""The stage of `jobs.ingest` that fetches, checks and keeps pictures. Knows nothing of where rows come from.

A picture that is read is decoded once, which is its check, and written by the worker under the sha256 of its bytes: it
goes neither through Ray nor through the driver.
"""

import hashlib
from threading import local
from typing import Any

import pyarrow as pa
from PIL import Image

from fromage_model.catalogue.feeds.arrow import CellReader
from fromage_model.catalogue.feeds.feed import Cell
from fromage_model.catalogue.pictures.answers import Fetched
from fromage_model.catalogue.pictures.fetch import Fetcher, FetchLimits, Wanted
from fromage_model.catalogue.pictures.perceptual import signature
from fromage_model.catalogue.siblings import thumbnail
from fromage_model.catalogue.table import IMAGES_FOLDER
from fromage_model.errors import FromageError, InvalidInput
from fromage_model.vision.data_urls import data_url_bytes
from fromage_model.vision.drawings import rasterised
from fromage_model.vision.images import ImageLimits, decode_image, image_format
from jobs.common.durable import Files
from jobs.common.stages.rows import failed, require_columns

# A JPEG is checked at this size: every byte is still read, few pixels are made.
CHECKED_AT_PX = 224
EXTENSIONS = {"JPEG": "jpg", "TIFF": "tif"}

CELL = pa.struct([("file", pa.string()), ("part", pa.int64()), ("row", pa.int64()), ("column", pa.string())])
# What is known of a picture that came before: where it lies in the catalogue, what it is, and its validators.
BEFORE = pa.struct(
    [
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("signature", pa.binary()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
    ]
)
WANTED = pa.schema(
    [
        ("row", pa.int64()),
        ("image", pa.string()),
        ("svg", pa.large_binary()),
        ("data_url", pa.large_string()),
        ("cell", CELL),
        ("before", BEFORE),
    ]
)
FETCHED = pa.schema(
    [
        ("row", pa.int64()),
        ("file", pa.string()),
        ("sha256", pa.string()),
        ("signature", pa.binary()),
        ("thumbnail", pa.binary()),
        ("etag", pa.string()),
        ("last_modified", pa.string()),
        ("unchanged", pa.bool_()),
        ("stage", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
    ]
)


class FetchPictures:
    """WANTED -> FETCHED: each picture in `folder`/images (a path or URI), checked by decoding it, or why it is not.

    `svg` holds a drawing, which is rasterised on white; `data_url` the picture itself; `cell` says where in a table its
    bytes stand; where all are null, `image` is a path or URL. A picture that the server says is unchanged is as it was
    `before`, and not written. Whatever goes wrong with one picture is the failure of its row alone. Raises WriteError
    where pictures can't be written, and CatalogueError where the table of a cell can't be read.
    """

    columns = tuple(WANTED.names)

    def __init__(
        self,
        *,
        folder: str,
        side_px: int,
        image_limits: ImageLimits = ImageLimits(),
        fetch_limits: FetchLimits = FetchLimits(),
        allow_private: bool = False,
        threads: int = 4,
    ):
        self.images = Files(f"{folder}/{IMAGES_FOLDER}")
        self.side_px = side_px
        self.image_limits = image_limits
        self._fetcher = Fetcher(limits=fetch_limits, allow_private=allow_private, threads=threads)
        self._mine = local()

    def __call__(self, batch: pa.Table) -> pa.Table:
        require_columns(batch, self.columns, stage="FetchPictures")
        rows = batch.to_pylist()
        results = self._fetcher.each(
            [_wanted(row) for row in rows], lambda number, fetched: self._one(rows[number], fetched)
        )
        return pa.Table.from_pylist(results, schema=FETCHED)

    def close(self) -> None:
        self._fetcher.close()

    def _one(self, row: dict[str, Any], fetched: Fetched | None) -> dict[str, Any]:
        result = {"row": row["row"], "attempts": fetched.attempts if fetched else 1, "unchanged": False}
        if fetched is not None and fetched.unchanged:
            return result | row["before"] | {"unchanged": True}
        if fetched is not None and fetched.data is None:
            return result | failed("fetch", fetched.error)
        stage = "render" if row["svg"] is not None else "decode"
        try:
            data = fetched.data if fetched and fetched.data is not None else self._own(row)
            stage = "decode"
            picture = decode_image(data, limits=self.image_limits, target_px=CHECKED_AT_PX)
            found = image_format(data)
            result |= self._kept(row, picture, data, EXTENSIONS.get(found, found.lower()))
        except Exception as error:  # whatever a library makes of these bytes; not a target or table that fails all rows
            if isinstance(error, FromageError) and not isinstance(error, InvalidInput):
                raise
            return result | failed(stage, error)
        if fetched is not None:
            result |= {"etag": fetched.etag, "last_modified": fetched.last_modified}
        return result

    def _kept(self, row: dict[str, Any], picture: Image.Image, data: bytes, extension: str) -> dict[str, Any]:
        """Write the picture under the hash of its bytes: two rows that show the same one share a file."""
        sha256 = hashlib.sha256(data).hexdigest()
        name = f"{sha256}.{extension}"
        if not (self.images.is_local and self.images.has(name)):
            self.images.write(name, data, sync=False)
        small = thumbnail(picture).tobytes() if row["svg"] is not None else None
        file = f"{IMAGES_FOLDER}/{name}"
        return {"file": file, "sha256": sha256, "signature": signature(picture), "thumbnail": small}

    def _own(self, row: dict[str, Any]) -> bytes:
        """The bytes of a picture that nobody need fetch."""
        if row["svg"] is not None:
            return rasterised(row["svg"], side_px=self.side_px)
        if row["data_url"] is not None:
            return data_url_bytes(row["data_url"], limits=self.image_limits)
        if not hasattr(self._mine, "cells"):
            self._mine.cells = CellReader()
        return self._mine.cells.read(Cell(**row["cell"]))


def _wanted(row: dict[str, Any]) -> Wanted | None:
    if any(row[own] is not None for own in ("svg", "data_url", "cell")):
        return None
    before = row["before"] or {}
    return Wanted(row["image"], etag=before.get("etag"), last_modified=before.get("last_modified"))
