"""A catalogue of before and a table made anew -> the table that changes only what changed.

Knows nothing of feeds or of fetching.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fromage_model.catalogue.schema import CAPTION_ATTRIBUTES, CAPTION_BY_FEED, SCHEMA
from fromage_model.errors import CatalogueError

ORIGINS_FILE = "origins.parquet"
ORIGINS_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("caption", pa.string()),
        pa.field("content", pa.string(), nullable=False),
    ]
)
# What the feed decides; captions have rules of their own.
CONTENT = ("image_sha256", "source", "caption", "item_url", "brand", "attributes", "group", "split")


@dataclass(frozen=True)
class Before:
    """A catalogue as it was: its records by id, and what the feed said of each."""

    records: dict[str, dict[str, Any]]
    captions: dict[str, str | None]
    contents: dict[str, str]

    @classmethod
    def of(cls, table: pa.Table, origins: pa.Table | None) -> "Before":
        """Without `origins` (a catalogue of an earlier format) the feed said what the records say."""
        records = {record["id"]: record for record in table.to_pylist()}
        if origins is None:
            captions = {id: _caption_of_feed(record) for id, record in records.items()}
            contents = {id: content_of(record | {"caption": captions[id]}) for id, record in records.items()}
            return cls(records, captions, contents)
        rows = origins.to_pylist()
        return cls(records, {row["id"]: row["caption"] for row in rows}, {row["id"]: row["content"] for row in rows})

    @property
    def splits(self) -> dict[str, str]:
        """The split of each group."""
        return {record["group"]: record["split"] for record in self.records.values()}


@dataclass(frozen=True)
class Upserted:
    """The table, what the feed said of each item, and how many items are new, changed, as they were, and gone."""

    table: pa.Table
    origins: pa.Table
    added: int
    changed: int
    unchanged: int
    deleted: int


def upsert(table: pa.Table, before: Before | None, *, now: datetime) -> Upserted:
    """`table` says what the feed says now. Items that it says the same of stay as they are, `updated_at` and all.

    A caption stays, whoever wrote it, until the feed's own changes; one that a captioner wrote goes with its picture.
    """
    records, origins = [], []
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    for record in table.to_pylist():
        id, content = record["id"], content_of(record)
        origins.append({"id": id, "caption": record["caption"], "content": content})
        old = before.records.get(id) if before else None
        if old is None or before is None:
            counts["added"] += 1
            records.append(record)
        elif before.contents.get(id) == content:
            counts["unchanged"] += 1
            records.append(old | {"image": record["image"]})
        else:
            counts["changed"] += 1
            records.append(record | _captioned(record, old, before.captions.get(id)) | {"updated_at": now})
    deleted = len(before.records.keys() - {record["id"] for record in records}) if before else 0
    return Upserted(
        table=pa.Table.from_pylist(records, schema=SCHEMA),
        origins=pa.Table.from_pylist(origins, schema=ORIGINS_SCHEMA),
        deleted=deleted,
        **counts,
    )


def content_of(record: dict[str, Any]) -> str:
    """A hash over what the feed decides of an item."""
    values = [sorted(record[name]) if name == "attributes" else record[name] for name in CONTENT]
    return hashlib.sha256(json.dumps(values, default=str).encode()).hexdigest()[:32]


def read_origins(folder: Path) -> pa.Table | None:
    """None where there are none. Raises CatalogueError where the table is of another form."""
    path = folder / ORIGINS_FILE
    if not path.is_file():
        return None
    try:
        return pq.read_table(path, partitioning=None).cast(ORIGINS_SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise CatalogueError(f"{path} is not the table that it should be: {error}; remove it") from error


def write_origins(folder: Path, origins: pa.Table) -> None:
    pq.write_table(origins, folder / ORIGINS_FILE)


def _captioned(record: dict[str, Any], old: dict[str, Any], said_before: str | None) -> dict[str, Any]:
    """The caption columns of an item of which the feed says something else than before.

    With a captioner's caption stay the attributes that tell of it.
    """
    columns = ("caption", "caption_by", "caption_at")
    by_feed = old["caption_by"] in (None, CAPTION_BY_FEED)
    same_picture = old["image_sha256"] == record["image_sha256"]
    keeps = record["caption"] == said_before or (record["caption"] is None and not by_feed)
    kept = old if keeps and (by_feed or same_picture) else record
    captioned = {name: kept[name] for name in columns}
    if kept is record or by_feed:
        return captioned
    known = {name: value for name, value in old["attributes"] or () if name in CAPTION_ATTRIBUTES}
    return captioned | {"attributes": list((dict(record["attributes"]) | known).items())}


def _caption_of_feed(record: dict[str, Any]) -> str | None:
    return record["caption"] if record["caption_by"] == CAPTION_BY_FEED else None
