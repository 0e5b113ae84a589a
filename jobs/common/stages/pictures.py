"""Stages of durable runs that look at pictures: decoded on CPUs, encoded where the encoder is.

Knows nothing of where rows come from and where they go. Shapes: V views, H = W side in pixels, F feature width.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fromage_model.catalogue.features import FULL_VIEW
from fromage_model.catalogue.pictures.fetch import Fetched, Fetcher, FetchLimits
from fromage_model.errors import InvalidInput
from fromage_model.vision.images import DECODED_AT_PX, ImageLimits, decode_image
from jobs.common.stages.rows import failed, require_columns

FLIP_VIEW = "flip"
# A crop's area, as a share of the picture's, and its side to side, as in the training of most encoders.
CROP_AREAS = (0.5, 1.0)
CROP_RATIOS = (3 / 4, 4 / 3)


def limits_of(settings: Mapping[str, Any]) -> ImageLimits:
    """The limits of an ingest with these settings: what it accepted, no later job refuses."""
    usual = ImageLimits()
    mib, megapixels = settings.get("max_image_mib"), settings.get("max_image_megapixels")
    return ImageLimits(
        max_bytes=usual.max_bytes if mib is None else int(mib * 2**20),
        max_pixels=usual.max_pixels if megapixels is None else int(megapixels * 1e6),
    )


class PictureReader:
    """`place`, a path, a URL or a URI such as s3://bucket/a.png, -> the picture, or the reason why there is none."""

    def __init__(self, *, image_limits: ImageLimits = ImageLimits(), allow_private: bool = False):
        self.image_limits = image_limits
        self._fetcher = Fetcher(limits=FetchLimits(max_bytes=image_limits.max_bytes), allow_private=allow_private)

    def close(self) -> None:
        self._fetcher.close()

    def read(self, place: str) -> tuple[Image.Image | None, dict[str, Any]]:
        """The picture, RGB and upright, and the fields that its row gets beside it."""
        fetched: Fetched = self._fetcher.fetch(place)
        attempts = {"attempts": fetched.attempts}
        if fetched.data is None:
            return None, attempts | failed("fetch", fetched.error)
        try:
            return decode_image(fetched.data, limits=self.image_limits, target_px=DECODED_AT_PX), {}
        except InvalidInput as error:
            return None, attempts | failed("decode", error)


class DecodePictures:
    """(row, id, place, image_sha256) -> row, id, image_sha256, squares: each view of a picture as an encoder wants it.

    `squares` holds V x H x W x 3 bytes in the order of `views_of`.
    """

    columns = ("row", "id", "place", "image_sha256")

    def __init__(
        self,
        *,
        encoder: str,
        flips: bool = False,
        crops: int = 0,
        image_limits: ImageLimits = ImageLimits(),
        allow_private: bool = False,
    ):
        from fromage_model.vision.encoders import load_squares

        self.squares = load_squares(encoder)
        self.flips = flips
        self.crops = crops
        self._reader = PictureReader(image_limits=image_limits, allow_private=allow_private)

    def __call__(self, rows: pa.Table) -> pa.Table:
        require_columns(rows, self.columns, stage="DecodePictures")
        return pa.Table.from_pylist([self._one(row) for row in rows.to_pylist()], schema=DECODED)

    def close(self) -> None:
        self._reader.close()

    def _one(self, row: dict[str, Any]) -> dict[str, Any]:
        kept = {name: row[name] for name in ("row", "id", "image_sha256")}
        picture, fields = self._reader.read(row["place"])
        if picture is None:
            return kept | fields
        pictures = [picture]
        if self.flips:
            pictures.append(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
        pictures += [random_crop(picture, seed=f"{row['id']} {number}") for number in range(self.crops)]
        return kept | {"squares": self.squares(pictures).tobytes()}


class EncodePictures:
    """What DecodePictures gives -> row, id, image_sha256, encoder_fingerprint, vectors: V lists of F float32."""

    columns = ("row", "id", "image_sha256", "squares")

    def __init__(self, *, encoder: str, device: str, dtype: str, threads: int, views: int, batch_size: int):
        import torch

        from fromage_model.vision.encoders import load_vision_encoder

        # Ray gives a worker one thread for each whole CPU it reserves, whatever the machine has.
        torch.set_num_threads(threads)
        self.encoder = load_vision_encoder(encoder, device=device, dtype=getattr(torch, dtype))
        self.views = views
        self.batch_size = batch_size

    def __call__(self, rows: pa.Table) -> pa.Table:
        require_columns(rows, self.columns, stage="EncodePictures")
        pixels = [np.frombuffer(value.as_buffer(), dtype=np.uint8) for value in rows["squares"]]
        side = round((pixels[0].size / 3 / self.views) ** 0.5)
        encoded = []
        for start in range(0, len(pixels) * self.views, self.batch_size):
            encoded.append(self.encoder.encode_squares(self._squares(pixels, start, side)))
        flat = pa.array(np.concatenate(encoded).reshape(-1))
        vectors = pa.FixedSizeListArray.from_arrays(flat, self.encoder.feature_width)
        table = rows.select(["row", "id", "image_sha256"])
        table = table.append_column("vectors", pa.FixedSizeListArray.from_arrays(vectors, self.views))
        return table.append_column("encoder_fingerprint", pa.array([self.encoder.fingerprint] * len(pixels)))

    def _squares(self, pixels: list[np.ndarray], start: int, side: int) -> np.ndarray:
        """A batch of views, (at most batch_size, H, W, 3), of which a picture has V one after the other."""
        end = min(start + self.batch_size, len(pixels) * self.views)
        pictures = [one.reshape(self.views, side, side, 3) for one in pixels]
        return np.stack([pictures[place // self.views][place % self.views] for place in range(start, end)])


DECODED = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("image_sha256", pa.string()),
        ("squares", pa.large_binary()),
        ("stage", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
    ]
)


def views_of(*, flips: bool, crops: int) -> list[str]:
    """The names of the views that a picture gets."""
    return [FULL_VIEW, *([FLIP_VIEW] if flips else []), *(f"crop-{number}" for number in range(crops))]


def random_crop(picture: Image.Image, *, seed: str) -> Image.Image:
    """A part of the picture, the same for the same seed whatever the machine (Szegedy et al. 2014)."""
    draws = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    area = draws.uniform(*CROP_AREAS) * picture.width * picture.height
    ratio = np.exp(draws.uniform(*np.log(CROP_RATIOS)))
    width = min(picture.width, max(1, round((area * ratio) ** 0.5)))
    height = min(picture.height, max(1, round((area / ratio) ** 0.5)))
    left = int(draws.integers(picture.width - width, endpoint=True))
    top = int(draws.integers(picture.height - height, endpoint=True))
    return picture.crop((left, top, left + width, top + height))
