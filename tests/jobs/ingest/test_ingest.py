"""A source becomes a catalogue through Ray Data; bad rows are kept with their reason, bad sources leave nothing."""

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pillow_heif
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fromage_model.catalogue import Catalogue
from fromage_model.errors import CatalogueError, ConfigError, WriteError
from fromage_model.storage.artefacts import home
from jobs.ingest.job import IngestArgs, main
from tests.lines import assert_only_news
from tests.pictures import encoded, write_png

pytestmark = pytest.mark.usefixtures("alone")
COLOURS = ("red", "green", "blue", "white", "black", "navy", "teal", "olive", "gray", "pink", "gold")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def shop_url(tmp_path) -> Iterator[str]:
    """A web shop that serves tmp_path/web."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    (tmp_path / "web").mkdir()
    handler = functools.partial(Quiet, directory=str(tmp_path / "web"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def ingest(source: Path | str, **options):
    return main(IngestArgs(source=str(source), workers=1, threads=2, **options))


def tsv(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_folder_becomes_a_catalogue_of_its_own_bytes(tmp_path):
    for number, colour in enumerate(COLOURS):
        write_png(tmp_path / "shop" / f"{number:02d}.png", colour)
    write_png(tmp_path / "shop" / "copy.png", "red")
    (tmp_path / "shop" / "no.png").write_bytes(b"no picture")
    (tmp_path / "shop" / "photo.jpg").write_bytes(encoded(Image.new("RGB", (900, 700)), "JPEG"))
    report = ingest(tmp_path / "shop")
    assert (report.rows_in, report.rows_out, report.rows_failed) == (14, 13, 1)
    assert (report.extra["items"], report.extra["doubles"]) == (12, 1)
    catalogue = Catalogue.open("shop")
    assert catalogue.folder == home() / "catalogues" / "shop"
    first = catalogue.items()[0]
    assert catalogue.image_bytes(first.id) == (tmp_path / "shop" / "00.png").read_bytes()
    assert (first.id, first.image) == (first.image_sha256[:32], f"images/{first.image_sha256}.png")
    assert (first.caption, first.item_url, first.source) == (None, None, "shop")
    assert {path.suffix for path in (catalogue.folder / "images").iterdir()} == {".png", ".jpg"}
    assert len(catalogue.items("held-out")) == 1
    failures = pq.read_table(catalogue.folder / "failures.parquet").to_pylist()
    assert [(Path(row["image"]).name, row["stage"], row["error"]) for row in failures] == [
        ("no.png", "decode", "ImageError"),
    ]


def test_what_is_no_picture_in_a_folder_is_counted_and_makes_no_job_fail(tmp_path, caplog):
    (tmp_path / "shop").mkdir()
    for name, data in {
        "a.jfif": encoded(Image.new("RGB", (8, 8), "red"), "JPEG"),
        "b": encoded(Image.new("RGB", (8, 8), "blue"), "WEBP"),
        "README.md": b"# Shop",
        ".DS_Store": b"",
    }.items():
        (tmp_path / "shop" / name).write_bytes(data)
    with caplog.at_level("INFO", logger="jobs.ingest"):
        report = ingest(tmp_path / "shop", max_failed=0.0)
    assert (report.rows_in, report.rows_out, report.rows_failed, report.extra["left_out"]) == (2, 2, 0, 2)
    assert report.verdict is None
    assert "2 rows; 2 files are left out: .DS_Store (hidden), README.md (no picture" in caplog.text
    folder = home() / "catalogues" / "shop"
    table = pq.read_table(folder / "left_out.parquet").to_pylist()
    assert [(row["file"], row["reason"][:10]) for row in table] == [
        (".DS_Store", "hidden"),
        ("README.md", "no picture"),
    ]
    assert "left out: hidden" in (folder / "report.html").read_text()
    assert ingest(tmp_path / "shop").extra["skipped"] is True


def test_a_heic_picture_becomes_an_item(tmp_path):
    pillow_heif.register_heif_opener()
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "IMG_1.HEIC").write_bytes(encoded(Image.new("RGB", (64, 64), "red"), "HEIF"))
    assert ingest(tmp_path / "shop").rows_out == 1
    assert [path.suffix for path in (home() / "catalogues" / "shop" / "images").iterdir()] == [".heif"]


def test_a_tsv_takes_pictures_from_files_and_urls_and_reports_bad_rows(tmp_path, shop_url, caplog):
    write_png(tmp_path / "web" / "red dress.png", "red")
    write_png(tmp_path / "pictures" / "hat.png", "blue")
    write_png(tmp_path / "pictures" / "big.png", side_px=64)
    (tmp_path / "web" / "page.html").write_text("<p>sold out</p>")
    source = tsv(
        tmp_path / "feed.tsv",
        "image\tcaption\titem_url\tcolour",
        f"{shop_url}/red dress.png\tRed dress\thttps://shop.example/1\tred",
        "pictures/hat.png\t\thttps://shop.example/2",
        f"{shop_url}/absent.png\tGone\thttps://shop.example/3",
        f"{shop_url}/page.html\tPage\thttps://shop.example/4",
        "pictures/none.png\tNone\thttps://shop.example/5",
        "\tNo image\thttps://shop.example/6",
        "pictures/hat.png\tAgain\thttps://shop.example/2",
        "abfs://bucket/a.png\tBucket\thttps://shop.example/8",
        "pictures/big.png\tBig\thttps://shop.example/9",
    )
    with caplog.at_level("INFO", logger="jobs.common.reporting.progress"):
        report = ingest(source, allow_private=True, max_image_megapixels=0.001)
    told = [record.getMessage() for record in caplog.records if record.name == "jobs.common.reporting.progress"]
    assert "ingest: 9 of 9 rows" in told[-1]
    assert "6 failed" in told[-1]
    assert (report.rows_in, report.rows_out, report.rows_failed) == (9, 3, 6)
    dress, hat = Catalogue.open("feed").items()
    assert (dress.caption, dress.attributes, hat.caption) == ("Red dress", {"colour": "red"}, None)
    failures = pq.read_table(home() / "catalogues" / "feed" / "failures.parquet").to_pylist()
    assert [(row["row"], row["stage"]) for row in failures] == [
        (3, "fetch"),
        (4, "fetch"),
        (5, "fetch"),
        (6, "feed"),
        (8, "fetch"),
        (9, "decode"),
    ]
    reasons = [row["message"] for row in failures]
    for message, part in zip(
        reasons,
        ("404", "server sent text/html", "No such file", "empty", "adlfs", "too many pixels"),
        strict=True,
    ):
        assert part in message
    assert failures[0]["image"] == f"{shop_url}/absent.png"
    (double,) = pq.read_table(home() / "catalogues" / "feed" / "doubles.parquet").to_pylist()
    assert (double["row"], double["of_row"], double["id"], double["same"]) == (7, 2, hat.id, "item_url")
    assert hat.attributes == {}


def test_private_addresses_are_refused_unless_allowed(tmp_path, shop_url):
    write_png(tmp_path / "web" / "a.png", "red")
    source = tsv(tmp_path / "feed.tsv", "image", f"{shop_url}/a.png")
    with pytest.raises(CatalogueError, match="private address 127"):
        ingest(source)
    assert not (home() / "catalogues" / "feed").exists()
    assert ingest(source, allow_private=True).rows_out == 1


def test_the_same_source_gives_the_same_catalogue(tmp_path):
    rows = [f"{colour}.png\t{colour}" for colour in COLOURS]
    for colour in COLOURS:
        write_png(tmp_path / f"{colour}.png", colour)
    source = tsv(tmp_path / "feed.tsv", "image\tcaption", *rows)
    tables = []
    for out in ("one", "two"):
        ingest(source, out=out)
        tables.append(Catalogue.open(out).table.drop(["updated_at", "caption_at"]))
    assert tables[0].equals(tables[1])
    assert tables[0]["caption"].to_pylist() == list(COLOURS)
    assert Catalogue.open("one").fingerprint == Catalogue.open("two").fingerprint


def test_what_is_up_to_date_is_skipped_until_source_or_settings_change(tmp_path):
    write_png(tmp_path / "shop" / "a.png")
    assert ingest(tmp_path / "shop").extra["skipped"] is False
    again = ingest(tmp_path / "shop")
    assert again.extra["skipped"] is True
    assert (again.rows_in, again.rows_out) == (1, 1)
    assert ingest(tmp_path / "shop", held_out=1).extra["skipped"] is False
    write_png(tmp_path / "shop" / "b.png", "blue")
    assert ingest(tmp_path / "shop", held_out=1).rows_out == 2
    assert ingest(tmp_path / "shop", held_out=1, force=True).extra["skipped"] is False


def test_a_source_of_which_nothing_can_be_read_replaces_nothing(tmp_path):
    path = write_png(tmp_path / "shop" / "a.png")
    ingest(tmp_path / "shop")
    path.write_bytes(b"no picture")
    with pytest.raises(CatalogueError, match=r"none of the 1 rows .* not an image"):
        ingest(tmp_path / "shop")
    assert len(Catalogue.open("shop")) == 1
    assert [path.name for path in (home() / "catalogues").iterdir()] == ["shop"]


def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path):
    write_png(tmp_path / "shop" / "a.png")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    with pytest.raises(ConfigError, match="holds something else"):
        ingest(tmp_path / "shop", out=str(tmp_path / "thesis"))
    with pytest.raises(CatalogueError, match="inside its source"):
        ingest(tmp_path / "shop", out=str(tmp_path / "shop" / "catalogue"))
    assert (tmp_path / "thesis" / "chapter.txt").read_text() == "years of work"


def test_a_source_that_is_nowhere_is_refused(tmp_path):
    with pytest.raises(CatalogueError, match="expected wardrobe, openmoji, openclipart, coco-karpathy:FOLDER"):
        ingest(tmp_path / "absent.tsv")


def test_a_target_that_can_not_be_written_is_named(tmp_path):
    write_png(tmp_path / "shop" / "a.png")
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(WriteError, match=r"file/.shop.work can't be written: Not a directory"):
        ingest(tmp_path / "shop", out=str(tmp_path / "file" / "shop"))


def run_job(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "jobs.ingest", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, check=False)


def test_a_tsv_without_the_image_column_exits_with_2_names_it_and_writes_nothing(tmp_path):
    source = tsv(tmp_path / "feed.tsv", "picture\tcaption", "a.png\tA")
    done = run_job("--source", str(source))
    assert done.returncode == 2
    assert "missing column image; found columns: picture, caption" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (home() / "catalogues").exists()


def test_the_last_line_is_the_report_as_json(tmp_path):
    write_png(tmp_path / "shop" / "a.png")
    done = run_job("--source", str(tmp_path / "shop"), "--workers", "1")
    assert done.returncode == 0, done.stderr
    assert_only_news(done)
    report = json.loads(done.stdout)
    assert {"rows_in", "rows_out", "rows_failed", "seconds", "rows_per_second", "output"} <= set(report)
    assert (report["rows_in"], report["rows_out"], report["rows_failed"]) == (1, 1, 0)
    assert report["output"] == str(home() / "catalogues" / "shop")
    assert report["seconds"] > 0
    assert report["peak_rss_mb"] > 0


def test_help_says_what_each_option_means():
    done = run_job("--help")
    assert done.returncode == 0
    assert "--allow-private" in done.stdout
    assert "failures.parquet" in done.stdout
