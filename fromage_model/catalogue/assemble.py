"""A feed and its fetched pictures -> the catalogue's table: ids, duplicates, groups of siblings, split.

Knows nothing of how pictures were fetched, or of files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from fromage_model.catalogue.feeds import Feed, FeedRow
from fromage_model.catalogue.schema import HELD_OUT, SCHEMA, TRAIN, Failure, item_id
from fromage_model.catalogue.siblings import sibling_groups
from fromage_model.catalogue.split import held_out_groups

CAPTION_BY_FEED = "feed"


@dataclass(frozen=True)
class Picture:
    """What was fetched for a row: where it lies in the catalogue, and for drawings a thumbnail, (3072,) uint8."""

    row: int
    image: str
    image_sha256: str
    thumbnail: np.ndarray | None = None


@dataclass(frozen=True)
class Assembled:
    """The table in the order of the feed, and the rows that turned out to be duplicates."""

    table: pa.Table
    failures: list[Failure]


def assemble(
    feed: Feed, pictures: Sequence[Picture], *, held_out: int | None, now: datetime | None = None
) -> Assembled:
    """Give each picture's row its id, group and split; of rows with the same id, the first is kept.

    `held_out` is the least number of items to hold out, by default a tenth.
    """
    now = now or datetime.now(UTC)
    rows = {row.row: row for row in feed.rows}
    kept: dict[str, tuple[FeedRow, Picture]] = {}
    failures = []
    for picture in sorted(pictures, key=lambda picture: picture.row):
        row = rows[picture.row]
        id = item_id(item_url=row.item_url, image_sha256=picture.image_sha256)
        if id in kept:
            failures.append(_same_id(id, row, kept[id][0], now))
        else:
            kept[id] = (row, picture)
    groups = _groups(kept)
    chosen = held_out_groups(groups, at_least=held_out)
    records = [
        _record(
            id, row, picture, source=feed.source, group=group, split=HELD_OUT if group in chosen else TRAIN, now=now
        )
        for (id, (row, picture)), group in zip(kept.items(), groups, strict=True)
    ]
    return Assembled(pa.Table.from_pylist(records, schema=SCHEMA), failures)


def _groups(kept: dict[str, tuple[FeedRow, Picture]]) -> list[str]:
    """Siblings where the feed names series, else the feed's own group, else each item is its own."""
    series = [row.series for row, _ in kept.values() if row.series is not None]
    thumbnails = [picture.thumbnail for _, picture in kept.values() if picture.thumbnail is not None]
    if kept and len(series) == len(thumbnails) == len(kept):
        return sibling_groups([row.caption or "" for row, _ in kept.values()], series, np.stack(thumbnails))
    return [row.group or id for id, (row, _) in kept.items()]


def _same_id(id: str, row: FeedRow, first: FeedRow, now: datetime) -> Failure:
    if row.item_url == first.item_url:
        same = "item_url" if row.item_url else "picture"
        error, message = "Duplicate", f"the same {same} as row {first.row}, which was kept"
    else:
        error, message = "IdCollision", f"its id is that of row {first.row}, whose item_url is another"
    return Failure(row.row, id, row.image, "id", error, message, 1, now)


def _record(
    id: str, row: FeedRow, picture: Picture, *, source: str, group: str, split: str, now: datetime
) -> dict[str, object]:
    return {
        "id": id,
        "image": picture.image,
        "image_sha256": picture.image_sha256,
        "source": source,
        "caption": row.caption,
        "caption_by": CAPTION_BY_FEED if row.caption else None,
        "caption_at": now if row.caption else None,
        "item_url": row.item_url,
        "brand": row.brand,
        "attributes": list(row.attributes.items()),
        "group": group,
        "split": split,
        "updated_at": now,
    }
