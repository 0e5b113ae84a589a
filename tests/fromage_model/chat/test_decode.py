"""Decoding with a cache writes what reading everything again would write, and its embeddings are the same."""

import pytest
import torch

from fromage_model.chat.decode import decode
from fromage_model.errors import InvalidInput, PromptTooLong
from fromage_model.prompts.messages import Finished, Retrieval, Sampling, TextDelta
from fromage_model.prompts.segments import raw_prompt
from tests.fromage_model import reference, tiny


def prompt_of(model):
    """Text and two pictures."""
    pictures = tiny.features(2, seed=3)
    return raw_prompt(["Show me ", pictures[0], " or", pictures[1], " something warm"], model.tokens)


def text_of(events) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def retrievals(events) -> list[Retrieval]:
    return [event for event in events if isinstance(event, Retrieval)]


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


def test_several_layers_and_an_output_row_of_its_own_decode_the_same(lms, own_home):
    model = tiny.build(lms.chat, two_ret_rows=True, text_layers=(-1, 1))
    options = {"max_new_tokens": 24, "ret_scale_factor": 6.0, "max_rets": 2}
    expected = reference.greedy(model, prompt_of(model), **options)
    events = list(decode(model, prompt_of(model), sampling=Sampling(**options)))
    assert expected.embeddings
    assert_same_embeddings(retrievals(events), expected.embeddings)


def decided(model, prompt) -> float:
    """The decision's log-odds at a prompt's end, as computed for it alone."""
    backbone, layer = model.lm.backbone, model.trained.decision
    with torch.no_grad():
        output = backbone(inputs_embeds=reference.embed(model, prompt), output_hidden_states=True)
        last = backbone.base_model(inputs_embeds=reference.embed(model, prompt)).last_hidden_state[0, -1]
        read = torch.cat([output.hidden_states[1][0, -1], last])
        units = (read - layer.standardise.mean) / layer.standardise.std @ layer.hidden.weight.T + layer.hidden.bias
        return float(torch.nn.functional.gelu(units) @ layer.of_hidden.weight[0] + layer.of_hidden.bias)


@pytest.mark.parametrize("text_layers", [(-1,), (0, -1, 1)])
def test_a_decision_says_where_a_chat_s_reply_begins_and_nowhere_else_whether_products_come(lms, own_home, text_layers):
    options = {"text_layers": text_layers, "ret_layers": (1, -1), "max_tokens_before_ret": 0}
    model = tiny.build(lms.chat, two_ret_rows=True, ret_hidden=6, **options)
    row_alone = bool(retrievals(list(decode(model, prompt_of(model), sampling=Sampling(max_new_tokens=1)))))
    outcomes = set()
    for seed in range(6):
        tiny.draw_decision(model, seed=seed)
        log_odds = decided(model, prompt_of(model))
        for least in (log_odds - 0.01, log_odds + 0.01):
            sampling = Sampling(max_new_tokens=4, max_tokens_before_ret=0, ret_log_odds=least)
            events = list(decode(model, prompt_of(model), sampling=sampling))
            assert bool(retrievals(events)) == (least < log_odds)
        events = list(decode(model, prompt_of(model), sampling=Sampling(max_new_tokens=1, max_tokens_before_ret=0)))
        outcomes.add(bool(retrievals(events)))
        for elsewhere in ({"sampling": Sampling(max_new_tokens=1)}, {"begun": prompt_of(model)[-1][-1:]}):
            events = list(decode(model, prompt_of(model), **{"sampling": Sampling(max_new_tokens=1)} | elsewhere))
            assert bool(retrievals(events)) == row_alone
    assert outcomes == {True, False}


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


def test_always_brings_products_even_where_the_reply_ends_before_the_minimum(chat_model):
    sampling = Sampling(max_new_tokens=4, min_tokens_before_ret=4)
    events = list(decode(chat_model, prompt_of(chat_model), retrieval="always", sampling=sampling))
    assert [type(event) for event in events[-2:]] == [Retrieval, Finished]
