"""Which token comes next in each row: the best, or one drawn by its share, alone or from top-p's set."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fromage_model.chat.sampling import (
    BLOCK,
    LIKELIEST,
    UNDECIDED,
    best,
    draw,
    draw_top_p,
    draw_wide_top_p,
    penalise_frequency,
    penalise_presence,
    penalise_repetition,
    penalise_words,
    row_numbers,
)
from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Sampling

VOCABULARIES = st.sampled_from([1, 2, 9, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 7, 16 * LIKELIEST + 1, 6007])
"""Below, at and beyond what is looked at as one."""


@st.composite
def batches(draw) -> Tensor:
    """(R, V) logits, no two of a row alike."""
    rows, vocabulary = draw(st.integers(1, 4)), draw(VOCABULARIES)
    generator = torch.Generator().manual_seed(draw(st.integers(0, 999)))
    return torch.randn(rows, vocabulary, generator=generator) * draw(st.sampled_from([0.1, 1.0, 4.0]))


def numbers_of(rows: int, seed: int = 0) -> Tensor:
    return row_numbers(seed, rows).unsqueeze(1)


def top_p_of(logits: Tensor, top_p: float) -> Tensor:
    return torch.full((len(logits), 1), top_p, dtype=torch.float64)


@settings(deadline=None)
@given(logits=batches())
def test_the_best_is_the_greatest_logit_of_each_row(logits):
    assert torch.equal(best(logits), logits.argmax(dim=1))


def test_the_best_of_equals_is_the_first_and_a_row_of_nan_gives_an_id():
    logits = torch.zeros(2, 3 * BLOCK + 5)
    logits[:, [BLOCK + 7, BLOCK + 9, 3 * BLOCK + 1]] = 2.0
    logits[1] = float("nan")
    first, other = best(logits).tolist()
    assert first == BLOCK + 7
    assert 0 <= other < logits.shape[1]
    drawn = draw(logits.softmax(dim=-1), numbers_of(2))
    assert int(drawn.max()) < logits.shape[1]


@settings(deadline=None)
@given(logits=batches(), seed=st.integers(0, 99))
def test_what_is_drawn_stands_where_the_number_falls_in_the_mass_in_the_order_of_ids(logits, seed):
    weights, numbers = logits.softmax(dim=-1), numbers_of(len(logits), seed)
    mass = weights.cumsum(dim=-1, dtype=torch.float64)
    rows = torch.arange(len(logits))
    drawn = draw(weights, numbers)
    sought = (numbers * mass[:, -1:]).squeeze(1)
    assert (mass[rows, drawn] > sought - 1e-6).all()
    assert (mass[rows, drawn] - weights[rows, drawn] <= sought + 1e-6).all()


@settings(deadline=None)
@given(logits=batches(), data=st.data())
def test_what_has_no_weight_is_never_drawn(logits, data):
    weights = logits.softmax(dim=-1)
    kept = data.draw(st.sets(st.integers(0, weights.shape[1] - 1), min_size=1, max_size=5))
    only = torch.zeros_like(weights)
    only[:, sorted(kept)] = 1e-6 + weights[:, sorted(kept)]
    edges = torch.tensor([[0.0], [1 - 2**-53]], dtype=torch.float64)
    for number in (*edges, *numbers_of(20)):
        drawn = draw(only, number.expand(len(only), 1))
        assert set(drawn.tolist()) <= kept


def test_draws_follow_the_softmax_in_every_row():
    shares = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]]).softmax(dim=-1)
    drawn = torch.stack([draw(shares, number.expand(2, 1)) for number in numbers_of(4000)])
    for row in range(2):
        found = torch.bincount(drawn[:, row], minlength=3) / 4000
        torch.testing.assert_close(found, shares[row], atol=0.03, rtol=0)


def test_shares_are_kept_where_a_vocabulary_takes_several_blocks():
    weights = torch.ones(1, 3 * BLOCK + 5)
    drawn = draw(weights.expand(5000, -1), numbers_of(5000))
    found = torch.bincount(drawn // BLOCK, minlength=4) / 5000
    expected = torch.tensor([BLOCK, BLOCK, BLOCK, 5]) / weights.shape[1]
    torch.testing.assert_close(found, expected, atol=0.03, rtol=0)


def test_rounding_that_swaps_the_order_of_like_tokens_does_not_change_what_is_drawn():
    logits = torch.zeros(30, 500)
    rounded = logits + 1e-6 * torch.randn(30, 500, generator=torch.Generator().manual_seed(1))
    numbers = numbers_of(30)
    assert torch.equal(draw(logits.softmax(dim=-1), numbers), draw(rounded.softmax(dim=-1), numbers))


@settings(deadline=None)
@given(logits=batches(), top_p=st.floats(0.01, 0.999), seed=st.integers(0, 99))
def test_top_p_draws_from_the_smallest_set_that_holds_its_mass(logits, top_p, seed):
    probabilities, numbers = logits.softmax(dim=-1), numbers_of(len(logits), seed)
    narrow = draw_top_p(probabilities, numbers, top_p_of(logits, top_p))
    wide = draw_wide_top_p(probabilities, numbers, top_p_of(logits, top_p))
    for row, shares in enumerate(probabilities.double()):
        likeliest = shares.sort(descending=True).values
        size = int((likeliest.cumsum(0) - likeliest < top_p).sum())
        assert shares[wide[row]] >= likeliest[size - 1] - 1e-6
        if shares.numel() <= LIKELIEST or size < LIKELIEST - 1:
            assert narrow[row] == wide[row]
        elif size > LIKELIEST + 1:
            assert narrow[row] == UNDECIDED


def test_every_token_of_the_smallest_set_can_be_drawn_and_no_other():
    logits = torch.randn(1, 6007, generator=torch.Generator().manual_seed(1))
    probabilities = logits.softmax(dim=-1)
    shares, order = probabilities[0].sort(descending=True)
    for top_p, draw_one in ((0.03, draw_top_p), (0.2, draw_wide_top_p)):
        allowed = order[: int((shares.cumsum(0) < top_p).sum()) + 1].tolist()
        drawn = {int(draw_one(probabilities, number[None], top_p_of(logits, top_p))) for number in numbers_of(1500)}
        assert drawn <= set(allowed)
        assert len(drawn) > len(allowed) / 2


@settings(deadline=None)
@given(logits=batches(), penalty=st.floats(1.0, 2.0), data=st.data())
def test_a_repetition_penalty_only_lowers_what_was_written(logits, penalty, data):
    logits = torch.cat([logits, torch.ones(len(logits), 1)], dim=1)
    words = st.lists(st.integers(0, logits.shape[1] - 2), min_size=4, max_size=4)
    ids = torch.tensor([data.draw(words) for _ in logits])
    result = logits.clone()
    penalise_words(result, lambda logits: penalise_repetition(logits, ids, torch.full((len(logits), 1), penalty)))
    for before, after, written in zip(logits, result, ids, strict=True):
        others = torch.ones(len(before) - 1, dtype=torch.bool)
        others[written] = False
        assert torch.equal(after[:-1][others], before[:-1][others])
        assert (after[written] <= before[written] + 1e-6).all()
        lead, was = after[-1] - after[:-1].max(), before[-1] - before[:-1].max()
        torch.testing.assert_close(lead, was, atol=1e-4, rtol=0)


def test_a_penalty_reaches_an_id_once_and_each_row_by_its_own():
    logits = torch.tensor([[2.0, -2.0, 4.0], [2.0, -2.0, 4.0]])
    penalise_repetition(logits, torch.tensor([[0, 0, 1], [2, 2, 2]]), torch.tensor([[2.0], [1.0]]))
    assert logits.tolist() == [[1.0, -4.0, 4.0], [2.0, -2.0, 4.0]]


def test_presence_counts_once_and_frequency_each_time_that_was_written_by_openai_s_formula():
    ids, counts = torch.tensor([[0, 0, 2, 0], [1, 1, 1, 1]]), torch.tensor([[3], [2]])
    logits = torch.ones(2, 3)
    penalise_presence(logits, ids, torch.tensor([[0.5], [0.0]]))
    penalise_frequency(logits, ids, torch.tensor([[0.25], [-1.0]]), counts=counts)
    assert logits.tolist() == [[0.0, 1.0, 0.25], [1.0, 3.0, 1.0]]


def test_numbers_follow_their_seed_and_without_one_chance():
    assert torch.equal(row_numbers(3, 40)[:10], row_numbers(3, 10))
    assert not torch.equal(row_numbers(3, 10), row_numbers(4, 10))
    assert not torch.equal(row_numbers(None, 10), row_numbers(None, 10))


@pytest.mark.parametrize(
    "field",
    [
        {"max_new_tokens": 0},
        {"temperature": -0.1},
        {"temperature": 2.1},
        {"top_p": 0.0},
        {"top_p": 1.1},
        {"ret_scale_factor": -1.0},
        {"min_tokens_before_ret": -1},
        {"max_rets": -1},
        {"repetition_penalty": 0.0},
    ],
)
def test_a_sampling_value_that_makes_no_sense_is_refused_by_name(field):
    (name,) = field
    with pytest.raises(InvalidInput, match=f"{name} is") as caught:
        Sampling(**field)
    assert caught.value.field == name


def test_a_maximum_of_tokens_before_ret_below_the_minimum_is_refused():
    with pytest.raises(InvalidInput, match="max_tokens_before_ret is 1; it must be at least min_tokens_before_ret, 2"):
        Sampling(min_tokens_before_ret=2, max_tokens_before_ret=1)
