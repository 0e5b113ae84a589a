"""Decoding with a cache writes what reading everything again would write, and its embeddings are the same."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fromage_model.chat.sampling import Chooser, decode, forbid, penalise_repeated_words, sample, scale_ret
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.prompts.messages import Finished, Retrieval, Sampling, TextDelta
from fromage_model.prompts.segments import raw_prompt
from tests.fromage_model import reference, tiny

LOGITS = st.lists(st.floats(-8, 8, width=32), min_size=2, max_size=12).map(torch.tensor)
RET, STOP = 4, 1
TEXT_BEST = torch.tensor([0.0, -1.0, 3.0, 1.0, 2.0])
RET_BEST = torch.tensor([0.0, -1.0, 3.0, 1.0, 5.0])
STOP_BEST = torch.tensor([0.0, 9.0, 3.0, 1.0, 2.0])


def prompt_of(model):
    """Text and two pictures."""
    pictures = tiny.features(2, seed=3)
    return raw_prompt(["Show me ", pictures[0], " or", pictures[1], " something warm"], model.tokens)


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def retrievals(events) -> list[Retrieval]:
    return [event for event in events if isinstance(event, Retrieval)]


def chooser(mode: str = "auto", **sampling) -> Chooser:
    return Chooser(Sampling(**sampling), mode, ret_id=RET, stop_ids=[STOP], device=torch.device("cpu"))


def assert_same_embeddings(found: list[Retrieval], expected: list[torch.Tensor]) -> None:
    assert len(found) == len(expected)
    for event, embedding in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(event.embedding), embedding, atol=1e-4, rtol=0)


@pytest.mark.parametrize("factor", [1.0, 4.0])
def test_greedy_text_and_embeddings_equal_those_of_reading_everything_again(model, factor):
    options = {"max_new_tokens": 32, "ret_scale_factor": factor, "max_rets": 3}
    expected = reference.greedy(model, prompt_of(model), **options)
    events = list(decode(model, prompt_of(model), sampling=Sampling(**options)))
    stream = model.tokens.stream()
    assert text_of(events) == "".join(stream.push(token) for token in expected.ids if token != model.tokens.ret_id)
    assert_same_embeddings(retrievals(events), expected.embeddings)
    assert len(set(expected.ids)) >= 10
    assert bool(expected.embeddings) == (factor > 1)


def test_what_pictures_look_like_is_added_to_what_the_lm_asks_for(lms):
    model = tiny.build(lms.chat, picture_weight=0.5)
    sampling = Sampling(max_new_tokens=2, min_tokens_before_ret=0)
    (event,) = retrievals(list(decode(model, prompt_of(model), retrieval="always", sampling=sampling)))
    asked = reference.embedding_at(model, [*prompt_of(model), [model.tokens.ret_id]])
    seen = [model.image_embeddings(picture[None])[0] for picture in tiny.features(2, seed=3)]
    expected = asked + 0.5 * (seen[0] + seen[1]) / 2
    expected = expected / expected.norm()
    torch.testing.assert_close(torch.from_numpy(event.embedding), expected.detach(), atol=1e-4, rtol=0)
    text_alone = raw_prompt(["Show me something warm"], model.tokens)
    (event,) = retrievals(list(decode(model, text_alone, retrieval="always", sampling=sampling)))
    asked = reference.embedding_at(model, [*text_alone, [model.tokens.ret_id]])
    torch.testing.assert_close(torch.from_numpy(event.embedding), asked.detach(), atol=1e-4, rtol=0)


def test_out_of_context_a_ret_leaves_the_text_as_it_would_have_been_without_it(model):
    sampling = {"ret_in_context": False, "max_new_tokens": 24}
    asked = list(decode(model, prompt_of(model), retrieval="always", sampling=Sampling(**sampling)))
    plain = list(decode(model, prompt_of(model), retrieval="never", sampling=Sampling(max_new_tokens=23)))
    assert text_of(asked) == text_of(plain)
    assert [event.offset for event in retrievals(asked)] == [0]
    kept = list(decode(model, prompt_of(model), retrieval="always", sampling=Sampling(max_new_tokens=24)))
    assert text_of(kept) != text_of(plain)
    torch.testing.assert_close(retrievals(asked)[0].embedding, retrievals(kept)[0].embedding)


def test_out_of_context_a_ret_never_follows_a_ret():
    choose = chooser(ret_in_context=False, max_rets=3)
    assert [choose(RET_BEST) for _ in range(4)] == [RET, 2, RET, 2]


def test_several_layers_and_an_output_row_of_its_own_decode_the_same(lms, own_home):
    model = tiny.build(lms.chat, two_ret_rows=True, text_layers=(-1, 1))
    options = {"max_new_tokens": 24, "ret_scale_factor": 6.0, "max_rets": 2}
    expected = reference.greedy(model, prompt_of(model), **options)
    events = list(decode(model, prompt_of(model), sampling=Sampling(**options)))
    assert expected.embeddings
    assert_same_embeddings(retrievals(events), expected.embeddings)


def test_ret_as_the_last_allowed_token_still_has_its_embedding(model):
    options = {"ret_scale_factor": 4.0, "max_rets": 3}
    ids = reference.greedy(model, prompt_of(model), max_new_tokens=32, **options).ids
    length = ids.index(model.tokens.ret_id) + 1
    events = list(decode(model, prompt_of(model), sampling=Sampling(max_new_tokens=length, **options)))
    assert isinstance(events[-2], Retrieval)
    assert events[-1].reason == "length"
    expected = reference.embedding_at(model, [*prompt_of(model), ids[:length]]).detach()
    assert_same_embeddings([events[-2]], [expected])


def test_a_stop_token_ends_the_reply_and_is_not_written(chat_model):
    ids = reference.greedy(chat_model, prompt_of(chat_model), max_new_tokens=12).ids
    fresh = next(place for place in range(3, 12) if ids[place] not in ids[:place])
    chat_model.tokens.stop_ids = frozenset({ids[fresh]})
    events = list(decode(chat_model, prompt_of(chat_model), sampling=Sampling(max_new_tokens=12)))
    prompt_tokens = sum(len(s) if isinstance(s, list) else tiny.VISUAL_TOKENS for s in prompt_of(chat_model))
    assert events[-1] == Finished("stop", prompt_tokens, fresh + 1)
    stream = chat_model.tokens.stream()
    assert text_of(events) == "".join(stream.push(token) for token in ids[:fresh])


def test_the_token_limit_ends_the_reply_as_length(chat_model):
    events = list(decode(chat_model, prompt_of(chat_model), sampling=Sampling(max_new_tokens=7)))
    assert (events[-1].reason, events[-1].completion_tokens) == ("length", 7)


def test_an_offset_is_the_length_of_the_text_before_it(model):
    events = list(
        decode(model, prompt_of(model), sampling=Sampling(max_new_tokens=32, ret_scale_factor=4.0, max_rets=3))
    )
    for place, event in enumerate(events):
        if isinstance(event, Retrieval):
            assert event.offset == len(text_of(events[:place]))


def test_an_embedding_has_length_1(model):
    (first, *_) = decode(model, prompt_of(model), retrieval="always", sampling=Sampling(max_new_tokens=1))
    assert isinstance(first, Retrieval)
    assert float(torch.from_numpy(first.embedding).norm()) == pytest.approx(1.0, abs=1e-5)


def test_always_brings_products_and_never_brings_none(model):
    sampling = Sampling(max_new_tokens=16, ret_scale_factor=4.0, max_rets=3)
    assert retrievals(decode(model, prompt_of(model), retrieval="always", sampling=sampling))
    assert not retrievals(decode(model, prompt_of(model), retrieval="never", sampling=sampling))


def test_padding_rows_of_the_table_are_never_written_however_likely(chat_model):
    def written() -> str:
        return text_of(decode(chat_model, prompt_of(chat_model), sampling=Sampling(max_new_tokens=24)))

    before = written()
    chat_model.lm.backbone.get_output_embeddings().weight.data[chat_model.tokens.vocabulary :] *= 1e3
    assert written() == before


def test_one_seed_writes_one_reply_and_another_seed_another(chat_model):
    def written(seed: int) -> str:
        options = Sampling(max_new_tokens=24, temperature=1.5, seed=seed)
        return text_of(decode(chat_model, prompt_of(chat_model), sampling=options))

    assert written(1) == written(1)
    assert written(1) != written(2)


def test_stop_ends_the_iterator_before_the_next_token_without_finished(chat_model):
    asked: list[int] = []

    def stop() -> bool:
        asked.append(len(asked))
        return len(asked) > 4

    events = list(decode(chat_model, prompt_of(chat_model), sampling=Sampling(max_new_tokens=30), stop=stop))
    assert not any(isinstance(event, Finished) for event in events)
    assert len(asked) == 5


def test_a_prompt_that_leaves_no_room_for_the_reply_is_refused_before_any_work(chat_model):
    words = raw_prompt(["dress " * 300], chat_model.tokens)
    with pytest.raises(PromptTooLong, match=r"together at most 256") as caught:
        decode(chat_model, words, sampling=Sampling(max_new_tokens=8))
    assert isinstance(caught.value, InvalidInput)


def test_a_prompt_of_nothing_is_refused(chat_model):
    with pytest.raises(InvalidInput, match="empty"):
        decode(chat_model, raw_prompt([""], chat_model.tokens))


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


def test_always_brings_products_even_where_the_reply_ends_before_the_minimum(chat_model):
    sampling = Sampling(max_new_tokens=4, min_tokens_before_ret=4)
    events = list(decode(chat_model, prompt_of(chat_model), retrieval="always", sampling=sampling))
    assert [type(event) for event in events[-2:]] == [Retrieval, Finished]


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
