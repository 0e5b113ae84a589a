"""Whether products are shown to whom who wants some: the figures by hand, and the benchmark as a whole."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from scipy.stats import mannwhitneyu

from fromage_model.bundle import load_bundle
from fromage_model.errors import CatalogueError, ConfigError
from fromage_model.prompts.messages import Message as Turn
from jobs.common.showing.sayings import Saying, sayings
from jobs.evaluate.benchmarks.products import Decided, Message, decide, measured_products
from jobs.evaluate.job import main
from jobs.evaluate.metrics.resampling import estimate


def told(wanted: str, shown: str, log_odds: list[float], *, use="held-out") -> dict[str, float]:
    """Figures of messages of which a `+` wants products, or brings some."""
    messages = [
        Message(f"{use}/k/{row}", Saying((f"message {row}",), "k", use, wanted=sign == "+"))
        for row, sign in enumerate(wanted)
    ]
    odds = np.array(log_odds)
    decided = Decided(odds, 1 / (1 + np.exp(-odds)), np.array([sign == "+" for sign in shown]))
    measured = measured_products(messages, decided)
    return {name: estimate(scores, resamples=20).value for name, scores in measured.scores.items()}


def test_shares_precision_and_auc_are_those_by_hand():
    figures = told("+++---", "++--+-", [3.0, 2.0, -1.0, -2.0, 2.5, -1.0])
    assert figures["held_out_wishes_shown"] == pytest.approx(100 * 2 / 3)
    assert figures["held_out_others_shown"] == pytest.approx(100 / 3)
    assert figures["held_out_precision"] == pytest.approx(100 * 2 / 3)
    # 3.0 is above all three, 2.0 above two, -1.0 above one and level with another.
    assert figures["held_out_auc"] == pytest.approx(100 * (3 + 2 + 1.5) / 9)
    assert figures["held-out: wishes, k"] == pytest.approx(100 * 2 / 3)


def test_auc_is_mann_whitney_s_u():
    generator = np.random.default_rng(0)
    odds = generator.integers(-4, 5, size=60).astype(float)
    wanted = "".join("+" if one else "-" for one in generator.random(60) < 0.4)
    wishes, others = (odds[[sign == side for sign in wanted]] for side in "+-")
    expected = mannwhitneyu(wishes, others).statistic / (len(wishes) * len(others))
    assert told(wanted, wanted, odds.tolist())["held_out_auc"] == pytest.approx(100 * expected)


def test_nothing_shown_is_no_division_by_zero():
    figures = told("+-", "--", [0.1, 0.0])
    assert (figures["held_out_precision"], figures["held_out_wishes_shown"]) == (100, 0)


def test_uses_stand_apart_and_the_plot_is_of_the_held_out_alone():
    messages = [
        Message(f"{use}/k/{row}", Saying((f"{use} {row}",), "k", use, wanted=row == 0))
        for use in ("training", "held-out")
        for row in range(2)
    ]
    decided = Decided(np.array([9.0, 9.0, 2.0, -2.0]), np.array([1.0, 1.0, 0.85, 0.12]), np.array([1, 1, 1, 0], bool))
    measured = measured_products(messages, decided)
    assert list(measured.scores)[:4] == [
        "held_out_wishes_shown", "held_out_others_shown", "held_out_precision", "held_out_auc"
    ]  # fmt: skip
    assert measured.scores["training_others_shown"].value == 100
    assert measured.scores["held_out_others_shown"].value == 0
    assert [x for x, _ in measured.curves["products wanted"]] == [10, 90]
    assert measured.scores["wanted_at_90"].value == 100
    assert measured.scores["probability_told_at_10"].value == pytest.approx(12)


def test_what_is_decided_is_what_the_chat_does(tiny_world):
    model = load_bundle(str(tiny_world.bundle), vision=False, dtype="float32")
    model.config = model.config.from_dict(model.config.to_dict() | {"max_tokens_before_ret": 0})
    said = [one for one in sayings("validation") if not one.pictured][::9]
    for threshold in (None, 0.5):
        shown = decide(model, said, np.zeros((0, 0))).shown
        odds = np.median(decide(model, said, np.zeros((0, 0))).log_odds)
        if threshold is not None:
            offset = {"show_calibration": (1.0, -float(odds) + 1e-3), "show_threshold": threshold}
            model.config = model.config.from_dict(model.config.to_dict() | offset)
            shown = decide(model, said, np.zeros((0, 0))).shown
            assert 0.3 < shown.mean() < 0.7
        came = [bool(model.chat(list(one.messages()), max_new_tokens=1).products) for one in said]
        assert shown.tolist() == came
    assert all(isinstance(turn, Turn) for turn in said[0].messages())


def test_the_benchmark_measures_all_messages_of_every_kind(benchmark_args, tiny_world, tmp_path):
    features = str(tiny_world.features)
    figures = main(benchmark_args("products", data=None, features=features)).as_dict()
    assert figures["rows_in"] == figures["rows_out"] == len(sayings())
    assert {"held_out_auc", "validation_auc", "training_precision"} <= set(figures["figures"])
    page = (tmp_path / "out" / "report.html").read_text()
    assert "held-out: others, gibberish" in page
    assert pq.read_table(tmp_path / "out" / "examples.parquet").num_rows == len(sayings())


def test_without_features_messages_under_pictures_are_left_out_and_counted(benchmark_args):
    figures = main(benchmark_args("products", data=None)).as_dict()
    pictured = sum(one.pictured for one in sayings())
    assert figures["rows_failed"] == pictured > 10
    assert figures["rows_out"] == len(sayings()) - pictured
    assert figures["failed_by"] == {"missing_picture": pictured}


@pytest.mark.usefixtures("no_model")
def test_a_catalogue_whose_split_has_no_features_is_refused(benchmark_args, tiny_world):
    args = benchmark_args("products", data=None, features=str(tiny_world.features), split="nosuch")
    with pytest.raises(CatalogueError, match=r"no item with features in split 'nosuch'; its splits"):
        main(args)


def test_data_of_its_own_has_the_benchmark_and_takes_none(benchmark_args):
    with pytest.raises(ConfigError, match="leave data out"):
        benchmark_args("products", data="somewhere")
