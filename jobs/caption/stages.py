"""Stages of jobs.caption: pictures are decoded on CPUs, captions written where the captioner is, and then weighed.

Knows nothing of catalogues. Shapes: B pictures of a batch, S shared width.
"""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from fromage_model.catalogue.schema import TIMESTAMP
from fromage_model.errors import ConfigError, PromptTooLong
from fromage_model.vision.images import ImageLimits
from jobs.common.stages.pictures import PictureReader
from jobs.common.stages.rows import failed, require_columns

# Captioners see squares of 224 to 384 pixels; a larger picture only travels from process to process.
LARGEST_PX = 768
SEEN = [("width", pa.int32()), ("height", pa.int32()), ("rgb", pa.large_binary())]
WRONG = [("stage", pa.string()), ("error", pa.string()), ("message", pa.string()), ("attempts", pa.int32())]
WRITTEN = [("caption", pa.string()), ("caption_at", TIMESTAMP), ("prompt", pa.string())]
# What a caption is of: rows of a catalogue move, an item with its picture does not.
ITEM = [("row", pa.int64()), ("id", pa.string()), ("image_sha256", pa.string())]


class EmptyCaption(Exception):
    """A captioner wrote nothing for a picture."""


class ShowPictures:
    """(row, id, image_sha256, place) -> these but the place, and width, height, rgb: the picture as bytes.

    No side is longer than LARGEST_PX.
    """

    columns = ("row", "id", "image_sha256", "place")

    def __init__(self, *, image_limits: ImageLimits = ImageLimits(), allow_private: bool = False):
        self._reader = PictureReader(image_limits=image_limits, allow_private=allow_private)

    def __call__(self, rows: pa.Table) -> pa.Table:
        require_columns(rows, self.columns, stage="ShowPictures")
        shown = [{name: row[name] for name, _ in ITEM} | self._one(row["place"]) for row in rows.to_pylist()]
        return pa.Table.from_pylist(shown, schema=pa.schema([*ITEM, *SEEN, *WRONG]))

    def close(self) -> None:
        self._reader.close()

    def _one(self, place: str) -> dict[str, Any]:
        picture, fields = self._reader.read(place)
        if picture is None:
            return fields
        picture.thumbnail((LARGEST_PX, LARGEST_PX))
        return {"width": picture.width, "height": picture.height, "rgb": picture.tobytes()}


class WriteCaptions:
    """What ShowPictures gives -> row, id, image_sha256, caption, caption_at, prompt; with `hand_on` the picture too."""

    columns = ("row", "id", "image_sha256", "width", "height", "rgb")

    def __init__(
        self,
        *,
        captioner: str,
        device: str,
        threads: int,
        batch_size: int,
        sampling: dict[str, Any],
        prompt: str | None = None,
        hand_on: bool = False,
    ):
        import torch

        from fromage_model.captioning.captioner import load_captioner

        torch.set_num_threads(threads)
        self.captioner = load_captioner(captioner, device=device)
        self.prompt = self.captioner.default_prompt if prompt is None else prompt
        self.batch_size = batch_size
        self.sampling = sampling
        self.hand_on = hand_on

    def __call__(self, rows: pa.Table) -> pa.Table:
        require_columns(rows, self.columns, stage="WriteCaptions")
        captions: list[str] = []
        for start in range(0, rows.num_rows, self.batch_size):
            captions += self._write(pictures_of(rows.slice(start, self.batch_size)))
        now = datetime.now(UTC)
        nothing = failed("caption", EmptyCaption("the captioner wrote nothing"))
        said = {"caption_at": now, "prompt": self.prompt}
        written = [{"caption": caption.strip()} | said if caption.strip() else nothing for caption in captions]
        table = pa.Table.from_pylist(written, schema=pa.schema([*WRITTEN, *WRONG]))
        for name in self.columns if self.hand_on else [name for name, _ in ITEM]:
            table = table.append_column(name, rows[name])
        return table

    def _write(self, pictures: list[Image.Image]) -> list[str]:
        try:
            return self.captioner.captions(pictures, self.prompt, **self.sampling)
        except PromptTooLong as error:  # of no row but of the settings
            raise ConfigError(str(error)) from error


class WeighCaptions:
    """What WriteCaptions hands on -> the same without the picture, and vectors: (2, S) float32 as bytes.

    They are retrieval embeddings of a bundle, of picture and caption: the latter at [RET] after the words that it was
    trained with.
    """

    columns = ("row", "id", "image_sha256", "caption", "caption_at", "prompt", "width", "height", "rgb")

    def __init__(self, *, bundle: str, device: str, threads: int, batch_size: int):
        import torch

        from fromage_model.bundle import load_bundle

        torch.set_num_threads(threads)
        self.model = load_bundle(bundle, device=device)
        self.batch_size = batch_size

    def __call__(self, rows: pa.Table) -> pa.Table:
        require_columns(rows, self.columns, stage="WeighCaptions")
        found: list[bytes] = []
        for start in range(0, rows.num_rows, self.batch_size):
            batch = rows.slice(start, self.batch_size)
            vectors = embeddings(self.model, pictures_of(batch), batch["caption"].to_pylist())
            found += [pair.tobytes() for pair in vectors]
        kept = rows.select([name for name, _ in (*ITEM, *WRITTEN)])
        return kept.append_column("vectors", pa.array(found, pa.binary()))


def embeddings(model: Any, pictures: list[Image.Image], captions: list[str]) -> np.ndarray:
    """Pictures and captions in a Fromage's shared space, (B, 2, S) float32 of unit length.

    Of a caption that is longer than the LM reads, the beginning counts.
    """
    import torch

    from fromage_model.prompts.segments import caption_text

    texts = [model.readable(caption_text(caption, prompt=model.config.caption_prompt)) for caption in captions]
    with torch.inference_mode():
        images = model.image_embeddings(model.encode(pictures)).float().cpu()
        return torch.stack([images, model.text_embeddings(texts).float().cpu()], dim=1).numpy()


def pictures_of(rows: pa.Table) -> list[Image.Image]:
    """The pictures of a table with width, height and rgb."""
    return [Image.frombytes("RGB", (row["width"], row["height"]), row["rgb"]) for row in rows.to_pylist()]
