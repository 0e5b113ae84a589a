"""What `jobs.ingest` reads is given by name or path; Open Clip Art becomes a catalogue and no picture vanishes."""

import os
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from fromage_model.artefacts import home
from fromage_model.catalogue import Catalogue
from fromage_model.errors import ConfigError
from jobs.ingest import IngestArgs, main
from jobs.sources import read_source, source_sha256
from tests.fromage_model.catalogue.clipart import write_clipart
from tests.pictures import write_png


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))


@pytest.mark.usefixtures("ray_session")
def test_open_clip_art_becomes_a_catalogue_and_every_picture_is_an_item_or_a_failure(tmp_path):
    write_clipart(tmp_path / "clipart")
    args = IngestArgs(source="openclipart", folder=str(tmp_path / "clipart"), workers=1, threads=2, held_out=1)
    report = main(args)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (8, 4, 4)
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
        (3, "id", "Duplicate"),
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
