"""Data sets become catalogues from their official files: nothing of what was written of a picture is lost."""

import pyarrow.parquet as pq
import pytest

from fromage_model.catalogue import Catalogue
from fromage_model.catalogue.annotations import captions_of, questions_of
from fromage_model.errors import CatalogueError, ConfigError
from jobs.ingest.job import IngestArgs, main
from jobs.ingest.sources import default_name, read_source, refuse_inside, source_sha256
from jobs.pipeline.paths import from_anywhere
from tests.fromage_model.catalogue.feeds.datasets.official import (
    coco_record,
    picture,
    write_coco,
    write_vqav2,
)

pytestmark = pytest.mark.usefixtures("alone")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))


def ingest(source: str, **options):
    return main(IngestArgs(source=source, workers=1, threads=2, **options))


def test_coco_comes_with_all_captions_its_split_and_a_reason_for_each_row_that_failed(tmp_path):
    write_coco(tmp_path / "coco", {}, coco_record("val2014", 5, "val"))
    report = ingest(f"coco-karpathy:{tmp_path}/coco", max_failed=0.5)
    assert (report.rows_in, report.rows_out, report.rows_failed) == (6, 4, 2)
    catalogue = Catalogue.open("coco-karpathy")
    items = {item.attributes["official_split"]: item for item in catalogue.items()}
    assert {split: item.split for split, item in items.items()} == {
        "train": "train", "restval": "train", "val": "held-out", "test": "held-out",
    }  # fmt: skip
    assert captions_of(items["train"]) == ["A red square.", "Something red."]
    assert captions_of(items["test"]) == ["A white square."]
    assert items["val"].source == "coco-karpathy"
    assert "CC BY 4.0" in catalogue.info["licence"]
    failures = pq.read_table(catalogue.folder / "failures.parquet").to_pylist()
    assert [(row["row"], row["stage"], row["message"]) for row in failures] == [
        (5, "feed", "dataset_coco.json: images[4] has no field filepath; its fields are none"),
        (6, "fetch", "the file can't be read: No such file or directory"),
    ]
    assert failures[1]["image"].endswith("/coco/val2014/COCO_val2014_000000000005.jpg")
    assert ingest(f"coco-karpathy:{tmp_path}/coco", max_failed=0.5).extra["skipped"] is True
    picture(tmp_path / "coco", "val2014", 5)
    assert ingest(f"coco-karpathy:{tmp_path}/coco", max_failed=0.5).extra["added"] == 1


def test_vqav2_comes_with_every_question_and_answer_and_two_alike_pictures_keep_their_own(tmp_path):
    write_vqav2(tmp_path / "vqa")
    alike = tmp_path / "vqa" / "test2015" / "COCO_test2015_000000000002.jpg"
    alike.write_bytes((tmp_path / "vqa" / "test2015" / "COCO_test2015_000000000001.jpg").read_bytes())
    report = ingest(f"vqav2:{tmp_path}/vqa", out="asked")
    assert (report.rows_in, report.extra["items"], report.rows_failed) == (5, 5, 0)
    asked = {item.attributes["image_id"]: questions_of(item) for item in Catalogue.open("asked").items()}
    assert {image: [one.id for one in questions] for image, questions in asked.items()} == {
        "9": [9000, 9001], "25": [25000], "73": [73000], "1": [1000, 1001], "2": [2000],
    }  # fmt: skip
    assert asked["9"][0].answers == ("red",) * 8 + ("Red.", "the dark red")
    assert {item.attributes["image_id"] for item in Catalogue.open("asked").items("held-out")} == {"73", "1", "2"}


def test_a_data_set_whose_files_are_not_there_leaves_nothing(tmp_path):
    with pytest.raises(CatalogueError, match="holds no questions; expected v2_OpenEnded"):
        ingest(f"vqav2:{tmp_path}")
    assert not (tmp_path / "home" / "catalogues").exists()
    with pytest.raises(CatalogueError, match=r"expected wardrobe.*coco-karpathy:FOLDER, vqav2:FOLDER.*none there"):
        read_source("vqav2")
    with pytest.raises(ConfigError, match="names no file; expected conceptual-captions:FILE"):
        IngestArgs(source="conceptual-captions:")


def test_a_data_set_is_called_by_its_name_and_takes_no_columns(tmp_path):
    write_coco(tmp_path)
    source = f"coco-karpathy:{tmp_path}"
    assert default_name(source) == "coco-karpathy"
    assert source_sha256(source) == read_source(source).sha256
    with pytest.raises(ConfigError, match="columns is for a source with columns of its own"):
        read_source(source, columns={"image": "filename"})
    with pytest.raises(CatalogueError, match=r"would lie inside its source"):
        refuse_inside(tmp_path / "my", source)


def test_dead_links_are_expected_of_conceptual_captions_alone():
    assert IngestArgs(source="conceptual-captions:Train_GCC-training.tsv").allowed_to_fail == 0.5
    assert IngestArgs(source="shop.tsv").allowed_to_fail == 0.01
    assert IngestArgs(source="conceptual-captions:a.tsv", max_failed=0.1).allowed_to_fail == 0.1


def test_in_a_pipelines_file_the_folder_of_a_data_set_is_relative_to_it(tmp_path):
    there = from_anywhere("ingest", {"source": "vqav2:vqa"}, tmp_path / "pipeline.yaml")
    assert there["source"] == f"vqav2:{tmp_path}/vqa"
    stored = from_anywhere("ingest", {"source": "vqav2:s3://bucket/vqa"}, tmp_path / "pipeline.yaml")
    assert stored["source"] == "vqav2:s3://bucket/vqa"
