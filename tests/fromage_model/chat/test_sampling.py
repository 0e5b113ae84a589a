"""Which token comes next: samplers over logits, and the rules of [RET], penalties and stops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fromage_model.chat.sampling import Chooser, forbid, penalise_repeated_words, sample, scale_ret
from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Sampling

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12).map(torch.tensor)
RET, STOP = 4, 1
TEXT_BEST = torch.tensor([0.0, -1.0, 3.0, 1.0, 2.0])
RET_BEST = torch.tensor([0.0, -1.0, 3.0, 1.0, 5.0])
STOP_BEST = torch.tensor([0.0, 9.0, 3.0, 1.0, 2.0])


def chooser(mode: str = "auto", **sampling) -> Chooser:
    return Chooser(Sampling(**sampling), mode, ret_id=RET, stop_ids=[STOP], device=torch.device("cpu"))


@settings(deadline=None)
@given(logits=LOGITS, factor=st.floats(0, 3))
def test_scale_ret_touches_the_last_logit_alone(logits, factor):
    scaled = scale_ret(logits, factor)
    assert torch.equal(scaled[:-1], logits[:-1])
    assert float(scaled[-1]) == pytest.approx(float(logits[-1]) * factor, rel=1e-5, abs=1e-6)


@settings(deadline=None)
@given(logits=LOGITS, data=st.data())
def test_what_is_forbidden_is_never_drawn(logits, data):
    ids = data.draw(st.sets(st.integers(0, len(logits) - 1), max_size=len(logits) - 1))
    token = sample(forbid(logits, sorted(ids)), temperature=data.draw(st.sampled_from([0.0, 1.0])), top_p=1.0)
    assert token not in ids


@settings(deadline=None)
@given(logits=LOGITS)
def test_temperature_0_takes_the_best(logits):
    assert float(logits[sample(logits, temperature=0, top_p=0.1)]) == float(logits.max())


@settings(deadline=None)
@given(logits=LOGITS, top_p=st.floats(0.05, 1.0), temperature=st.floats(0.2, 2.0), seed=st.integers(0, 99))
def test_top_p_draws_from_the_smallest_set_that_holds_its_mass(logits, top_p, temperature, seed):
    token = sample(logits, temperature=temperature, top_p=top_p, generator=torch.Generator().manual_seed(seed))
    probabilities = (logits / temperature).softmax(dim=-1)
    better = float(probabilities[probabilities > probabilities[token]].sum())
    assert better < top_p + 1e-5


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1e-300), (1e-40, 0.9), (1e-40, 1.0), (1e-300, 1.0), (1e-40, 1e-300), (2e-6, 0.5)]
)
def test_the_least_temperature_and_the_least_top_p_draw_the_best(temperature, top_p):
    logits = forbid(torch.tensor([20.0, 20.001, -30.0, 40.0]), [3])
    assert sample(logits, temperature=temperature, top_p=top_p) == 1


def test_sampling_follows_the_softmax():
    logits = torch.tensor([2.0, 1.0, 0.0])
    generator = torch.Generator().manual_seed(0)
    drawn = [sample(logits, temperature=2.0, top_p=1.0, generator=generator) for _ in range(4000)]
    shares = torch.tensor([drawn.count(token) / 4000 for token in range(3)])
    torch.testing.assert_close(shares, (logits / 2.0).softmax(dim=-1), atol=0.03, rtol=0)


@pytest.mark.parametrize("top_p", [0.3, 0.9])
def test_top_p_keeps_the_smallest_set_however_many_tokens_it_takes(top_p):
    logits = torch.randn(2000, generator=torch.Generator().manual_seed(1))
    probabilities, order = logits.softmax(dim=-1).sort(descending=True)
    allowed = order[: int((probabilities.cumsum(0) < top_p).sum()) + 1].tolist()
    generator = torch.Generator().manual_seed(0)
    drawn = {sample(logits, temperature=1.0, top_p=top_p, generator=generator) for _ in range(3000)}
    assert drawn <= set(allowed)
    assert len(allowed) > 100
    assert len(drawn) > len(allowed) / 2


def test_rounding_that_swaps_the_order_of_like_tokens_does_not_change_what_is_drawn():
    logits = torch.zeros(500)
    rounded = logits + 1e-6 * torch.randn(500, generator=torch.Generator().manual_seed(1))
    for seed in range(30):
        generators = (torch.Generator().manual_seed(seed) for _ in range(2))
        first, second = (
            sample(scores, temperature=1.0, top_p=1.0, generator=generator)
            for scores, generator in zip((logits, rounded), generators, strict=True)
        )
        assert first == second


@settings(deadline=None)
@given(logits=LOGITS, penalty=st.floats(1.0, 2.0), data=st.data())
def test_a_repetition_penalty_only_lowers_what_was_written(logits, penalty, data):
    ids = data.draw(st.lists(st.integers(0, len(logits) - 2), max_size=5))
    result = penalise_repeated_words(logits, ids, penalty)
    others = [place for place in range(len(logits) - 1) if place not in ids]
    assert torch.equal(result[others], logits[others])
    assert (result[ids] <= logits[ids] + 1e-6).all()
    lead, before = result[-1] - result[:-1].max(), logits[-1] - logits[:-1].max()
    torch.testing.assert_close(lead, before, atol=1e-4, rtol=0)


def test_a_repetition_penalty_reaches_a_token_once_however_often_it_was_written():
    choose = chooser(repetition_penalty=2.0)
    assert [choose(TEXT_BEST) for _ in range(3)] == [2, 2, 2]


def test_a_penalty_on_what_was_written_does_not_bring_a_ret():
    choose = chooser(repetition_penalty=2.0)
    choose(TEXT_BEST)
    assert choose(torch.tensor([0.0, -1.0, 3.0, 2.9, 2.0])) == 3


def test_no_ret_after_its_maximum_of_tokens():
    choose = chooser(max_tokens_before_ret=1)
    assert [choose(TEXT_BEST), choose(RET_BEST), choose(TEXT_BEST)] == [2, RET, 2]
    choose = chooser(max_tokens_before_ret=1, max_rets=3)
    assert [choose(TEXT_BEST), choose(TEXT_BEST), choose(RET_BEST)] == [2, 2, 2]


def test_a_maximum_of_tokens_before_ret_below_the_minimum_is_refused():
    with pytest.raises(InvalidInput, match="max_tokens_before_ret is 1; it must be at least min_tokens_before_ret, 2"):
        Sampling(min_tokens_before_ret=2, max_tokens_before_ret=1)


def test_no_ret_before_its_minimum_of_tokens():
    choose = chooser(min_tokens_before_ret=2)
    assert [choose(RET_BEST) for _ in range(3)] == [2, 2, RET]


def test_no_more_rets_than_allowed():
    choose = chooser(max_rets=2)
    assert [choose(RET_BEST) for _ in range(4)] == [RET, RET, 2, 2]


def test_a_ret_scale_factor_decides_when_ret_is_best():
    assert chooser(ret_scale_factor=1.0)(TEXT_BEST) == 2
    assert chooser(ret_scale_factor=2.0)(TEXT_BEST) == RET


def test_always_writes_ret_as_soon_as_the_minimum_allows():
    choose = chooser("always", min_tokens_before_ret=1)
    assert [choose(TEXT_BEST) for _ in range(3)] == [2, RET, 2]


def test_always_writes_ret_before_the_reply_may_stop():
    choose = chooser("always", min_tokens_before_ret=5)
    assert choose(STOP_BEST) == RET


def test_always_writes_ret_last_where_the_minimum_leaves_no_other_place():
    choose = chooser("always", min_tokens_before_ret=9, max_new_tokens=3)
    assert [choose(TEXT_BEST) for _ in range(3)] == [2, 2, RET]


def test_never_does_not_write_ret_however_much_the_lm_wants_it():
    assert chooser("never", ret_scale_factor=9.0)(RET_BEST) == 2


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


def test_out_of_context_a_ret_never_follows_a_ret():
    choose = chooser(ret_in_context=False, max_rets=3)
    assert [choose(RET_BEST) for _ in range(4)] == [RET, 2, RET, 2]
