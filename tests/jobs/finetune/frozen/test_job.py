"""The whole job through Ray Train: what it writes `FrozenModel.from_pretrained` opens, for any number of workers."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch

from fromage_model.errors import ConfigError
from fromage_model.frozen import make_arrow
from fromage_model.frozen.model import FrozenModel
from fromage_model.frozen.storage import read_header
from fromage_model.storage.artefacts import home
from jobs.common.reporting.report import Report
from jobs.finetune.__main__ import model_of
from jobs.finetune.frozen.job import main
from jobs.finetune.frozen.settings import FrozenArgs
from tests.fromage_model.catalogue.feeds.datasets import official
from tests.jobs import tiny
from tests.jobs.finetune.frozen.conftest import COLOURS
from tests.lines import said


@dataclasses.dataclass(frozen=True)
class Finished:
    args: FrozenArgs
    report: Report


@pytest.fixture
def here(tmp_path_factory, monkeypatch) -> Iterator[None]:
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture
def finished(frozen_args, ray_session, here, tmp_path) -> Finished:
    """Of nine rows one has no words, and another more than are learned."""
    captions = {"pink": "...", "teal": "a square " * 40}
    tiny.write_squares(tmp_path / "squares", colours=(*COLOURS, "pink"), held_out=0, captions=captions)
    args = frozen_args(
        out="two", run="two", catalogue=str(tmp_path / "squares"), max_failed=0.2, workers=2, batch_size=2
    )
    return Finished(args, main(args))


def test_two_workers_train_what_one_would_and_the_run_is_whole_with_a_table_of_rows_that_failed(finished):
    report = finished.report
    assert (report.rows_in, report.rows_out, report.rows_failed) == (9, 8, 1)
    assert report.extra["figures"]["texts_cut"] == 1
    table = pq.read_table(home() / "runs" / "two" / "failures.parquet")
    assert table["message"].to_pylist() == ["its caption is without a letter or a digit"]
    assert {"loss", "caption", "optimizer_steps", "examples_per_second"} <= set(report.extra["figures"])
    assert report.extra["figures"]["optimizer_steps"] == 4
    lineage = read_header(home() / "bundles" / "two").lineage
    assert (lineage["job"], lineage["run"], lineage["epochs_done"], lineage["rows"]) == ("finetune", "two", 2, 8)
    html = (home() / "runs" / "two" / "report.html").read_text()
    assert "data:image/jpeg" in html
    assert "visual map" in html
    assert main(finished.args).extra["skipped"] is True
    with pytest.raises(ConfigError, match="other settings: seed; give another --run"):
        main(dataclasses.replace(finished.args, seed=1))
    one = main(dataclasses.replace(finished.args, out="one", run="one", workers=1, batch_size=4))
    assert one.extra["figures"]["loss"] == pytest.approx(report.extra["figures"]["loss"], rel=1e-4)
    weights = [FrozenModel.from_pretrained(str(home() / "bundles" / name)).visual_map for name in ("one", "two")]
    for ours, theirs in zip(weights[0].parameters(), weights[1].parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_answers_are_learned_from_the_original_s_files_on_top_of_a_model(ray_session, here, frozen_args, tmp_path):
    official.write_coco(tmp_path / "coco")
    make_arrow(f"coco-karpathy:{tmp_path / 'coco'}", tmp_path / "arrows")
    official.write_vqav2(tmp_path / "vqa")
    make_arrow(f"vqav2:{tmp_path / 'vqa'}", tmp_path / "arrows", answers_at_least=1)
    first = main(frozen_args(data_root=str(tmp_path / "arrows"), out="captions", epochs=1, trained_stages=1))
    settings = {"data_root": str(tmp_path / "arrows"), "task": "vqa", "start_from": "captions", "out": "answers"}
    second = main(frozen_args(**settings, trained_stages=1, epochs=1))
    lineage = read_header(Path(second.output)).lineage
    assert lineage["started_from"]["model"].endswith("captions")
    model = FrozenModel.from_pretrained(second.output, dtype=torch.float32)
    tokens = torch.tensor([model.tokens.encode("Question: What colour is it? Answer:")])
    assert model(torch.zeros(1, 3, 32, 32), tokens).shape == (1, 2 + tokens.shape[1], model.lm.vocabulary)
    before = FrozenModel.from_pretrained(first.output, dtype=torch.float32)
    assert not torch.equal(next(model.visual_map.parameters()), next(before.visual_map.parameters()))
    assert json.loads((Path(second.extra["run"]) / "run.json").read_text())["settings"]["task"] == "vqa"


@pytest.mark.parametrize(
    ("words", "model"),
    [
        ("--model frozen --out x", "frozen"),
        ("--out x --model=frozen", "frozen"),
        ("--model fromage", "fromage"),
        ("--out frozen", "fromage"),
        ("--model", "fromage"),
    ],
)
def test_the_command_line_says_which_model_is_trained(words, model):
    assert model_of(words.split()) == model


def test_what_one_of_two_workers_refuses_is_tried_once_and_told_in_one_line_with_exit_code_2(
    ray_session, here, frozen_world, tmp_path
):
    catalogue = tiny.write_squares(tmp_path / "squares", held_out=0)
    (tmp_path / "squares" / "images" / "blue.png").unlink()
    gone = next(item.id for item in catalogue.items() if item.caption == "blue square")
    command = [sys.executable, "-m", "jobs.finetune", "--model", "frozen", "--catalogue", str(tmp_path / "squares")]
    command += ["--language-model", str(frozen_world.lm), "--vision-encoder", str(frozen_world.resnet)]
    command += ["--no-check-pictures", "--workers", "2", "--batch-size", "1", "--max-tokens", "4", "--dtype", "float32"]
    command += ["--threads", "1", "--cpus-per-worker", "0.5", "--max-failures", "2", "--checkpoint-every", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    # What Ray says of a busy machine, it says on stdout.
    told = [line for line in done.stdout.splitlines() if "(raylet)" not in line]
    assert (done.returncode, told) == (2, []), done.stderr
    (line,) = [line for line in said(done.stderr) if line.startswith("error: ")]
    assert line.startswith(f"error: the picture of {gone}: ")
    assert done.stderr.count("phase: reading rows") == 1
