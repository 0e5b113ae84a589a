"""Of some trials the best is kept, and all of them are told of."""

import pyarrow.parquet as pq
import pytest
import ray
import torch
from ray.tune.experiment import Trial
from ray.util import placement_group, placement_group_table

from fromage_model.bundle import load_bundle
from fromage_model.errors import ConfigError
from fromage_model.header import read_header
from fromage_model.storage.artefacts import home
from jobs.finetune.job import main
from jobs.finetune.reserved import NOTES
from jobs.finetune.settings import FinetuneArgs
from jobs.finetune.sweep import FASTEST, RATES, SLOWEST, Sweep, _GivingBack, draw_settings
from tests.jobs.finetune.test_step import tiny_args

SEARCHED = {"visual_tokens", "shared_width", "text_layers"}


def test_trials_without_items_to_compare_them_by_are_refused():
    with pytest.raises(ConfigError, match=r"tune is 4, but validation is 0\.0 .*give --validation, for example"):
        FinetuneArgs(tune=4)


def test_the_first_trial_is_as_given_and_the_others_differ_within_bounds():
    args = FinetuneArgs(tune=30, validation=0.1, shared_width=64, head_learning_rate=2.0)
    drawn = draw_settings(args, depth=10)
    assert drawn == draw_settings(args, depth=10)
    assert (len(drawn), drawn[0]) == (30, (1.0, {}))
    assert all(SLOWEST <= rate <= FASTEST and set(settings) == SEARCHED for rate, settings in drawn[1:])
    seen = {name: {settings[name] for _, settings in drawn[1:]} for name in SEARCHED}
    assert seen["shared_width"] == {32, 64, 128}
    assert seen["visual_tokens"] == {1, 2, 4}
    assert seen["text_layers"] == {(-1,), (-1, 8), (-1, 5)}
    plan = Sweep(args, home(), {}, None, "", drawn)
    second = plan.args_of(1)
    assert second.head_learning_rate == 2.0 * drawn[1][0]
    assert [getattr(second, name) / getattr(args, name) for name in RATES] == pytest.approx([drawn[1][0]] * len(RATES))
    assert (second.tune, second.visual_tokens) == (0, drawn[1][1]["visual_tokens"])


def test_a_bundle_that_is_started_from_leaves_the_rates_alone_to_be_searched():
    args = FinetuneArgs(tune=5, validation=0.1, start_from="tuned")
    assert [settings for _, settings in draw_settings(args, depth=10)] == [{}] * 5


def test_what_a_trial_reserved_is_given_back_when_it_has_ended_and_not_before(tmp_path, ray_session):
    plan = Sweep(FinetuneArgs(), tmp_path, {}, None, "", [])
    groups = [placement_group([{"CPU": 0.5}]) for _ in range(2)]
    ray.get([group.ready() for group in groups], timeout=60)
    trials = [Trial("trial", config={"number": number}, stub=True) for number in range(2)]
    for number, group in enumerate(groups):
        plan.folder_of(number).mkdir(parents=True)
        (plan.folder_of(number) / NOTES).write_text(f"{group.id.hex()}\n")
    giving_back = _GivingBack(plan)

    def states() -> list[str]:
        return [placement_group_table(group)["state"] for group in groups]

    trials[0].set_status(Trial.RUNNING)
    giving_back.on_step_end(1, trials)
    assert states() == ["CREATED", "CREATED"]
    trials[0].set_status(Trial.TERMINATED)
    giving_back.on_step_end(2, trials)
    assert states() == ["REMOVED", "CREATED"]
    trials[1].set_status(Trial.ERROR)
    giving_back.on_step_end(3, trials)
    assert states() == ["REMOVED", "REMOVED"]


def test_the_best_of_four_trials_is_kept_and_all_stand_in_a_table(
    tiny_world, tmp_path, monkeypatch, ray_session, caplog
):
    monkeypatch.setenv("FROMAGE_HOME", str(tmp_path / "home"))
    args = tiny_args(
        tiny_world, out="best", run="swept", tune=4, validation=0.4, cpus_per_worker=1.0, warm_start_steps=1, seed=3
    )
    with caplog.at_level("INFO", logger="jobs"):
        report = main(args)
    run = home() / "runs" / "swept"
    rows = pq.read_table(run / "trials.parquet").to_pylist()
    assert sorted(row["number"] for row in rows) == [1, 2, 3, 4]
    assert [row["recall"] for row in rows] == sorted((row["recall"] for row in rows), reverse=True)
    assert {row["ended"] for row in rows} <= {"whole", "stopped"}
    assert rows[0]["recall"] == report.extra["figures"]["validation_recall"]
    header, _ = read_header(home() / "bundles" / "best")
    best = rows[0]
    assert best["number"] != 1  # and not the settings as they were given
    assert (header.config.visual_tokens, header.config.shared_width) == (best["visual_tokens"], best["shared_width"])
    assert header.lineage["settings"]["head_learning_rate"] == pytest.approx(args.head_learning_rate * best["rate"])
    assert load_bundle("best", dtype=torch.float32).text_embeddings(["a red square"]).shape == (1, best["shared_width"])
    page = (run / "report.html").read_text()
    assert "<h2>Trials</h2>" in page
    assert all(f"<td>{row['rate']:.4g}</td>" in page for row in rows)
    told = [record.getMessage().split() for record in caplog.records]
    assert all([str(row["number"]), f"{row['rate']:.4g}"] in [line[:2] for line in told] for row in rows)
    again = main(args)
    assert again.extra["skipped"] is True
    assert {group["state"] for group in placement_group_table().values()} <= {"REMOVED"}
