"""A path in a pipeline.yaml is relative to the file, whatever the working directory; a name stays a name."""

from pathlib import Path

import pytest
import yaml

from jobs.pipeline.config import Pipeline, read_pipeline

THERE = ("pictures/a.parquet", "models/tuned/bundle.json", "tuned/bundle.json", "wordnet/data.noun", "clip/config.json")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the file is, beside things of all kinds; the working directory is elsewhere."""
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for name in THERE:
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).touch()
    return tmp_path / "shop"


def read(folder: Path, **content) -> Pipeline:
    (folder / "pipeline.yaml").write_text(yaml.safe_dump({"name": "shop", "ingest": {"source": "openmoji"}} | content))
    return read_pipeline(folder / "pipeline.yaml")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("pictures/*.parquet", "{folder}/pictures/*.parquet"),
        ("pictures", "{folder}/pictures"),
        ("missing.tsv", "{folder}/missing.tsv"),
        ("../other.tsv", "{folder.parent}/other.tsv"),
        ("/data/shop.tsv", "/data/shop.tsv"),
        ("s3://bucket/shop.tsv", "s3://bucket/shop.tsv"),
        ("openmoji", "openmoji"),
    ],
)
def test_a_source_lies_beside_the_file_unless_it_has_a_name(folder, source, expected):
    found = read(folder, ingest={"source": source}).stages["ingest"].source
    assert found == expected.format(folder=folder)


def test_every_option_that_names_files_is_relative_to_the_file(folder):
    pipeline = read(
        folder,
        bundle="./models/tuned",
        ingest={"source": "openclipart", "folder": "clipart"},
        caption={"captioner": "llama-adapter:llama, adapter.pth,clip", "gate_bundle": "models/tuned"},
        embed={"encoder": "clip"},
    )
    stages = pipeline.stages
    assert pipeline.bundle == stages["index"].bundle == f"{folder}/models/tuned"
    assert stages["ingest"].folder == f"{folder}/clipart"
    assert stages["caption"].captioner == f"llama-adapter:{folder}/llama,{folder}/adapter.pth,{folder}/clip"
    assert stages["caption"].gate_bundle == f"{folder}/models/tuned"
    assert stages["embed"].encoder == f"{folder}/clip"


def test_a_training_finds_its_start_its_glosses_and_its_further_catalogues(folder):
    (folder / "more").mkdir()
    finetune = {"start_from": "models/tuned", "glosses": "wordnet", "further_catalogues": ["more", "openmoji"]}
    stage = read(folder, finetune=finetune).stages["finetune"]
    assert stage.start_from == f"{folder}/models/tuned"
    assert stage.glosses == f"{folder}/wordnet"
    assert stage.further_catalogues == (f"{folder}/more", "openmoji")


def test_names_and_hub_ids_stay_what_they_are(folder, tmp_path):
    (folder / "default").mkdir()
    caption = {"captioner": "no-one/no-such-model", "gate_bundle": "unheard-of"}
    pipeline = read(folder, bundle="default", caption=caption)
    assert pipeline.bundle == "default"
    assert pipeline.stages["caption"].captioner == "no-one/no-such-model"
    assert pipeline.stages["caption"].gate_bundle == "unheard-of"
    assert pipeline.stages["embed"].encoder == "efficientnet-lite0-stages"
    assert read(folder, bundle="openmoji").stages["embed"].encoder == "efficientnet-lite0"
    assert read(folder, bundle="tuned").bundle == f"{folder}/tuned"
    (tmp_path / "home" / "bundles" / "tuned").mkdir(parents=True)
    assert read(folder, bundle="tuned").bundle == "tuned"
