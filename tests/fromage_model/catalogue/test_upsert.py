"""A second ingest changes only what changed, and a captioner's captions survive it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from fromage_model.catalogue.assemble import Picture, assemble
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.schema import SCHEMA
from fromage_model.catalogue.upsert import Before, read_origins, upsert, write_origins
from fromage_model.errors import CatalogueError

THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)
LLAMA = {"caption": "What it sees", "caption_by": "llama", "caption_at": THEN}


def table(*captions: str | None, pictures: str = "abcdef", brand: str | None = None, now: datetime = NOW) -> pa.Table:
    """One item for each caption, its item_url and its picture by place."""
    rows = [
        FeedRow(number, "x", caption=caption, item_url=f"https://a.example/{number}", brand=brand)
        for number, caption in enumerate(captions, start=1)
    ]
    found = [Picture(row.row, f"images/{pictures[row.row - 1]}.png", pictures[row.row - 1] * 64) for row in rows]
    return assemble(Feed("shop", rows, ""), found, held_out=0, now=now).table


def before(first: pa.Table, *, change: dict | None = None) -> Before:
    """The catalogue after a first ingest; with `change`, a captioner did something to its first item."""
    done = upsert(first, None, now=THEN)
    records = done.table.to_pylist()
    records[0] |= change or {}
    return Before.of(pa.Table.from_pylist(records, schema=SCHEMA), done.origins)


def first_of(done) -> tuple:
    record = done.table.to_pylist()[0]
    return record["caption"], record["caption_by"], record["caption_at"], record["updated_at"]


def test_only_what_changed_is_changed():
    done = upsert(table("one", "zwei", "four", now=NOW), before(table("one", "two", "three", now=THEN)), now=NOW)
    assert (done.added, done.changed, done.unchanged, done.deleted) == (0, 2, 1, 0)
    assert [record["updated_at"] for record in done.table.to_pylist()] == [THEN, NOW, NOW]
    assert [record["caption_at"] for record in done.table.to_pylist()] == [THEN, NOW, NOW]


def test_new_items_come_and_those_that_the_feed_no_longer_names_go():
    done = upsert(table("one", now=NOW), before(table("one", "two", "three", now=THEN)), now=NOW)
    assert (done.added, done.changed, done.unchanged, done.deleted) == (0, 0, 1, 2)
    grown = upsert(table("one", "two", now=NOW), before(table("one", now=THEN)), now=NOW)
    assert (grown.added, grown.unchanged) == (1, 1)
    assert [record["updated_at"] for record in grown.table.to_pylist()] == [THEN, NOW]


@pytest.mark.parametrize("said", [None, "Feed's own"])
def test_what_a_captioner_wrote_stays_while_the_feed_says_the_same(said):
    """Where the feed has no caption, and where the captioner was told to write over the feed's."""
    old = before(table(said, now=THEN), change=LLAMA | {"updated_at": THEN})
    assert first_of(upsert(table(said), old, now=NOW)) == ("What it sees", "llama", THEN, THEN)
    assert first_of(upsert(table(said, brand="Acme"), old, now=NOW)) == ("What it sees", "llama", THEN, NOW)


def test_what_is_known_of_a_machines_caption_stays_and_goes_with_it():
    """Its prompt, and what the gate said of it; the feed's own attributes are the feed's."""
    known = [("caption_prompt", "Describe it"), ("caption_similarity", "0.0500"), ("caption_unlike", "yes")]
    old = before(table(None, now=THEN), change=LLAMA | {"attributes": [("size", "M"), *known]})
    (kept,) = upsert(table(None, brand="Acme"), old, now=NOW).table.to_pylist()
    assert (kept["caption"], kept["brand"], kept["attributes"]) == ("What it sees", "Acme", known)
    for other in (table("At last"), table(None, pictures="z")):
        (changed,) = upsert(other, old, now=NOW).table.to_pylist()
        assert changed["attributes"] == []


def test_a_caption_that_the_feed_changes_wins():
    old = before(table(None, now=THEN), change=LLAMA)
    assert first_of(upsert(table("At last"), old, now=NOW)) == ("At last", "feed", NOW, NOW)
    old = before(table("Old", now=THEN))
    assert first_of(upsert(table(None), old, now=NOW)) == (None, None, None, NOW)


def test_what_a_captioner_wrote_goes_with_the_picture_that_it_saw():
    old = before(table(None, now=THEN), change=LLAMA)
    assert first_of(upsert(table(None, pictures="z"), old, now=NOW)) == (None, None, None, NOW)
    kept = before(table("Feed's own", now=THEN))
    assert first_of(upsert(table("Feed's own", pictures="z"), kept, now=NOW)) == ("Feed's own", "feed", THEN, NOW)


def test_a_catalogue_of_an_earlier_format_is_compared_by_its_records():
    old = Before.of(table("one", None, now=THEN), None)
    done = upsert(table("one", None, now=NOW), old, now=NOW)
    assert (done.unchanged, done.changed) == (2, 0)
    captioned = table(None, now=THEN).to_pylist()[0] | LLAMA
    old = Before.of(pa.Table.from_pylist([captioned], schema=SCHEMA), None)
    assert first_of(upsert(table(None), old, now=NOW)) == ("What it sees", "llama", THEN, THEN)


def test_origins_are_read_as_they_were_written(tmp_path):
    assert read_origins(tmp_path) is None
    origins = upsert(table("one", None), None, now=NOW).origins
    write_origins(tmp_path, origins)
    assert read_origins(tmp_path).equals(origins)
    (tmp_path / "origins.parquet").write_bytes(b"no table")
    with pytest.raises(CatalogueError, match=r"origins\.parquet is not the table"):
        read_origins(tmp_path)
