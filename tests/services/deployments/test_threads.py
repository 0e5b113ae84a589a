"""The number of threads that makes steps fastest is found, kept, and found anew when the machine's load changes."""

from itertools import pairwise

import pytest
import torch

from services.deployments.threads import LATEST, SOONEST, ThreadChoice, worth_trying


def take(choice: ThreadChoice, seconds: dict[int, float], *, steps: int, rows: int = 1) -> list[int]:
    """Steps that take what `seconds` says of their number of threads -> these numbers."""
    used = []
    for _ in range(steps):
        used.append(choice.threads(rows))
        choice.took(seconds[used[-1]], rows=rows)
    return used


@pytest.mark.parametrize(("most", "tried"), [(1, [1]), (2, [2, 1]), (3, [3, 2, 1]), (8, [8, 7, 4, 1])])
def test_all_cores_one_fewer_half_and_one_are_worth_trying(most, tried):
    assert worth_trying(most) == tried


@pytest.mark.parametrize("fastest", [1, 4, 8])
def test_after_a_short_trial_the_fastest_number_is_used(fastest):
    choice = ThreadChoice([8, 4, 1])
    seconds = {number: 1.0 + abs(number - fastest) for number in (8, 4, 1)}
    take(choice, seconds, steps=15)
    assert set(take(choice, seconds, steps=SOONEST // 2)) == {fastest}


def test_a_slow_step_now_and_then_changes_nothing():
    choice = ThreadChoice([2, 1])
    for step in range(10):
        choice.took(9.0 if step % 5 == 2 else {2: 1.0, 1: 2.0}[choice.threads(1)], rows=1)
    assert choice.threads(1) == 2


def test_steps_of_other_sizes_have_their_own_number():
    choice = ThreadChoice([2, 1])
    take(choice, {2: 2.0, 1: 1.0}, steps=10, rows=1)
    take(choice, {2: 1.0, 1: 2.0}, steps=10, rows=8)
    assert [choice.threads(rows) for rows in (1, 8, 7, 5)] == [1, 2, 2, 2]


def test_when_the_load_changes_the_number_follows():
    choice = ThreadChoice([2, 1])
    take(choice, {2: 1.0, 1: 2.0}, steps=10)
    take(choice, {2: 5.0, 1: 2.0}, steps=SOONEST + 10)
    assert choice.threads(1) == 1


def test_trials_that_change_nothing_become_rare_and_a_hopeless_one_is_short():
    choice = ThreadChoice([2, 1])
    used = take(choice, {2: 10.0, 1: 1.0}, steps=20 * LATEST)
    tried = [step for step, number in enumerate(used[SOONEST:]) if number == 2]
    gaps = [later - earlier for earlier, later in pairwise(tried)]
    assert max(gaps) <= LATEST + 1
    assert gaps[-1] == LATEST + 1
    assert len(tried) < 40


def test_a_step_like_no_other_counts_for_nothing_and_has_the_first_number():
    choice = ThreadChoice([2, 1])
    take(choice, {2: 9.0, 1: 1.0}, steps=10)
    assert choice.threads(0) == 2
    choice.took(0.001, rows=0)
    assert choice.threads(1) == 1


def test_within_a_step_torch_computes_with_that_many():
    before = torch.get_num_threads()
    choice = ThreadChoice([before + 1])
    try:
        with choice.for_step(1):
            assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
