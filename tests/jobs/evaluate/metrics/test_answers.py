"""VQA accuracy and NDCG against values worked out by hand."""

from math import log2

import numpy as np
import pytest

from jobs.evaluate.metrics.ranking import ndcg
from jobs.evaluate.metrics.vqa import vqa_accuracy


@pytest.mark.parametrize(("same", "accuracy"), [(0, 0), (1, 0.3), (2, 0.6), (3, 0.9), (4, 1), (10, 1)])
def test_an_answer_counts_by_how_many_of_ten_gave_it_each_left_out_in_turn(same, accuracy):
    """Of two equal answers, say: left out one of them, one other is left (1 / 3), twice; left out another, two are
    (2 / 3), eight times: (2 / 3 + 16 / 3) / 10 = 0.6."""
    assert vqa_accuracy("yes", ["yes"] * same + ["no"] * (10 - same)) == pytest.approx(accuracy)


def test_an_answer_without_people_is_refused():
    with pytest.raises(ValueError, match="none"):
        vqa_accuracy("yes", [])


def test_ndcg_by_hand():
    """Three are relevant, so three places count; the ranking has 0.2, 0 and 1 there, the best has 1, 0.5 and 0.2."""
    scores, relevance = np.array([-1.0, -2.0, -3.0, -4.0]), np.array([0.2, 0.0, 1.0, 0.5])
    ranked = 0.2 / log2(2) + 0 / log2(3) + 1 / log2(4)
    best = 1 / log2(2) + 0.5 / log2(3) + 0.2 / log2(4)
    assert ndcg(scores, relevance) == pytest.approx(ranked / best)
    assert ndcg(relevance, relevance) == 1


def test_a_model_that_finds_all_answers_alike_gains_nothing_by_it():
    assert ndcg(np.zeros(3), np.array([0, 1.0, 0])) == 0


def test_ndcg_without_a_relevant_answer_is_refused():
    with pytest.raises(ValueError, match="relevant"):
        ndcg(np.zeros(3), np.zeros(3))
