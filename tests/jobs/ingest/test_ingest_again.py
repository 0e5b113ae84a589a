"""A catalogue is brought up to date: what did not change stays, and a job that was killed goes on where it was."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from PIL import Image

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import SCHEMA
from fromage_model.catalogue.table import write_items
from fromage_model.errors import CatalogueError, SettingsDiffer
from fromage_model.storage.artefacts import home
from jobs.ingest.job import IngestArgs, begin, main
from jobs.ingest.outcome import Known
from jobs.ingest.sources import read_source
from tests.jobs.conftest import without_ray
from tests.jobs.shop import Shop, open_shop
from tests.pictures import encoded, png, write_png

WHEN = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch, request) -> Iterator[None]:
    """And no Ray, but where a test asks for it."""
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    with nullcontext() if "ray_session" in request.fixturenames else without_ray():
        yield


@pytest.fixture
def shop() -> Iterator[Shop]:
    with open_shop() as shop:
        shop.pictures = {f"/{number}.png": png(f"#{number:06x}") for number in range(0, 4000, 10)}
        shop.pictures = {f"/{place}.png": data for place, data in enumerate(shop.pictures.values())}
        yield shop


def ingest(source: Path, **options):
    given = {"workers": 1, "threads": 2, "allow_private": True, "attempts": 1} | options
    return main(IngestArgs(source=str(source), **given))


def caption_by_machine(name: str, place: int) -> None:
    """Do to one item what a captioner does."""
    catalogue = Catalogue.open(name)
    records = catalogue.table.to_pylist()
    records[place] |= {"caption": "What it sees", "caption_by": "llama", "caption_at": WHEN}
    write_items(catalogue.folder, catalogue.table.from_pylist(records, schema=SCHEMA))


def test_a_second_ingest_of_a_changed_feed_changes_only_what_changed(tmp_path, shop):
    ingest(shop.feed(tmp_path / "feed.tsv", "zero", None, "two", "three"))
    caption_by_machine("feed", 1)
    old = {item.item_url[-1]: item for item in Catalogue.open("feed").items()}
    shop.asked.clear()
    shop.pictures["/3.png"] = png("white")
    report = ingest(shop.feed(tmp_path / "feed.tsv", None, "zwei", "three", "four", first=1))
    told = {name: report.extra[name] for name in ("items", "added", "changed", "unchanged", "deleted")}
    assert told == {"items": 4, "added": 1, "changed": 2, "unchanged": 1, "deleted": 1}
    assert sorted(shop.asked) == [("/1.png", 304), ("/2.png", 304), ("/3.png", 200), ("/4.png", 200)]
    new = {item.item_url[-1]: item for item in Catalogue.open("feed").items()}
    assert set(new) == {"1", "2", "3", "4"}
    assert new["1"] == old["1"], "an item of which the feed says nothing new stays, with its caption"
    assert (new["2"].caption, new["2"].image) == ("zwei", old["2"].image)
    assert new["3"].image_sha256 != old["3"].image_sha256
    assert {path.name for path in (home() / "catalogues" / "feed" / "images").iterdir()} == {
        Path(item.image).name for item in new.values()
    }


def test_dead_links_rest_and_a_server_that_is_away_takes_nothing(tmp_path, shop):
    del shop.pictures["/2.png"]
    feed = shop.feed(tmp_path / "feed.tsv", "zero", "one", "gone")
    first = ingest(feed)
    assert (first.rows_in, first.rows_out, first.rows_failed) == (3, 2, 1)
    folder = home() / "catalogues" / "feed"
    (dead,) = pq.read_table(folder / "dead_links.parquet").to_pylist()
    assert (dead["url"], dead["status"], dead["dead"], dead["attempts"]) == (
        f"{shop.url}/2.png", "HTTP status 404", True, 1,
    )  # fmt: skip

    shop.down = True
    again = ingest(feed, force=True)
    assert (again.rows_in, again.rows_out, again.rows_failed) == (3, 2, 1)
    assert again.extra["unchanged"] == 2
    assert shop.times_asked("/2.png") == 1
    (failure,) = pq.read_table(folder / "failures.parquet").to_pylist()
    assert (failure["row"], failure["error"]) == (3, "DeadLink")
    assert "HTTP status 404 on 20" in failure["message"]
    assert "--retry-failed" in failure["message"]
    away = {row["url"]: row["dead"] for row in pq.read_table(folder / "dead_links.parquet").to_pylist()}
    assert away == {f"{shop.url}/{number}.png": number == 2 for number in range(3)}

    shop.down, shop.pictures["/2.png"] = False, png("red")
    assert ingest(feed, retry_failed=True).rows_failed == 0
    assert pq.read_table(folder / "dead_links.parquet").num_rows == 0


def test_links_that_may_have_come_back_are_asked_though_the_feed_is_the_same(tmp_path, shop):
    """A dead link whose rest is over, and a server that was away; --force asks for every picture as if new."""
    del shop.pictures["/1.png"]
    feed = shop.feed(tmp_path / "feed.tsv", "zero", "gone")
    ingest(feed)
    assert ingest(feed).extra["skipped"] is True
    assert ingest(feed, retry_dead_after_days=0).extra["skipped"] is False
    assert shop.times_asked("/1.png") == 2
    shop.down = True
    assert ingest(feed, force=True).rows_out == 1
    shop.down = False
    shop.asked.clear()
    assert ingest(feed).extra["skipped"] is False
    assert ingest(feed).extra["skipped"] is True
    assert ingest(feed, force=True).rows_out == 1
    assert shop.asked == [("/0.png", 304), ("/0.png", 200)]


def test_a_local_picture_that_was_replaced_in_place_is_read_again(tmp_path):
    picture = write_png(tmp_path / "a.png", "red")
    feed = tmp_path / "feed.tsv"
    feed.write_text(f"image\titem_url\na.png\thttps://shop.example/1\nfile://{picture}\thttps://shop.example/2\n")
    assert ingest(feed).rows_out == 2
    assert ingest(feed).extra["skipped"] is True
    write_png(picture, "blue", side_px=9)
    report = ingest(feed)
    assert (report.extra["skipped"], report.extra["changed"]) == (False, 2)


def test_what_a_killed_run_was_to_fetch_is_not_what_another_run_is_to_fetch(tmp_path, shop):
    """A run that was killed before its first shard, when a dead link rested and a catalogue was there."""
    del shop.pictures["/1.png"]
    feed = shop.feed(tmp_path / "feed.tsv", "zero", "gone")
    ingest(feed)
    folder = home() / "catalogues" / "feed"

    def killed() -> None:
        args = IngestArgs(source=str(feed), workers=1, threads=2, allow_private=True, attempts=1)
        begin(read_source(str(feed)), Known.read(folder), args)

    killed()
    shutil.rmtree(folder)
    report = ingest(feed)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (2, 1, 1)
    killed()
    shop.pictures["/1.png"] = png("red")
    assert ingest(feed, retry_failed=True).rows_failed == 0, "its link is asked, although it rested in the run before"


def test_a_feed_that_shrank_by_half_asks_first(tmp_path, shop):
    ingest(shop.feed(tmp_path / "feed.tsv", *"abcd"))
    with pytest.raises(CatalogueError, match=r"the feed of .*feed would shrink from 4 to 2; .* --allow-shrink"):
        ingest(shop.feed(tmp_path / "feed.tsv", *"ab"))
    assert len(Catalogue.open("feed")) == 4
    for number in range(1, 4):
        del shop.pictures[f"/{number}.png"]
    with pytest.raises(CatalogueError, match=r"the catalogue of .*feed would shrink from 4 to 1"):
        ingest(shop.feed(tmp_path / "feed.tsv", *"abcd"), force=True)
    assert len(Catalogue.open("feed")) == 4
    assert ingest(shop.feed(tmp_path / "feed.tsv", *"ab"), allow_shrink=True).extra["deleted"] == 3


def test_a_damaged_catalogue_is_made_anew_only_when_forced(tmp_path, shop):
    feed = shop.feed(tmp_path / "feed.tsv", "a")
    ingest(feed)
    (home() / "catalogues" / "feed" / "origins.parquet").write_bytes(b"no table")
    with pytest.raises(CatalogueError, match=r"origins\.parquet is not the table .* --force"):
        ingest(feed, retry_failed=True)
    assert ingest(feed, force=True).rows_out == 1


def test_a_killed_job_goes_on_with_what_is_done_and_ends_as_if_undisturbed(ray_session, tmp_path, shop):
    """SIGKILL while the second shard waits for a server that is silent; then by Ray's workers."""
    feed = shop.feed(tmp_path / "feed.tsv", *(f"c{number}" for number in range(300)))
    shop.silent = {"/290.png"}
    options = ["--source", str(feed), "--workers", "1", "--threads", "2", "--allow-private", "--attempts", "1"]
    options += ["--read-timeout-s", "300", "--total-timeout-s", "300"]  # on a busy machine it is killed late
    job = subprocess.Popen([sys.executable, "-m", "jobs.ingest", *options], env=os.environ, stderr=subprocess.PIPE)
    manifest = home() / "catalogues" / ".feed.work" / "shard-000000.json"
    deadline_s = time.monotonic() + 240
    while not (manifest.is_file() and shop.times_asked("/280.png")) and time.monotonic() < deadline_s:
        assert job.poll() is None, job.stderr.read().decode()
        time.sleep(0.05)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert json.loads(manifest.read_text())["rows"] == 256
    assert not (home() / "catalogues" / "feed").exists()
    shop.awake.set()
    with pytest.raises(SettingsDiffer, match="side_px: 224 then, 99 now"):
        ingest(feed, side_px=99)

    report = ingest(feed, attempts=3)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (300, 300, 0)
    assert [shop.times_asked(f"/{number}.png") for number in range(256)] == [1] * 256
    assert not manifest.parent.exists()
    with without_ray():
        ingest(feed, out="undisturbed", shard_rows=300, attempts=3)
    dates = ["updated_at", "caption_at"]
    assert Catalogue.open("feed").table.drop(dates).equals(Catalogue.open("undisturbed").table.drop(dates))


# A process that can't write a file of more than 100 kB: a disk that is full, without the disk.
FULL = """
import resource, signal
from jobs.ingest.job import IngestArgs, main
from jobs.common.reporting.report import run
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
run(main, IngestArgs)
"""


def test_a_disk_that_is_full_ends_the_job_with_its_reason_and_the_same_command_goes_on(tmp_path, shop):
    shop.pictures["/1.png"] = encoded(Image.effect_noise((400, 400), 80), "PNG")
    feed = shop.feed(tmp_path / "feed.tsv", "small", "large")
    options = ["--source", str(feed), "--workers", "1", "--allow-private", "--attempts", "1"]
    done = subprocess.run(
        [sys.executable, "-c", FULL, *options], capture_output=True, text=True, env=os.environ, timeout=240, check=False
    )
    assert done.returncode == 2, done.stderr[-2000:]
    (line,) = re.findall(r"^\S+ \S+ (error: .*)$", done.stderr, re.MULTILINE)
    assert re.fullmatch(r"error: .*/catalogues/\.feed\.work/images/\w+\.png can't be written: File too large", line)
    assert not (home() / "catalogues" / "feed").exists()
    kept = [path.name for path in (home() / "catalogues" / ".feed.work" / "images").iterdir()]
    assert not [name for name in kept if name.startswith(".")]
    report = ingest(feed)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (2, 2, 0)
    assert [path.name for path in (home() / "catalogues").iterdir()] == ["feed"]
