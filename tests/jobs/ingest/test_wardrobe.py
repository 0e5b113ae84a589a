"""The wardrobe becomes a catalogue by its name, with a number of items and a seed; what makes no sense is refused."""

import subprocess
import sys

import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.schema import HELD_OUT
from fromage_model.errors import CatalogueError, ConfigError
from jobs.ingest.job import IngestArgs, main
from jobs.ingest.sources import default_name, read_source, source_sha256

ITEMS = 12


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))


def draw(seed: int = 0, **options):
    return main(IngestArgs(source="wardrobe", items=ITEMS, seed=seed, workers=1, threads=2, side_px=64, **options))


@pytest.mark.usefixtures("alone")
def test_the_wardrobe_becomes_a_catalogue_whose_bytes_the_seed_decides():
    report = draw()
    assert (report.rows_in, report.rows_out, report.rows_failed) == (ITEMS, ITEMS, 0)
    catalogue = Catalogue.open("wardrobe")
    items = catalogue.items()
    assert all((item.source, item.item_url, item.caption_by) == ("wardrobe", None, "feed") for item in items)
    assert {item.id for item in items} == {item.image_sha256[:32] for item in items}
    assert {item.id for item in items if item.split == HELD_OUT} == {
        item.id for item in items if "held_out_by" in item.attributes
    }
    assert catalogue.info["settings"]["seed"] == 0
    assert draw().extra["skipped"] is True
    draw(out="again")
    assert [item.id for item in Catalogue.open("again").items()] == [item.id for item in items]
    with pytest.raises(CatalogueError, match=r"is the wardrobe of seed 0.*nothing was changed.*--force.*--out"):
        draw(seed=1)
    assert Catalogue.open("wardrobe").info["settings"]["seed"] == 0
    assert draw(seed=1, force=True).extra["added"] == ITEMS
    assert Catalogue.open("wardrobe").info["settings"]["seed"] == 1


def test_a_wardrobes_hash_is_that_of_its_feed_and_its_name_is_its_own():
    assert source_sha256("wardrobe", items=3, seed=5) == read_source("wardrobe", items=3, seed=5).sha256
    assert source_sha256("wardrobe", items=3, seed=5) != source_sha256("wardrobe", items=3, seed=6)
    assert default_name("wardrobe") == "wardrobe"


def test_numbers_that_make_no_sense_are_refused_before_anything_is_drawn():
    with pytest.raises(ConfigError, match="items: expected 1 to 20,000 garments, got 0"):
        IngestArgs(source="wardrobe", items=0)
    with pytest.raises(ConfigError, match="seed: expected a whole number from 0, got -1"):
        IngestArgs(source="wardrobe", seed=-1)
    for name in ("items", "seed"):
        with pytest.raises(ConfigError, match=f"{name} goes with --source wardrobe alone; openmoji"):
            IngestArgs(source="openmoji", **{name: 5})


def test_a_seed_that_is_no_number_leaves_with_2_and_says_so():
    command = [sys.executable, "-m", "jobs.ingest", "--source", "wardrobe", "--seed", "blue"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 2
    assert "seed" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_drawings_of_other_sources_are_as_large_as_before():
    assert (IngestArgs(source="openmoji").drawn_px, IngestArgs().drawn_px) == (224, 384)
    assert IngestArgs(source="wardrobe", side_px=100).drawn_px == 100
