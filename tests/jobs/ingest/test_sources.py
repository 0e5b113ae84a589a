"""What `jobs.ingest` reads is given by name or path; Open Clip Art becomes a catalogue and no picture vanishes."""

import os
import subprocess
import sys
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.errors import CatalogueError, CheckpointError, ConfigError
from fromage_model.interop.embeddings import Embeddings, write_embeddings
from fromage_model.storage.artefacts import home
from jobs.ingest.job import IngestArgs, main
from jobs.ingest.sources import default_name, read_source, refuse_inside, source_sha256
from tests.fromage_model.catalogue.feeds.clipart import write_clipart
from tests.pictures import write_png


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("alone")
def test_open_clip_art_becomes_a_catalogue_and_every_picture_is_an_item_or_a_failure(tmp_path):
    write_clipart(tmp_path / "clipart")
    args = IngestArgs(source="openclipart", folder=str(tmp_path / "clipart"), workers=1, threads=2, held_out=1)
    report = main(args)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (8, 5, 3)
    catalogue = Catalogue.open("openclipart")
    items = {item.caption: item for item in catalogue.items()}
    assert set(items) == {"bomb", "straw hat", "drawn scarf", None}
    hat, nameless = items["straw hat"], items[None]
    assert (hat.source, hat.group, hat.item_url, hat.id) == ("openclipart", "straw hat", None, hat.image_sha256[:32])
    assert hat.attributes["tags"] == "hat, summer"
    assert (nameless.group, nameless.caption_by) == (nameless.id, None)
    assert sum(item.split == "held-out" for item in items.values()) == 1
    assert catalogue.info["licence"] == "public domain"
    failures = pq.read_table(home() / "catalogues" / "openclipart" / "failures.parquet").to_pylist()
    assert [(row["row"], row["stage"], row["error"]) for row in failures] == [
        (4, "decode", "ImageError"),
        (6, "feed", "BadRow"),
        (8, "fetch", "FetchError"),
    ]
    assert main(args).extra["skipped"] is True


def test_without_its_packages_the_job_exits_with_2_and_tells_the_apt_command(tmp_path):
    command = [sys.executable, "-m", "jobs.ingest", "--source", "openclipart", "--folder", str(tmp_path / "absent")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=os.environ, check=False)
    assert done.returncode == 2
    assert "apt-get install openclipart-png openclipart-svg" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not (home() / "catalogues").exists()


def test_a_folder_goes_with_open_clip_art_alone(tmp_path):
    for ask in (read_source, source_sha256):
        with pytest.raises(ConfigError, match=r"folder goes with --source openclipart alone.*--source /shop"):
            ask("openmoji", "/shop")


def test_a_sources_hash_is_that_of_its_feed(tmp_path):
    write_png(tmp_path / "shop" / "a.png")
    write_clipart(tmp_path / "clipart")
    assert source_sha256(str(tmp_path / "shop")) == read_source(str(tmp_path / "shop")).sha256
    folder = str(tmp_path / "clipart")
    assert source_sha256("openclipart", folder) == read_source("openclipart", folder).sha256


def test_the_originals_embeddings_become_rows_one_file_after_the_other(tmp_path):
    for part in range(2):
        paths = [f"{part}.jpg", f"https://cdn.example/{part}.jpg"]
        urls = [f"https://shop.example/{part}", None]
        write_embeddings(Embeddings(paths, np.ones((2, 4), dtype=np.float32), urls), tmp_path / f"cc3m_{part}.pkl")
    rows = read_source(str(tmp_path / "cc3m_*.pkl")).rows
    assert [row.image for row in rows] == [
        str(tmp_path / "0.jpg"), "https://cdn.example/0.jpg", str(tmp_path / "1.jpg"), "https://cdn.example/1.jpg",
    ]  # fmt: skip
    assert [row.item_url for row in rows] == ["https://shop.example/0", None, "https://shop.example/1", None]
    (tmp_path / "cc3m_2.pkl").write_bytes(b"no pickle")
    with pytest.raises(CheckpointError, match=r"cc3m_2\.pkl"):
        read_source(str(tmp_path / "cc3m_*.pkl"))


@pytest.mark.parametrize("source", ["my/feed.tsv", "my/feeds/*.parquet", "file://{here}/my/feed.tsv", "way/feed.tsv"])
def test_a_source_inside_the_catalogue_is_refused_as_it_would_be_removed_with_it(tmp_path, monkeypatch, source):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my").mkdir()
    (tmp_path / "way").symlink_to("my")
    with pytest.raises(CatalogueError, match=r"feed.* lies inside the catalogue my, .*--out"):
        refuse_inside(Path("my"), source.format(here=tmp_path))
    refuse_inside(Path("mine"), source.format(here=tmp_path))
    refuse_inside(Path("my"), "s3://bucket/my/feed.tsv")
    refuse_inside(Path("my"), "openmoji")
    with pytest.raises(CatalogueError, match=r"my/clipart lies inside the catalogue"):
        refuse_inside(Path("my"), "openclipart", "my/clipart")


@pytest.mark.usefixtures("alone")
def test_ingest_does_not_remove_its_own_source(tmp_path):
    write_png(tmp_path / "pictures" / "a.png")
    main(IngestArgs(source=str(tmp_path / "pictures"), out=str(tmp_path / "my"), workers=1))
    (tmp_path / "my" / "feed.tsv").write_text(f"image\n{tmp_path}/pictures/a.png\n")
    with pytest.raises(CatalogueError, match=r"feed\.tsv lies inside the catalogue"):
        main(IngestArgs(source=str(tmp_path / "my" / "feed.tsv"), out=str(tmp_path / "my"), workers=1))
    assert (tmp_path / "my" / "feed.tsv").is_file()


def test_a_folder_of_tables_is_read_as_tables_and_one_with_pictures_as_pictures(tmp_path):
    for name in ("part-1.parquet", "part-0.parquet", "_SUCCESS", ".hidden.parquet"):
        pq.write_table(pa.table({"image": [f"{name}.png"]}), tmp_path / name)
    rows = read_source(str(tmp_path)).rows
    assert [row.image for row in rows] == [str(tmp_path / f"part-{part}.parquet.png") for part in (0, 1)]
    (tmp_path / "README").write_text("no picture")
    assert len(read_source(str(tmp_path)).rows) == 2
    for name in ("a.png", "a"):
        write_png(tmp_path / name)
        assert [row.image for row in read_source(str(tmp_path)).rows] == [str(tmp_path / name)]
        (tmp_path / name).unlink()


def test_a_feed_and_its_pictures_may_lie_in_an_object_store():
    store = fsspec.filesystem("memory")
    store.pipe({"/bucket/feed.csv": b"image\npics/a.png\n", "/bucket/pics/a.png": b"x", "/bucket/t.parquet": b""})
    assert [row.image for row in read_source("memory://bucket/feed.csv").rows] == ["memory://bucket/pics/a.png"]
    assert [row.image for row in read_source("memory://bucket/pics").rows] == ["memory:///bucket/pics/a.png"]
    with pytest.raises(CatalogueError, match=r"memory://bucket/absent\.tsv.*there is none there"):
        read_source("memory://bucket/absent.tsv")


def test_a_store_that_does_not_answer_is_not_said_to_be_empty(monkeypatch):
    def refuse(self, path, **options):
        raise PermissionError("no credentials for it")

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "info", refuse)
    for source in ("memory://bucket/feed.tsv", "memory://bucket/*.parquet", "memory://bucket/pics"):
        with pytest.raises(CatalogueError, match=r"can't be read: no credentials for it"):
            read_source(source)


def test_several_feeds_at_once_are_refused(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.tsv").write_text("image\na.png\n")
    with pytest.raises(CatalogueError, match="several files are read only where all are parquet"):
        read_source(str(tmp_path / "*.tsv"))


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("openmoji", "openmoji"),
        ("/a/shop.tsv", "shop"),
        ("s3://bucket/b/shop.csv.gz", "shop"),
        ("gs://bucket/pics/", "pics"),
    ],
)
def test_a_catalogue_is_called_what_its_source_is_called(source, name):
    assert default_name(source) == name


@pytest.mark.parametrize("source", ["/", "/a/*.parquet"])
def test_a_source_without_a_name_asks_for_one(source):
    with pytest.raises(CatalogueError, match="--out"):
        default_name(source)
