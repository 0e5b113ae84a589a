"""A pipeline runs from the feed to a pair that opens together, skips what is done, refuses what it does not know."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from fromage_model.bundle import load_bundle
from fromage_model.errors import ConfigError, FromageError
from jobs.common.reporting.report import Report
from jobs.pipeline.config import read_pipeline
from jobs.pipeline.job import PipelineArgs, main, rows_failed
from tests.jobs import tiny
from tests.pictures import write_png

EXAMPLE = Path(__file__).resolve().parents[3] / "docs" / "pipeline.yaml"


@pytest.fixture
def config(tiny_world, tmp_path, monkeypatch):
    """The example of the documents beside a small feed, with the tiny bundle in the place of the shipped one."""
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    content = yaml.safe_load(EXAMPLE.read_text()) | {"bundle": str(tiny_world.bundle)}
    content["caption"] = {"captioner": str(tiny_world.bundle), "max_new_tokens": 3}
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump(content))
    feed = tmp_path / content["ingest"]["source"]
    lines = ["image\tcaption\tbrand"]
    for colour in tiny.COLOURS[:6]:
        write_png(feed.parent / f"{colour}.png", colour, side_px=32)
        lines.append(f"{colour}.png\t{colour} square\tAcme")
    write_png(feed.parent / "bare.png", "maroon", side_px=32)
    lines.append("bare.png\t\tAcme")
    feed.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.usefixtures("alone")
def test_the_example_makes_a_pair_that_opens_together_and_then_has_nothing_to_do(config, tiny_world, tmp_path):
    report = main(PipelineArgs(config=config)).as_dict()
    assert (report["rows_in"], report["rows_out"], report["rows_failed"], report["skipped"]) == (7, 7, 0, False)
    assert [stage["job"] for stage in report["stages"]] == ["ingest", "caption", "embed", "index"]
    assert report["stages"][1]["rows_in"] == 1
    index = load_bundle(report["bundle"], index=report["index"], vision=False).index
    captions = {item["caption"]: item["caption_by"] for item in index.items.to_pylist()}
    assert {f"{colour} square" for colour in tiny.COLOURS[:6]} < set(captions)
    assert [str(tiny_world.bundle) in (by or "") for by in captions.values()].count(True) == 1
    again = main(PipelineArgs(config=config, out=str(tmp_path / "again.json"))).as_dict()
    assert [stage["skipped"] for stage in again["stages"]] == [True, True, True, True]
    assert again["skipped"]
    written = json.loads((tmp_path / "again.json").read_text())
    assert (written["name"], [stage["job"] for stage in written["stages"]]) == (
        "shop",
        ["ingest", "caption", "embed", "index"],
    )


def test_a_stage_that_fails_is_named_and_stands_in_the_report(config, tmp_path):
    content = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump(content | {"ingest": {"source": "nowhere.tsv"}}))
    with pytest.raises(FromageError, match=r"^ingest: .*nowhere\.tsv"):
        main(PipelineArgs(config=config))
    (stage,) = json.loads((tmp_path / "home" / "pipelines" / "shop.json").read_text())["stages"]
    assert stage["job"] == "ingest"
    assert "nowhere.tsv" in stage["error"]


def test_check_runs_nothing(config, tmp_path):
    assert main(PipelineArgs(config=config, check=True)).as_dict()["stages"] == []
    assert not (tmp_path / "home").exists()


def test_the_shipped_example_says_what_it_says():
    pipeline = read_pipeline(EXAMPLE)
    assert (pipeline.name, pipeline.bundle) == ("shop", "default")
    assert list(pipeline.stages) == ["ingest", "caption", "embed", "index"]
    assert pipeline.stages["index"].vectors == "both"
    assert pipeline.stages["index"].catalogue == pipeline.stages["embed"].out == "shop"


def test_a_section_finetune_trains_the_bundle_that_indexes(config):
    content = yaml.safe_load(config.read_text())
    del content["bundle"], content["caption"]
    config.write_text(yaml.safe_dump(content | {"finetune": {"epochs": 1}}))
    pipeline = read_pipeline(config)
    assert list(pipeline.stages) == ["ingest", "embed", "finetune", "index"]
    assert pipeline.stages["finetune"].out == pipeline.stages["index"].bundle == pipeline.bundle == "shop"
    assert pipeline.stages["finetune"].epochs == 1


@pytest.mark.parametrize("root", ["s3://bucket/fromage/", "artefacts", "/data/fromage"])
def test_catalogue_features_and_index_lie_below_a_root(config, root):
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"root": root}))
    pipeline = read_pipeline(config)
    below = {"artefacts": str(config.parent / "artefacts")}.get(root, root.rstrip("/"))
    stages = pipeline.stages
    assert stages["ingest"].out == stages["caption"].catalogue == pipeline.catalogue == f"{below}/catalogues/shop"
    assert stages["embed"].out == stages["index"].features == f"{below}/features/shop"
    assert stages["index"].out == pipeline.index == f"{below}/indexes/shop"
    assert pipeline.bundle == yaml.safe_load(config.read_text())["bundle"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indx": {}}, r"unknown key 'indx'; did you mean index\?"),
        ({"index": {"vector": "both"}}, r"index: unknown key 'vector'; did you mean vectors\?"),
        ({"index": {"zzz": 1}}, r"index: unknown key 'zzz'; known are vectors, picture_share"),
        ({"index": {"vectors": "words"}}, r"index\.vectors is 'words': Input should be 'image', 'caption' or 'both'"),
        ({"index": {"compact_above": "much"}}, r"index\.compact_above is 'much': .*number"),
        ({"index": {"compact_above": 3}}, r"index: compact_above is 3"),
        ({"index": {"out": "x"}}, r"index\.out is set by the pipeline"),
        ({"embed": ["x"]}, r"embed: expected options and values, got list"),
        ({"name": None}, r"name is None; expected a text"),
        (
            {"name": "s3://bucket/shop"},
            r"name is 's3://bucket/shop'; .* URIs go into `root`",
        ),
        ({"root": 1}, r"root is 1; expected a text"),
        ({"finetune": {}}, r"bundle goes without finetune"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_what_would_work(config, changes, message):
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | changes))
    with pytest.raises(ConfigError, match=message):
        read_pipeline(config)


def test_a_file_that_is_no_yaml_or_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml can't be read"):
        read_pipeline(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("name: [")
    with pytest.raises(ConfigError, match=r"bad\.yaml is not YAML"):
        read_pipeline(tmp_path / "bad.yaml")
    (tmp_path / "list.yaml").write_text("- name")
    with pytest.raises(ConfigError, match=r"list\.yaml: expected sections"):
        read_pipeline(tmp_path / "list.yaml")


def failing(tmp_path: Path, job: str, rows: list[str], *, rows_in: int, place: str = "failures.parquet") -> Report:
    """A stage's report, with its table of failures."""
    folder = tmp_path / job
    (folder / place).parent.mkdir(parents=True)
    pq.write_table(pa.table({"id": pa.array(rows, pa.string())}), folder / place)
    return Report(
        job,
        rows_in=rows_in,
        rows_out=rows_in - len(rows),
        rows_failed=len(rows),
        seconds=1,
        output=folder,
        failures=place,
    )


def test_a_row_that_fails_in_several_stages_is_one_row_and_a_double_is_none(tmp_path):
    reports = [
        failing(tmp_path, "ingest", ["x", "y"], rows_in=10),
        failing(tmp_path, "caption", ["a"], rows_in=2, place="captions/failures.parquet"),
        failing(tmp_path, "embed", ["a", "b"], rows_in=6),
        failing(tmp_path, "index", ["a", "b"], rows_in=6),
    ]
    assert rows_failed(reports) == 4
    assert rows_failed([]) == 0


@pytest.mark.usefixtures("alone")
def test_more_failures_than_a_stage_allows_end_the_run_and_doubles_are_done(config):
    feed = config.parent / "pictures" / "shop.tsv"
    (feed.parent / "damaged.png").write_bytes(b"damaged")
    feed.write_text(feed.read_text() + "red.png\tthe same again\tAcme\ndamaged.png\tlost\tAcme\n")
    report = main(PipelineArgs(config=config))
    figures = report.as_dict()
    assert (figures["rows_in"], figures["rows_out"], figures["rows_failed"]) == (9, 8, 1)
    assert [stage["job"] for stage in figures["stages"]] == ["ingest"]
    assert report.verdict == figures["stopped"]
    assert (report.verdict or "").startswith("ingest: 1 of 9 rows failed (11.1 %)")
    assert (report.verdict or "").endswith("/failures.parquet tells why")


@pytest.mark.parametrize("name", ["../shop", "/data/shop", "~/shop", "s3://bucket/shop", "."])
def test_a_name_that_is_a_path_is_refused(config, name):
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"name": name}))
    with pytest.raises(ConfigError, match=r"name is .*; expected a name"):
        read_pipeline(config)
