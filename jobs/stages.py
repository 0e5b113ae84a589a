"""Ray Data stages: load in `__init__`, a batch in, a batch out.

Every row comes out again, with its error if it has one. Knows nothing of where batches come from and where they go.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fromage_model.catalogue.fetch import Fetcher, FetchLimits
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.images import ImageLimits, decode_image

# The encoders see squares of 224 to 384 pixels; a large JPEG need not be decoded at more than twice that.
DECODED_AT_PX = 512
MAX_MESSAGE_CHARS = 500

EMBEDDED = pa.schema(
    [
        ("id", pa.string()),
        ("stage", pa.string()),
        ("error", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
    ]
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
