"""Recall and its intervals, held against computations too slow and too plain to be wrong in the same way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.common import metrics


def slow_recall(scores, targets, k):
    """Sort each query's candidates, the wanted one last among equals, and look for it in the first k."""
    found = 0
    for row, target in zip(scores, targets, strict=True):
        order = sorted(range(len(row)), key=lambda column: (-row[column], column == target))
        found += target in order[:k]
    return found / len(scores)


@settings(max_examples=60, deadline=None)
@given(
    queries=st.integers(1, 9), candidates=st.integers(1, 14), levels=st.integers(1, 5), seed=st.integers(0, 2**32 - 1)
)
def test_recall_equals_a_slow_sort_even_with_many_ties(queries, candidates, levels, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (queries, candidates)).astype(np.float32)
    targets = rng.integers(0, candidates, queries)
    recall = metrics.recall_at_k(scores, targets, ks=(1, 3, 10))
    for k in (1, 3, 10):
        assert recall.at[k].value == pytest.approx(slow_recall(scores, targets, k))


def test_equal_scores_everywhere_find_nothing():
    recall = metrics.recall_at_k(np.zeros((4, 20)), np.arange(4))
    assert recall.to_json() == {"r_at_1": 0.0, "r_at_5": 0.0, "r_at_10": 0.0}


def test_perfect_embeddings_find_everything_in_both_directions():
    vectors = np.eye(12, dtype=np.float32)
    assert metrics.text_to_image(vectors, vectors).to_json()["r_at_1"] == 100.0
    assert metrics.image_to_text(vectors, vectors).to_json()["r_at_1"] == 100.0


def test_targets_name_the_row_among_more_candidates_than_queries():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(30, 8))
    targets = np.array([4, 17, 29])
    recall = metrics.text_to_image(images[targets] * 5, images, targets=targets)
    wrong = metrics.text_to_image(-images[targets], images, targets=targets)
    assert (recall.queries, recall.candidates) == (3, 30)
    assert recall.at[10].value > wrong.at[10].value == 0


def test_chunks_of_queries_change_nothing(monkeypatch):
    rng = np.random.default_rng(3)
    texts, images = rng.normal(size=(25, 4)), rng.normal(size=(25, 4))
    whole = metrics.text_to_image(texts, images)
    monkeypatch.setattr(metrics, "CHUNK_QUERIES", 7)
    assert metrics.text_to_image(texts, images) == whole


def test_a_nan_score_is_refused_and_not_counted_as_found():
    scores = np.array([[np.nan, 0.5]])
    with pytest.raises(ValueError, match="finite"):
        metrics.recall_at_k(scores, np.array([0]))


def test_a_target_for_each_query_is_demanded():
    with pytest.raises(ValueError, match="one target for each row"):
        metrics.recall_at_k(np.zeros((3, 5)), np.array([0, 1]))


def test_the_interval_is_the_percentile_bootstrap_of_a_plain_loop():
    outcomes = np.array([True] * 12 + [False] * 28)
    estimate = metrics.estimate_share(outcomes, resamples=4000)
    rng = np.random.default_rng(99)
    means = [outcomes[rng.integers(0, 40, 40)].mean() for _ in range(4000)]
    assert estimate.value == pytest.approx(0.3)
    assert estimate.low == pytest.approx(np.quantile(means, 0.025), abs=0.026)
    assert estimate.high == pytest.approx(np.quantile(means, 0.975), abs=0.026)


def test_the_same_seed_gives_the_same_interval():
    outcomes = [True, False, False, True, True, False, True]
    assert metrics.estimate_share(outcomes, seed=5) == metrics.estimate_share(outcomes, seed=5)


def test_outcomes_all_alike_give_an_interval_of_no_width():
    assert metrics.estimate_share([True, True, True]) == metrics.Estimate(1.0, 1.0, 1.0)


def test_no_outcomes_are_an_error():
    with pytest.raises(ValueError, match="outcomes"):
        metrics.estimate_share([])


def test_json_is_in_percent_with_an_interval_for_each_k():
    scores = np.array([[0.9, 0.1], [0.8, 0.2]])
    recall = metrics.recall_at_k(scores, np.array([0, 1]), ks=(1, 2))
    assert recall.to_json() == {"r_at_1": 50.0, "r_at_2": 100.0}
    assert recall.intervals_to_json()["r_at_2"] == [100.0, 100.0]
    assert recall.intervals_to_json()["r_at_1"] == [0.0, 100.0]


def test_outcomes_that_depend_on_each_other_are_drawn_together():
    outcomes = [True] * 10 + [False] * 10
    apart, together = metrics.estimate_share(outcomes), metrics.estimate_share(outcomes, groups=[10, 10])
    assert apart.value == together.value == 0.5
    assert (together.low, together.high) == (0.0, 1.0)
    assert apart.high - apart.low < 0.6
    with pytest.raises(ValueError, match="groups"):
        metrics.estimate_share(outcomes, groups=[10, 9])


def test_the_best_of_several_answers_is_ranked_among_what_answers_nothing():
    scores = np.array([[0.9, 0.8, 0.7, 0.6], [0.1, 0.2, 0.3, 0.3]])
    answers = np.array([[False, True, True, False], [True, False, False, True]])
    assert metrics.answer_ranks(scores, answers).tolist() == [1, 1]
    identity = np.eye(4, dtype=bool)
    square = np.random.default_rng(0).integers(3, size=(4, 4)).astype(float)
    assert metrics.answer_ranks(square, identity).tolist() == metrics.target_ranks(square, np.arange(4)).tolist()
    with pytest.raises(ValueError, match="an answer to each"):
        metrics.answer_ranks(scores, np.zeros_like(answers))
