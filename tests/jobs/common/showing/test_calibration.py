"""Log-odds become probabilities that hold, and the threshold lets through as many others as it was given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fromage_model.errors import InvalidInput
from jobs.common.showing.calibration import calibrated


def drawn(scale: float, offset: float, count: int = 4000, seed: int = 0):
    """Log-odds of which a sigmoid with this scale and offset is true."""
    generator = np.random.default_rng(seed)
    log_odds = generator.normal(-offset / scale, 3 / scale, count)
    wanted = generator.random(count) < 1 / (1 + np.exp(-(scale * log_odds + offset)))
    return log_odds, wanted


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (0.3, 2.0), (2.5, -4.0)])
def test_a_true_sigmoid_is_found_again(scale, offset):
    found = calibrated(*drawn(scale, offset), others_shown=0.05)
    assert found.scale == pytest.approx(scale, rel=0.12)
    assert found.offset == pytest.approx(offset, abs=0.25)


@settings(deadline=None, max_examples=40)
@given(share=st.sampled_from([0.0, 0.05, 0.3]), seed=st.integers(0, 99), count=st.integers(6, 80))
def test_no_more_of_the_others_are_shown_than_the_share(share, seed, count):
    log_odds, wanted = drawn(1.0, 0.0, count, seed)
    wanted[:2] = [True, False]
    found = calibrated(log_odds, wanted, others_shown=share)
    shown = found.probabilities(log_odds[~wanted]) >= found.threshold
    assert shown.sum() <= share * (~wanted).sum()


def test_as_many_are_let_through_as_may_be():
    log_odds = np.arange(40.0)
    wanted = np.repeat([False, True], 20)
    log_odds[wanted] -= 5  # five of the others lie above the lowest of the wishes
    found = calibrated(log_odds, wanted, others_shown=0.1)
    shown = found.probabilities(log_odds) >= found.threshold
    assert (int(shown[~wanted].sum()), int(shown[wanted].sum())) == (2, 17)


def test_sides_that_a_line_parts_give_a_threshold_between_them():
    log_odds = np.array([-9.0, -7.0, -6.0, 4.0, 5.0, 8.0])
    found = calibrated(log_odds, log_odds > 0, others_shown=0.0)
    assert 0 < found.scale < 10
    assert (found.probabilities(log_odds) >= found.threshold).tolist() == (log_odds > 0).tolist()


@pytest.mark.parametrize("wanted", [[True, True], [False, False]])
def test_one_side_alone_is_refused(wanted):
    with pytest.raises(InvalidInput, match="expected messages of both sides"):
        calibrated(np.array([1.0, 2.0]), np.array(wanted), others_shown=0.05)
