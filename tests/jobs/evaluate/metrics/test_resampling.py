"""Figures, their intervals and their differences, against figures worked out by hand and by scipy."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from jobs.evaluate.metrics.bleu import bleu, bleu_statistics
from jobs.evaluate.metrics.resampling import Scores, compare, estimate, mean, median


def scores(values, **settings):
    return Scores([f"id{row}" for row in range(len(values))], np.array(values, dtype=float), **settings)


def test_a_mean_is_told_in_percent_and_its_interval_is_that_of_scipys_bootstrap():
    values = np.random.default_rng(1).random(80)
    found = estimate(scores(values))
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=2).confidence_interval
    assert found.value == pytest.approx(100 * values.mean())
    assert (found.low, found.high) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=0.6)
    assert found.n == 80
    assert found.to_json().keys() == {"value", "interval", "n"}


def test_a_median_of_drawn_examples_is_that_of_the_examples_written_out():
    values = np.array([[5.0], [1.0], [3.0], [9.0]])
    weights = np.array([[1, 1, 1, 1], [2, 0, 1, 0], [0, 3, 0, 1], [1, 0, 0, 1.0]])
    assert median(values, weights).tolist() == [4.0, 5.0, 1.0, 7.0]
    assert mean(values, weights).tolist() == [4.5, 13 / 3, 3.0, 7.0]


def test_examples_that_depend_on_each_other_are_drawn_together_and_make_the_interval_wider():
    values = np.repeat(np.random.default_rng(0).integers(2, size=30), 10)
    alone = estimate(scores(values))
    together = estimate(scores(values, groups=[f"g{row // 10}" for row in range(300)]))
    assert together.value == alone.value
    assert together.high - together.low > 2.5 * (alone.high - alone.low)


def test_equal_scores_have_an_interval_of_no_width():
    found = estimate(scores([1, 1, 1]))
    assert (found.value, found.low, found.high) == (100, 100, 100)


def test_a_difference_is_paired_by_id_and_its_p_is_the_share_of_all_swaps_that_differ_as_much():
    rng = np.random.default_rng(3)
    first = rng.random(10)
    second = first + rng.normal(0.06, 0.1, size=10)
    other = Scores([f"id{row}" for row in reversed(range(10))], second[::-1])
    found = compare(scores(first), other)
    swaps = np.array([(second - first) @ signs / 10 for signs in product((-1, 1), repeat=10)])
    assert found.value == pytest.approx(100 * (second - first).mean())
    assert found.low < found.value < found.high
    assert found.p == pytest.approx((np.abs(swaps) >= (second - first).mean() - 1e-12).mean(), abs=0.04)
    assert found.n == 10


def test_a_model_does_not_differ_from_itself_and_one_that_is_always_better_does():
    values = np.random.default_rng(0).random(50)
    same = compare(scores(values), scores(values))
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)
    better = compare(scores(values), scores(values + 0.1))
    assert better.value == pytest.approx(10)
    assert better.p < 0.001


def test_only_examples_that_both_models_have_are_compared():
    found = compare(Scores(["a", "b", "c"], np.array([0, 0, 1.0])), Scores(["c", "b", "d"], np.array([1, 1, 0.0])))
    assert (found.first, found.second, found.n) == (50, 100, 2)


def test_a_measure_that_is_no_mean_is_made_of_the_examples_that_were_drawn():
    pairs = [(["a", "red", "hat"], [["a", "red", "hat"]]), (["a", "blue", "shoe"], [["the", "green", "shoe"]])] * 20
    statistics = np.stack([bleu_statistics(*pair) for pair in pairs])
    measured = scores(statistics, combine=bleu(1))
    assert estimate(measured).value == pytest.approx(100 * (3 + 1) / 6)
    worse = np.stack([bleu_statistics(["x"], own) for _, own in pairs])
    assert compare(measured, scores(worse, combine=bleu(1))).p < 0.001


def test_ids_that_occur_twice_are_refused():
    with pytest.raises(ValueError, match="different ids"):
        Scores(["a", "a"], np.zeros(2))
