"""A feed and its fetched pictures -> the catalogue's table: ids, doubles, near-identical pictures, groups, split.

Knows nothing of how pictures were fetched, or of files.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from fromage_model.catalogue.annotations import CAPTIONS
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.pictures.perceptual import near_pairs
from fromage_model.catalogue.schema import CAPTION_BY_FEED, HELD_OUT, SCHEMA, TRAIN, Double, Failure, NearPair, item_id
from fromage_model.catalogue.siblings import sibling_groups
from fromage_model.catalogue.split import held_out_groups

NEAR_IDENTICAL = "near-identical"


@dataclass(frozen=True)
class Picture:
    """What was fetched for a row: where it lies in the catalogue, what it is like (`perceptual.signature`), and for
    drawings a thumbnail, (3072,) uint8."""

    row: int
    image: str
    image_sha256: str
    thumbnail: np.ndarray | None = None
    signature: bytes | None = None


@dataclass(frozen=True)
class Assembled:
    """The table in the order of the feed; rows that came to an item that is there; rows whose id is another item's;
    and pairs of items whose pictures are the same or nearly."""

    table: pa.Table
    doubles: list[Double]
    failures: list[Failure]
    near: list[NearPair]


@dataclass(frozen=True)
class Kept:
    """An item in the making: its first row and picture, and every caption that its rows gave it."""

    id: str
    row: FeedRow
    picture: Picture
    captions: list[str]


def assemble(
    feed: Feed,
    pictures: Sequence[Picture],
    *,
    held_out: int | None,
    drop_near: bool = False,
    settled: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Assembled:
    """Give each picture's row its id, group and split; of rows with the same id the first is kept, with all captions.

    `held_out` is the least number of items to hold out, by default a tenth; groups that are `settled` keep their split.
    A feed that names what is held out settles its groups itself, and `held_out` adds to them.
    With `drop_near`, an item whose picture is nearly that of an earlier one becomes its double.
    """
    now = now or datetime.now(UTC)
    rows = {row.row: row for row in feed.rows}
    kept: dict[str, Kept] = {}
    doubles, failures = [], []
    for picture in sorted(pictures, key=lambda picture: picture.row):
        row = rows[picture.row]
        id = item_id(item_url=row.item_url, image_sha256=picture.image_sha256)
        first = kept.get(id)
        if first is None:
            kept[id] = Kept(id, row, picture, _captions(row))
        elif row.item_url != first.row.item_url:
            message = f"its id is that of row {first.row.row}, whose item_url is another"
            failures.append(Failure(row.row, id, row.image, "id", "IdCollision", message, 1, now))
        else:
            first.captions.extend(_captions(row))
            doubles.append(Double(row.row, id, row.image, first.row.row, "item_url" if row.item_url else "picture"))
    near = _near(list(kept.values()), drop=drop_near)
    for pair in near:
        if pair.dropped and pair.id in kept:
            gone = kept.pop(pair.id)
            kept[pair.other_id].captions.extend(gone.captions)
            doubles.append(Double(gone.row.row, pair.other_id, gone.row.image, pair.other_row, NEAR_IDENTICAL))
    doubles = _of_first(doubles)
    items = list(kept.values())
    groups = _groups(items)
    if feed.held_out is not None:
        held_out, settled = held_out or 0, dict.fromkeys(feed.held_out, HELD_OUT)
    chosen = held_out_groups(groups, at_least=held_out, settled=settled)
    records = [
        _record(item, source=feed.source, group=group, split=HELD_OUT if group in chosen else TRAIN, now=now)
        for item, group in zip(items, groups, strict=True)
    ]
    return Assembled(pa.Table.from_pylist(records, schema=SCHEMA), doubles, failures, near)


def _near(items: list[Kept], *, drop: bool) -> list[NearPair]:
    """Pairs of items with the same or nearly the same picture; of a dropped pair, `id` is the later one, which goes.

    Where the first of several pictures with one signature goes, the others go with it, to the item that it went to.
    """
    signed = [item for item in items if item.picture.signature is not None]
    if len(signed) < 2:
        return []
    signatures = np.stack([np.frombuffer(item.picture.signature or b"", dtype=np.uint8) for item in signed])
    found = []
    gone: dict[str, tuple[Kept, int]] = {}
    for first, second, bits in near_pairs(signatures):
        one, other = signed[first], signed[second]
        if one.id in gone and one.picture.signature == other.picture.signature:
            one, bits = gone[one.id]
        dropped = drop and one.id not in gone
        if dropped:
            gone.setdefault(other.id, (one, bits))
        same = one.picture.image_sha256 == other.picture.image_sha256
        found.append(NearPair(other.row.row, other.id, one.row.row, one.id, same, bits, dropped))
    return found


def _of_first(doubles: list[Double]) -> list[Double]:
    """In the order of rows; doubles of an item that became a double itself are those of the item that stayed."""
    moved = {double.row: double for double in doubles if double.same == NEAR_IDENTICAL}
    stayed = []
    for double in sorted(doubles, key=lambda double: double.row):
        over = moved.get(double.of_row)
        stayed.append(double if over is None else replace(double, id=over.id, of_row=over.of_row))
    return stayed


def _groups(items: list[Kept]) -> list[str]:
    """Siblings where the feed names series, else the feed's own group, else each item is its own."""
    series = [item.row.series for item in items if item.row.series is not None]
    thumbnails = [item.picture.thumbnail for item in items if item.picture.thumbnail is not None]
    if items and len(series) == len(thumbnails) == len(items):
        return sibling_groups([item.row.caption or "" for item in items], series, np.stack(thumbnails))
    return [item.row.group or item.id for item in items]


def _captions(row: FeedRow) -> list[str]:
    return list(row.captions) or ([row.caption] if row.caption else [])


def _record(item: Kept, *, source: str, group: str, split: str, now: datetime) -> dict[str, object]:
    row, attributes = item.row, dict(item.row.attributes)
    captions = list(dict.fromkeys(item.captions))
    if len(captions) > 1:
        attributes[CAPTIONS] = json.dumps(captions, ensure_ascii=False)
    return {
        "id": item.id,
        "image": item.picture.image,
        "image_sha256": item.picture.image_sha256,
        "source": source,
        "caption": row.caption,
        "caption_by": CAPTION_BY_FEED if row.caption else None,
        "caption_at": now if row.caption else None,
        "item_url": row.item_url,
        "brand": row.brand,
        "attributes": list(attributes.items()),
        "group": group,
        "split": split,
        "updated_at": now,
    }
