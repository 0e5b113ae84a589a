"""A feed and its pictures become a table: ids, duplicates, groups and the split."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from fromage_model.catalogue import SCHEMA
from fromage_model.catalogue import assemble as module
from fromage_model.catalogue.assemble import Picture, assemble
from fromage_model.catalogue.feeds.feed import Feed, FeedRow
from fromage_model.catalogue.pictures.perceptual import SIGNATURE_BYTES
from fromage_model.catalogue.split import held_out_groups

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def feed(*rows: FeedRow) -> Feed:
    return Feed(source="shop", rows=list(rows), sha256="0" * 64)


def picture(row: int, data: str = "", *, drawn: int | None = None) -> Picture:
    sha256 = hashlib.sha256((data or str(row)).encode()).hexdigest()
    small = None if drawn is None else np.full(3072, drawn, dtype=np.uint8)
    return Picture(row, f"images/{sha256}.png", sha256, small)


def test_ids_are_hashes_of_the_item_url_else_of_the_picture():
    rows = feed(FeedRow(1, "a.png", item_url="https://shop.example/1"), FeedRow(2, "b.png"))
    table = assemble(rows, [picture(2, "b"), picture(1, "a")], held_out=None, now=NOW).table
    url, data = (hashlib.sha256(text).hexdigest()[:32] for text in (b"https://shop.example/1", b"b"))
    assert table["id"].to_pylist() == [url, data]
    assert table.schema == SCHEMA


def test_a_record_holds_what_the_feed_said():
    row = FeedRow(1, "a.png", caption="A dress", item_url="https://a.example", brand="Acme", attributes={"size": "M"})
    (record,) = assemble(feed(row), [picture(1)], held_out=0, now=NOW).table.to_pylist()
    assert (record["caption"], record["brand"], record["attributes"]) == ("A dress", "Acme", [("size", "M")])
    assert (record["caption_by"], record["caption_at"], record["updated_at"]) == ("feed", NOW, NOW)
    assert (record["source"], record["split"], record["group"]) == ("shop", "train", record["id"])


def test_without_a_caption_nobody_wrote_one():
    (record,) = assemble(feed(FeedRow(1, "a.png")), [picture(1)], held_out=0, now=NOW).table.to_pylist()
    assert (record["caption"], record["caption_by"], record["caption_at"]) == (None, None, None)


def test_of_rows_with_the_same_id_the_first_is_kept_and_the_others_are_reported():
    url = "https://shop.example/1"
    rows = feed(FeedRow(1, "a", item_url=url), FeedRow(2, "b", item_url=url), FeedRow(3, "c"), FeedRow(4, "d"))
    done = assemble(rows, [picture(1), picture(2), picture(3, "same"), picture(4, "same")], held_out=0, now=NOW)
    assert done.table.num_rows == 2
    assert [(double.row, double.of_row, double.same) for double in done.doubles] == [
        (2, 1, "item_url"),
        (4, 3, "picture"),
    ]
    assert [double.id for double in done.doubles] == done.table["id"].to_pylist()
    assert done.failures == []


def test_an_item_keeps_the_captions_of_all_its_rows():
    rows = feed(
        FeedRow(1, "a", caption="A hat"),
        FeedRow(2, "b", caption="A straw hat", captions=("A straw hat", "A hat", "Ein Hut")),
        FeedRow(3, "c", caption="A shoe"),
    )
    pictures = [picture(1, "same"), picture(2, "same"), picture(3)]
    hat, shoe = assemble(rows, pictures, held_out=0, now=NOW).table.to_pylist()
    assert hat["caption"] == "A hat"
    assert hat["attributes"] == [("captions", '["A hat", "A straw hat", "Ein Hut"]')]
    assert shoe["attributes"] == []


def signed(row: int, *, bits: int = 0, data: str = "") -> Picture:
    """A picture of one colour whose hash differs from that of the others by its first `bits`."""
    hash = np.packbits(np.arange(256) < bits)
    known = np.concatenate([hash, np.zeros(SIGNATURE_BYTES - len(hash), dtype=np.uint8)])
    return replace(picture(row, data), signature=known.tobytes())


LINKED = [FeedRow(row, f"{row}.png", item_url=f"https://shop.example/{row}", caption=f"c{row}") for row in range(1, 6)]
# Row 2 is row 1's picture, row 3 nearly; row 4 is near row 3 alone, and row 5 near none.
ALIKE = [signed(1, data="x"), signed(2, data="x"), signed(3, bits=8), signed(4, bits=20), signed(5, bits=200)]


def test_the_same_and_nearly_the_same_picture_under_different_links_are_reported():
    done = assemble(feed(*LINKED), ALIKE, held_out=0, now=NOW)
    assert done.table.num_rows == 5
    assert [(pair.other_row, pair.row, pair.same_bytes, pair.bits, pair.dropped) for pair in done.near] == [
        (1, 2, True, 0, False),
        (1, 3, False, 8, False),
        (3, 4, False, 12, False),
    ]
    ids = dict(zip(range(1, 6), done.table["id"].to_pylist(), strict=True))
    assert all((pair.id, pair.other_id) == (ids[pair.row], ids[pair.other_row]) for pair in done.near)


def test_near_duplicates_are_dropped_when_asked_for_and_become_doubles_of_the_one_that_stays():
    again = FeedRow(6, "6.png", item_url="https://shop.example/3", caption="c6")
    done = assemble(feed(*LINKED, again), [*ALIKE, picture(6)], held_out=0, drop_near=True, now=NOW)
    stayed = done.table.to_pylist()
    assert [record["item_url"] for record in stayed] == [f"https://shop.example/{row}" for row in (1, 4, 5)]
    assert [(double.row, double.of_row, double.same) for double in done.doubles] == [
        (2, 1, "near-identical"),
        (3, 1, "near-identical"),
        (6, 1, "item_url"),
    ]
    assert {double.id for double in done.doubles} == {stayed[0]["id"]}
    assert stayed[0]["attributes"] == [("captions", '["c1", "c2", "c3", "c6"]')]
    assert [pair.dropped for pair in done.near] == [True, True, False]
    assert done.table.num_rows + len(done.doubles) == 6


def test_copies_of_a_picture_that_is_dropped_go_with_it():
    """Rows 2 and 3 show one picture, which is nearly that of row 1."""
    pictures = [signed(1), signed(2, bits=8, data="x"), signed(3, bits=8, data="x"), signed(4, bits=200)]
    done = assemble(feed(*LINKED[:4]), pictures, held_out=0, drop_near=True, now=NOW)
    assert [record["item_url"] for record in done.table.to_pylist()] == [LINKED[0].item_url, LINKED[3].item_url]
    assert [(double.row, double.of_row) for double in done.doubles] == [(2, 1), (3, 1)]
    assert [(pair.row, pair.other_row, pair.bits, pair.dropped) for pair in done.near] == [
        (2, 1, 8, True),
        (3, 1, 8, True),
    ]
    assert done.table.to_pylist()[0]["attributes"] == [("captions", '["c1", "c2", "c3"]')]


def test_two_urls_with_one_id_are_reported_as_a_collision(monkeypatch):
    monkeypatch.setattr(module, "item_id", lambda **kwargs: "0" * 32)
    rows = feed(FeedRow(1, "a", item_url="https://a.example"), FeedRow(2, "b", item_url="https://b.example"))
    (failure,) = assemble(rows, [picture(1), picture(2)], held_out=0, now=NOW).failures
    assert (failure.row, failure.id, failure.error) == (2, "0" * 32, "IdCollision")


def test_items_of_one_group_of_the_feed_stay_together():
    rows = feed(*(FeedRow(row, f"{row}", group=f"g{row % 5}") for row in range(1, 41)))
    table = assemble(rows, [picture(row) for row in range(1, 41)], held_out=10, now=NOW).table
    splits = {(record["group"], record["split"]) for record in table.to_pylist()}
    assert len(splits) == 5
    assert sum(record["split"] == "held-out" for record in table.to_pylist()) == 16


def test_drawings_are_grouped_by_series():
    rows = feed(*(FeedRow(row, f"{row}", caption=f"n{row}", series="x" if row < 3 else f"s{row}") for row in (1, 2, 3)))
    table = assemble(rows, [picture(row, drawn=row * 80) for row in (1, 2, 3)], held_out=0, now=NOW).table
    assert table["group"].to_pylist() == ["x", "x", "s3"]


def test_the_split_takes_whole_groups_in_the_order_of_their_hash_until_there_are_enough():
    groups = ["a"] * 3 + ["b"] * 3 + ["c"] * 3 + ["d"]
    order = sorted("abcd", key=lambda group: hashlib.sha256(group.encode()).hexdigest())
    sizes = {"a": 3, "b": 3, "c": 3, "d": 1}
    for at_least in range(1, 11):
        chosen = held_out_groups(groups, at_least=at_least)
        assert chosen == set(order[: len(chosen)])
        assert sum(sizes[group] for group in chosen) >= at_least
        assert sum(sizes[group] for group in order[: len(chosen) - 1]) < at_least


def test_the_split_does_not_depend_on_the_order_of_items():
    groups = [f"g{item % 30}" for item in range(100)]
    assert held_out_groups(groups) == held_out_groups(groups[::-1])


@pytest.mark.parametrize(("items", "expected"), [(100, 10), (5, 0), (0, 0)])
def test_a_tenth_is_held_out_by_default(items, expected):
    assert len(held_out_groups([str(item) for item in range(items)])) == expected


def test_what_is_settled_keeps_its_split_when_the_catalogue_grows():
    before = [f"g{item}" for item in range(50)]
    held_out = held_out_groups(before, at_least=5)
    settled = {group: "held-out" if group in held_out else "train" for group in before}
    grown = [*before, *(f"new{item}" for item in range(50))]
    chosen = held_out_groups(grown, at_least=10, settled=settled)
    assert len(chosen) == 10
    assert chosen & set(before) == held_out
    assert held_out_groups(grown, at_least=10) != chosen


def test_nothing_is_held_out_when_nothing_is_asked_for():
    assert held_out_groups(["a", "b"], at_least=0) == set()
