"""What a catalogue's tables hold: columns, types, and an item's id. Knows nothing of where rows come from."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

ID_DIGITS = 32
TRAIN = "train"
HELD_OUT = "held-out"
CAPTION_BY_FEED = "feed"
# Attributes that a captioner leaves: its prompt, the cosine of caption and picture, and, before such captions were
# rejected, whether that is low.
CAPTION_PROMPT, CAPTION_SIMILARITY, CAPTION_UNLIKE = "caption_prompt", "caption_similarity", "caption_unlike"
CAPTION_ATTRIBUTES = (CAPTION_PROMPT, CAPTION_SIMILARITY, CAPTION_UNLIKE)

TIMESTAMP = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("image", pa.string(), nullable=False),
        pa.field("image_sha256", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("caption", pa.string()),
        pa.field("caption_by", pa.string()),
        pa.field("caption_at", TIMESTAMP),
        pa.field("item_url", pa.string()),
        pa.field("brand", pa.string()),
        pa.field("attributes", pa.map_(pa.string(), pa.string())),
        pa.field("group", pa.string(), nullable=False),
        pa.field("split", pa.string(), nullable=False),
        pa.field("updated_at", TIMESTAMP, nullable=False),
    ]
)
FAILURES_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string()),
        pa.field("image", pa.string()),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("error", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("failed_at", TIMESTAMP, nullable=False),
    ]
)

DOUBLES_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("image", pa.string(), nullable=False),
        pa.field("of_row", pa.int64(), nullable=False),
        pa.field("same", pa.string(), nullable=False),
    ]
)
LEFT_OUT_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
NEAR_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("id", pa.string(), nullable=False),
        pa.field("other_row", pa.int64(), nullable=False),
        pa.field("other_id", pa.string(), nullable=False),
        pa.field("same_bytes", pa.bool_(), nullable=False),
        pa.field("bits", pa.int32(), nullable=False),
        pa.field("dropped", pa.bool_(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Item:
    """One row of a catalogue: what a user would buy. `image` is a path inside the catalogue's folder, or a URI."""

    id: str
    image: str
    image_sha256: str
    source: str
    caption: str | None
    caption_by: str | None
    caption_at: datetime | None
    item_url: str | None
    brand: str | None
    attributes: dict[str, str]
    group: str
    split: str
    updated_at: datetime


@dataclass(frozen=True)
class Failure:
    """A row that did not become an item. `row` counts from 1 in the order of the feed; `attempts` at fetching it."""

    row: int
    id: str | None
    image: str | None
    stage: str
    error: str
    message: str
    attempts: int
    failed_at: datetime


@dataclass(frozen=True)
class LeftOut:
    """A file of a folder, by its path below it, that is no row, and why: nobody said that it is a picture."""

    file: str
    reason: str


@dataclass(frozen=True)
class Double:
    """A row that came to an item which is there, that of row `of_row`: by the `same` item_url or picture."""

    row: int
    id: str
    image: str
    of_row: int
    same: str


@dataclass(frozen=True)
class NearPair:
    """Two items whose pictures are the same (`same_bytes`) or nearly: of 256 `bits` of a hash so many differ.

    The later one comes first; `dropped` says that it became a double of the other.
    """

    row: int
    id: str
    other_row: int
    other_id: str
    same_bytes: bool
    bits: int
    dropped: bool


def item_id(*, item_url: str | None, image_sha256: str) -> str:
    """The first 32 hex digits of the sha256 of `item_url`, or of the image's bytes where there is no URL."""
    digest = hashlib.sha256(item_url.encode()).hexdigest() if item_url else image_sha256
    return digest[:ID_DIGITS]
