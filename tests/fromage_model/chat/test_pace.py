"""Prompts are read in pieces that keep a step short, and shared out so that everybody gets on."""

import pytest

from fromage_model.chat.pace import FEWEST, FIRST, MOST, Pace, shares


def paced(*, per_position_s: float, decoding_s: float) -> Pace:
    """What many steps on a machine of this speed have taught."""
    pace = Pace(step_s=0.15, alone_s=0.6)
    for _ in range(40):
        pace.took(decoding_s, positions=0, writing=True)
    for _ in range(40):
        count = pace.positions(writing=True)
        pace.took(decoding_s + count * per_position_s, positions=count, writing=True)
    return pace


def test_a_step_that_reads_beside_replies_keeps_to_its_time():
    pace = paced(per_position_s=0.001, decoding_s=0.05)
    assert pace.positions(writing=True) * 0.001 + 0.05 == pytest.approx(0.15, abs=0.02)
    assert pace.positions(writing=False) * 0.001 == pytest.approx(0.6, abs=0.05)


def test_before_anything_is_known_little_is_read():
    assert Pace().positions(writing=True) == Pace().positions(writing=False) == FIRST


def test_prompts_get_on_however_slow_and_stay_bounded_however_fast():
    assert paced(per_position_s=0.5, decoding_s=0.1).positions(writing=True) == FEWEST
    assert paced(per_position_s=1e-7, decoding_s=0.0).positions(writing=False) == MOST


def test_a_machine_that_turns_slow_is_noticed():
    pace = paced(per_position_s=0.001, decoding_s=0.0)
    before = pace.positions(writing=False)
    for _ in range(20):
        count = pace.positions(writing=False)
        pace.took(0.01 * count, positions=count, writing=False)
    assert pace.positions(writing=False) < before / 5


@pytest.mark.parametrize(
    ("total", "wanted", "given"),
    [
        (100, [3], [3]),
        (100, [7862, 12, 40], [50, 12, 38]),
        (100, [12, 7862], [12, 88]),
        (64, [49, 49, 49], [49, 15, 0]),
        (10, [50, 50], [10, 0]),
        (1, [5, 5], [1, 0]),
        (1000, [300, 200, 100], [300, 200, 100]),
    ],
)
def test_the_first_in_line_gets_half_and_of_the_rest_who_wants_little(total, wanted, given):
    assert shares(total, wanted) == given
