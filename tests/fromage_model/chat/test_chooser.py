"""One choice for all rows is each row's own: its sampling, the rules of [RET], its penalty and its numbers."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fromage_model.chat.chooser import Chooser
from fromage_model.chat.logprobs import Scored
from fromage_model.prompts.messages import Sampling
from tests.fromage_model.chat.one_row import RowChooser

RET, STOP = 4, 1
TEXT_BEST = torch.tensor([0.0, -1.0, 3.0, 1.0, 2.0])
RET_BEST = torch.tensor([0.0, -1.0, 3.0, 1.0, 5.0])
STOP_BEST = torch.tensor([0.0, 9.0, 3.0, 1.0, 2.0])
CPU = torch.device("cpu")


def chooser(mode: str = "auto", **sampling):
    """For one row: (V + 1) -> the next id."""
    rows = Chooser(slots=1, device=CPU, ret_id=RET, stop_ids=[STOP])
    rows.admit(Sampling(**sampling), mode)
    return lambda logits: rows(logits.clone()[None])[0]


@st.composite
def requests(draw) -> tuple[Sampling, str, list[int]]:
    """How a reply is decoded, and how it begins."""
    earliest = draw(st.sampled_from([0, 0, 2, 9]))
    rule = draw(st.sampled_from([{}, {}, {"ret_scale_factor": 0.0}, {"ret_scale_factor": 2.0}, {"ret_log_odds": -2.0}]))
    sampling = Sampling(
        max_new_tokens=draw(st.integers(1, 9)),
        temperature=draw(st.sampled_from([0.0, 0.0, 0.5, 1.0, 2.0])),
        top_p=draw(st.sampled_from([1.0, 1.0, 0.3, 0.9])),
        min_tokens_before_ret=earliest,
        max_tokens_before_ret=draw(st.sampled_from([None, earliest + 2])),
        max_rets=draw(st.integers(0, 3)),
        ret_in_context=draw(st.booleans()),
        repetition_penalty=draw(st.sampled_from([1.0, 0.8, 1.3])),
        presence_penalty=draw(st.sampled_from([0.0, 0.0, 0.7, -0.4])),
        frequency_penalty=draw(st.sampled_from([0.0, 0.0, 0.6, -0.3])),
        top_logprobs=draw(st.sampled_from([None, 0, 3, 20])),
        seed=draw(st.integers(0, 99)),
        **rule,
    )
    begun = draw(st.lists(st.integers(0, 5), max_size=4))
    return sampling, draw(st.sampled_from(["auto", "always", "never"])), begun


def logits_of(seed: int, step: int, vocabulary: int, spread: float) -> Tensor:
    """(V + 1) of one request's step, whoever else there is; [RET] is among the likely."""
    generator = torch.Generator().manual_seed(1000 * seed + step)
    logits = spread * torch.randn(vocabulary + 1, generator=generator)
    logits[-1] += 2
    return logits


@settings(deadline=None, max_examples=60)
@given(
    mix=st.lists(requests(), min_size=1, max_size=7),
    vocabulary=st.sampled_from([6, 300, 6007]),
    spread=st.sampled_from([0.5, 3.0]),
    order=st.integers(0, 999),
)
def test_every_row_of_any_mix_gets_what_the_plain_way_gives_it_alone(mix, vocabulary, spread, order):
    """Requests join three at a time, leave when they are through, and the others change places."""
    rng = random.Random(order)
    rules = {"ret_id": vocabulary, "stop_ids": [STOP, 3]}
    expected = [RowChooser(sampling, mode, **rules, begun=begun) for sampling, mode, begun in mix]
    rows = Chooser(slots=3, device=CPU, ret_id=vocabulary, stop_ids=[STOP, 3])
    waiting, running = list(range(len(mix))), []
    written, scores = [[] for _ in mix], [[] for _ in mix]
    while waiting or running:
        if waiting and len(running) < 3 and (not running or rng.random() < 0.6):
            running.append(waiting.pop(0))
            sampling, mode, begun = mix[running[-1]]
            rows.admit(sampling, mode, begun=begun)
        logits = [logits_of(request, len(written[request]), vocabulary, spread) for request in running]
        for request, token in zip(running, rows(torch.stack(logits)), strict=True):
            written[request].append(token)
        for request, scored in zip(running, rows.scores, strict=True):
            scores[request].append(scored)
        assert rows.ids.tolist() == [written[request][-1] for request in running]
        staying = [place for place, one in enumerate(running) if len(written[one]) < mix[one][0].max_new_tokens]
        if len(staying) < len(running):
            rng.shuffle(staying)
            rows.keep(staying)
            running = [running[place] for place in staying]
    for request, row in enumerate(expected):
        steps = range(mix[request][0].max_new_tokens)
        assert written[request] == [row(logits_of(request, step, vocabulary, spread)) for step in steps]
        for token, scored, logprobs in zip(written[request], scores[request], row.logprobs, strict=True):
            assert_scored(scored, token, logprobs, mix[request][0].top_logprobs)


def assert_scored(scored: Scored | None, token: int, logprobs: Tensor, told: int | None) -> None:
    assert (scored is None) == (told is None)
    if scored is None or token == len(logprobs):
        return
    assert scored.logprob == pytest.approx(float(logprobs[token]), abs=1e-5)
    values, ids = logprobs.topk(min(told or 0, len(logprobs)))
    assert [id for id, _ in scored.top] == ids.tolist()
    assert [logprob for _, logprob in scored.top] == pytest.approx(values.tolist(), abs=1e-5)


def test_rows_without_ret_are_penalised_in_all_of_their_vocabulary():
    rows = Chooser(slots=2, device=CPU)
    for penalty in (2.0, 1.0):
        rows.admit(Sampling(repetition_penalty=penalty))
    logits = torch.tensor([1.0, 2.0, 3.0])
    assert [rows(logits.expand(2, -1).clone()) for _ in range(3)] == [[2, 2], [1, 2], [2, 2]]


def test_a_chooser_looks_at_nothing_on_the_device_before_the_ids():
    class Watch(TorchDispatchMode):
        """Refuses what makes the host wait for a value, or for a size that depends on one."""

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            waits = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
            assert not waits, f"{func} waits for the device"
            return func(*args, **(kwargs or {}))

    rows = Chooser(slots=6, device=CPU, ret_id=6007, stop_ids=[STOP])
    rows.admit(Sampling(repetition_penalty=1.3, max_rets=3), "always")
    rows.admit(Sampling(temperature=1.0, seed=1, ret_scale_factor=2.0))
    rows.admit(Sampling(temperature=0.7, top_p=0.9, seed=2), "never")
    rows.admit(Sampling(temperature=2.0, top_p=0.99, min_tokens_before_ret=3, top_logprobs=2))
    rows.admit(Sampling(presence_penalty=0.5, frequency_penalty=0.5, top_logprobs=0))
    rows.admit(Sampling(ret_log_odds=-3.0, max_rets=4))
    for step in range(5):
        logits = torch.stack([logits_of(row, step, 6007, 2.0) for row in range(6)])
        with Watch():
            rows.decide(logits.clone())
        rows(logits)


def test_a_setting_that_can_not_be_used_leaves_the_rows_as_they_were():
    rows = Chooser(slots=2, device=CPU, ret_id=RET, stop_ids=[STOP])
    rows.admit(Sampling())
    broken = Sampling(temperature=1.0)
    object.__setattr__(broken, "top_p", "much")
    with pytest.raises(ValueError, match="much"):
        rows.admit(broken)
    assert rows(TEXT_BEST[None].clone()) == [2]


@pytest.mark.parametrize(
    ("temperature", "top_p"), [(1.0, 1e-300), (1e-40, 0.9), (1e-40, 1.0), (1e-300, 1.0), (1e-40, 1e-300), (2e-6, 0.5)]
)
def test_the_least_temperature_and_the_least_top_p_draw_the_best(temperature, top_p):
    choose = chooser("never", temperature=temperature, top_p=top_p)
    assert choose(torch.tensor([20.0, 20.001, -30.0, 4.0, 40.0])) == 1


def test_temperature_0_takes_the_best_whatever_top_p_says():
    assert chooser("never", top_p=0.1)(TEXT_BEST) == 2


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


def test_no_ret_before_its_minimum_of_tokens():
    choose = chooser(min_tokens_before_ret=2)
    assert [choose(RET_BEST) for _ in range(3)] == [2, 2, RET]


def test_no_more_rets_than_allowed():
    choose = chooser(max_rets=2)
    assert [choose(RET_BEST) for _ in range(4)] == [RET, RET, 2, 2]


def test_out_of_context_a_ret_never_follows_a_ret():
    choose = chooser(ret_in_context=False, max_rets=3)
    assert [choose(RET_BEST) for _ in range(4)] == [RET, 2, RET, 2]


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
    ("mode", "odds", "expected"),
    [("auto", 9.0, [0, 2]), ("never", None, [0, 2]), ("auto", None, [2, 2]), ("auto", -9.0, [RET, 3])],
)
def test_a_reply_that_has_no_ret_at_its_beginning_does_not_begin_with_some_tokens(mode, odds, expected):
    """Where [RET] might still be chosen, what it is chosen beside stays as it is."""
    rows = Chooser(slots=1, device=CPU, ret_id=RET, stop_ids=[STOP])
    sampling = Sampling(max_new_tokens=4, ret_log_odds=odds)
    rows.admit(sampling, mode, after_ret=[3], no_beginning=[2, 3])
    assert [rows(TEXT_BEST.clone()[None])[0] for _ in expected] == expected


def test_a_reply_that_goes_on_may_go_on_with_them():
    rows = Chooser(slots=1, device=CPU, ret_id=RET, stop_ids=[STOP])
    rows.admit(Sampling(max_new_tokens=4), "never", begun=[0], no_beginning=[2, 3])
    assert rows(TEXT_BEST.clone()[None]) == [2]
