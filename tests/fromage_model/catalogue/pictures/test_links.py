"""What is remembered of URLs outlives an ingest, and a dead link rests."""

from datetime import UTC, datetime, timedelta

import pytest

from fromage_model.catalogue.pictures.links import (
    DeadLink,
    Link,
    failed_again,
    read_dead_links,
    read_links,
    write_links,
)
from fromage_model.errors import CatalogueError

NOW = datetime(2026, 1, 10, tzinfo=UTC)
URL = "https://shop.example/a.png"


def dead(**changes) -> DeadLink:
    values = {"status": "HTTP status 404", "dead": True, "attempts": 1, "first_failed_at": NOW, "last_failed_at": NOW}
    return DeadLink(URL, **(values | changes))


def test_links_are_read_as_they_were_written(tmp_path):
    links = [Link(f"{URL}?{number}", f"{number}.png", "0" * 64, b"s", None, "yesterday") for number in range(2)]
    (tmp_path / "0.png").write_bytes(b"x")
    write_links(tmp_path, links, [dead()])
    assert read_links(tmp_path) == {f"{URL}?0": links[0]}, "a link whose picture is gone is forgotten"
    assert read_dead_links(tmp_path) == {URL: dead()}


def test_of_a_folder_without_them_nothing_is_known(tmp_path):
    assert (read_links(tmp_path), read_dead_links(tmp_path)) == ({}, {})


def test_a_damaged_table_is_named(tmp_path):
    (tmp_path / "links.parquet").write_bytes(b"no table")
    with pytest.raises(CatalogueError, match=r"links\.parquet is not the table that it should be"):
        read_links(tmp_path)


def test_a_dead_link_rests_for_some_days_and_one_that_may_come_back_does_not():
    last = NOW - timedelta(days=3)
    assert dead(last_failed_at=last).rests(NOW, days=7)
    assert not dead(last_failed_at=last).rests(NOW, days=2)
    assert not dead(last_failed_at=last, dead=False).rests(NOW, days=7)


def test_failures_of_a_link_add_up():
    later = dead(status="no answer", dead=False, attempts=3, first_failed_at=NOW, last_failed_at=NOW)
    earlier = dead(attempts=2, first_failed_at=NOW - timedelta(days=9), last_failed_at=NOW - timedelta(days=8))
    both = failed_again(earlier, later)
    assert (both.status, both.dead, both.attempts) == ("no answer", False, 5)
    assert (both.first_failed_at, both.last_failed_at) == (NOW - timedelta(days=9), NOW)
    assert failed_again(None, later) == later
