"""Feeds with others' column names become catalogues, again and again, and a resumed ingest agrees on the names."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fromage_model.catalogue import Catalogue
from fromage_model.errors import CatalogueError, ConfigError, SettingsDiffer
from fromage_model.storage.artefacts import home
from jobs.common.durable import DurableRun
from jobs.ingest.job import IngestArgs, begin, main
from jobs.ingest.outcome import Known
from jobs.ingest.sources import read_source
from jobs.pipeline.config import read_pipeline
from tests.pictures import png, write_png

COLUMNS = "image=URL,caption=TEXT"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))


@pytest.fixture
def laion(tmp_path) -> str:
    write_png(tmp_path / "red.png", "red")
    write_png(tmp_path / "blue.png", "blue")
    (tmp_path / "laion.tsv").write_text("URL\tTEXT\tother\nred.png\tRed hat\tA\nblue.png\tBlue hat\tB\n")
    return str(tmp_path / "laion.tsv")


def ingest(source: str, **options):
    return main(IngestArgs(source=source, workers=1, threads=1, held_out=0, **options))


@pytest.mark.usefixtures("alone")
def test_a_feed_is_read_by_the_names_given_and_again_only_where_they_change(laion):
    assert ingest(laion, columns=COLUMNS).rows_out == 2
    assert [item.caption for item in Catalogue.open("laion").items()] == ["Red hat", "Blue hat"]
    info = json.loads((home() / "catalogues" / "laion" / "catalogue.json").read_text())
    assert info["settings"]["columns"] == {"image": "URL", "caption": "TEXT"}
    assert ingest(laion, columns="caption=TEXT, image=URL").extra["skipped"]
    other = ingest(laion, columns="image=URL,caption=other")
    assert (other.extra["skipped"], other.extra["changed"]) == (False, 2)
    assert [item.caption for item in Catalogue.open("laion").items()] == ["A", "B"]


@pytest.mark.usefixtures("alone")
def test_pictures_inside_a_table_are_read_from_the_column_that_is_named(tmp_path):
    table = pa.table({"jpg": [png("red"), png("blue")], "txt": ["Red hat", "Blue hat"]})
    pq.write_table(table, tmp_path / "shop.parquet")
    assert ingest(str(tmp_path / "shop.parquet"), columns="image=jpg,caption=txt").rows_out == 2
    catalogue = Catalogue.open("shop")
    assert [catalogue.image_bytes(item.id) for item in catalogue.items()] == [png("red"), png("blue")]


def test_work_begun_by_other_names_is_not_gone_on_with(laion, tmp_path):
    def begun(columns: str) -> DurableRun:
        args = IngestArgs(source=laion, columns=columns)
        return begin(read_source(laion, columns={"image": "URL"}), Known(tmp_path / "out"), args)

    begun("image=URL")
    assert begun(" image = URL ").rows == 2
    with pytest.raises(SettingsDiffer, match=r"columns: \{'image': 'URL'\} then, None now"):
        begun("")


def test_settings_of_a_catalogue_that_was_made_before_there_were_names_are_those_without(laion, tmp_path):
    run = begin(read_source(laion, columns={"image": "URL"}), Known(tmp_path / "out"), IngestArgs(source=laion))
    assert "columns" not in run.state["settings"]


def test_a_wrong_name_is_told_with_the_columns_that_there_are(laion):
    with pytest.raises(CatalogueError, match=r"laion\.tsv: no column for image=url; found columns: URL, TEXT, other"):
        ingest(laion, columns="image=url")
    with pytest.raises(CatalogueError, match="--columns image=URL,caption=TEXT names them"):
        ingest(laion)
    with pytest.raises(ConfigError, match="columns has 'img=URL'; expected image or caption"):
        IngestArgs(columns="img=URL")


@pytest.mark.parametrize("source", ["openmoji", "openclipart", "folder", "vectors.pkl"])
def test_a_source_without_columns_refuses_names_for_them(source, tmp_path):
    (tmp_path / "folder").mkdir()
    write_png(tmp_path / "folder" / "a.png", "red")
    (tmp_path / "vectors.pkl").write_bytes(b"")
    where = source if source.startswith("open") else str(tmp_path / source)
    with pytest.raises(ConfigError, match="columns is for"):
        read_source(where, columns={"image": "URL"})


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_pipeline_names_columns_and_may_be_saved_as_windows_does(encoding, tmp_path):
    content = {"name": "shop", "ingest": {"source": "shop.tsv", "columns": COLUMNS}}
    (tmp_path / "pipeline.yaml").write_bytes(yaml.safe_dump(content).encode(encoding))
    assert read_pipeline(tmp_path / "pipeline.yaml").stages["ingest"].columns == COLUMNS
    content["ingest"]["columns"] = "URL"
    (tmp_path / "pipeline.yaml").write_bytes(yaml.safe_dump(content).encode(encoding))
    with pytest.raises(ConfigError, match=r"pipeline\.yaml: ingest: columns has 'URL'"):
        read_pipeline(tmp_path / "pipeline.yaml")
