"""Whoever decodes beside it, a request yields what it yields alone; and a step of many is one pass of the LM."""

import dataclasses

import pytest
import torch

from fromage_model.chat.decode import decode
from fromage_model.chat.engine import Engine, Request
from fromage_model.errors import ConfigError, InvalidInput, PromptTooLong
from fromage_model.language.packing import pack
from fromage_model.prompts.messages import Event, Finished, Retrieval, Sampling
from fromage_model.prompts.segments import Prompt, raw_prompt
from tests.fromage_model import other_lms, reference, tiny
from tests.fromage_model.chat.replies import assert_same, passes, run, text_of


@pytest.fixture(params=["llama", "opt", "untied llama", "gpt2", "gpt neo"])
def model(request, lms, own_home, tmp_path):
    folders = {"llama": lms.chat, "opt": lms.opt, "untied llama": lms.untied}
    writers = {"gpt2": other_lms.write_gpt2, "gpt neo": other_lms.write_gpt_neo}
    return tiny.build(folders.get(request.param) or writers[request.param](tmp_path / "lm"))


def prompts_of(model) -> list[Prompt]:
    """Of different lengths, with no, one and two pictures."""
    pictures = tiny.features(3, seed=3)
    parts = [
        ["Show me ", pictures[0], " or", pictures[1], " something warm"],
        ["Hm"],
        [pictures[2], " A picture of"],
        ["You are a shopping assistant. Have you got a pair of shoes for the winter? " * 2],
        ["Show me something warm"],
        ["Have you got", pictures[1], " a red dress, please?"],
    ]
    return [raw_prompt(part, model.tokens) for part in parts]


def requests_of(model) -> list[dict]:
    """Arguments of `Engine.add` and `decode`; every rule of decoding is in one of them."""
    samplings = [
        ("auto", Sampling(max_new_tokens=30, ret_scale_factor=4.0, max_rets=3)),
        ("always", Sampling(max_new_tokens=9, ret_in_context=False)),
        ("never", Sampling(max_new_tokens=40, temperature=1.2, top_p=0.8, seed=3)),
        ("auto", Sampling(max_new_tokens=24, temperature=1.0, seed=4, repetition_penalty=1.3)),
        ("always", Sampling(max_new_tokens=6, min_tokens_before_ret=9)),
        ("auto", Sampling(max_new_tokens=25, ret_scale_factor=5.0, max_rets=4, ret_in_context=False)),
    ]
    return [
        {"prompt": prompt, "retrieval": mode, "sampling": sampling}
        for prompt, (mode, sampling) in zip(prompts_of(model), samplings, strict=True)
    ]


@pytest.mark.parametrize("slots", [2, 6])
def test_cobatched_requests_decode_as_if_alone(model, slots):
    engine = Engine(model, slots=slots)
    requests = [engine.add(**arguments) for arguments in requests_of(model)]
    together = run(engine, requests)
    for arguments, found in zip(requests_of(model), together, strict=True):
        assert_same(found, list(decode(model, arguments.pop("prompt"), **arguments)))
        assert isinstance(found[-1], Finished)
    rets = [sum(isinstance(event, Retrieval) for event in found) for found in together]
    assert min(rets[1], rets[4]) == 1
    assert max(rets[0], rets[5]) > 1
    assert len({text_of(found) for found in together}) == len(together)


def test_cobatched_greedy_requests_write_what_reading_everything_again_would(model):
    options = {"max_new_tokens": 20, "ret_scale_factor": 4.0, "max_rets": 3}
    engine = Engine(model, slots=6)
    requests = [engine.add(prompt, sampling=Sampling(**options)) for prompt in prompts_of(model)]
    for prompt, found in zip(prompts_of(model), run(engine, requests), strict=True):
        expected = reference.greedy(model, prompt, **options)
        stream = model.tokens.stream()
        written = [stream.push(token) for token in expected.ids if token != model.tokens.ret_id]
        assert text_of(found) == "".join(written)
        embeddings = [torch.from_numpy(event.embedding) for event in found if isinstance(event, Retrieval)]
        torch.testing.assert_close(embeddings, expected.embeddings, atol=1e-4, rtol=0)


def test_a_request_that_joins_between_steps_decodes_as_if_alone_and_leaves_the_others_undisturbed(model):
    first, *others = requests_of(model)
    first["sampling"] = dataclasses.replace(first["sampling"], max_new_tokens=90)
    engine = Engine(model, slots=3)
    events: dict[Request, list[Event]] = {engine.add(**first): []}
    arguments = [first]
    steps = 0
    while engine.busy:
        for request, event in engine.step():
            events[request].append(event)
        steps += 1
        if steps % 7 == 0 and others:
            arguments.append(others.pop())
            events[engine.add(**arguments[-1])] = []
    assert not others
    for one, found in zip(arguments, events.values(), strict=True):
        assert_same(found, list(decode(model, one["prompt"], retrieval=one["retrieval"], sampling=one["sampling"])))


def test_several_layers_feed_the_embedding_of_each_row(lms, own_home):
    model = tiny.build(lms.opt, text_layers=(-1, 1))
    engine = Engine(model, slots=3)
    requests = [engine.add(prompt, retrieval="always") for prompt in prompts_of(model)[:3]]
    for prompt, found in zip(prompts_of(model), run(engine, requests), strict=False):
        (embedding,) = [event.embedding for event in found if isinstance(event, Retrieval)]
        expected = reference.embedding_at(model, [*prompt, [model.tokens.ret_id]]).detach()
        torch.testing.assert_close(torch.from_numpy(embedding), expected, atol=1e-4, rtol=0)


def test_the_embedding_of_each_row_sees_that_row_s_pictures(lms, own_home):
    model = tiny.build(lms.chat, picture_weight=0.5)
    engine = Engine(model, slots=3)
    prompts = prompts_of(model)[:3]
    requests = [engine.add(prompt, retrieval="always", sampling=Sampling(max_new_tokens=3)) for prompt in prompts]
    for prompt, found in zip(prompts, run(engine, requests), strict=True):
        assert_same(found, list(decode(model, prompt, retrieval="always", sampling=Sampling(max_new_tokens=3))))


@pytest.mark.parametrize("packed", [False, True])
def test_a_decision_is_each_row_s_own_among_others_that_are_under_way(lms, own_home, packed):
    settings = {"two_ret_rows": True, "ret_hidden": 6, "ret_layers": (1, -1), "max_tokens_before_ret": 0}
    model = tiny.build(lms.chat, **settings)
    tiny.draw_decision(model, seed=2)
    if packed:
        pack(model.lm)
    sampling = Sampling(max_new_tokens=9, max_tokens_before_ret=0, ret_log_odds=decided_median(model))
    engine = Engine(model, slots=3)
    events = {}
    for prompt in prompts_of(model):
        events[engine.add(prompt, sampling=sampling)] = []
        for _ in range(2):
            for request, event in engine.step():
                events[request].append(event)
    for request, event in engine.run():
        events[request].append(event)
    asked = set()
    for prompt, found in zip(prompts_of(model), events.values(), strict=True):
        assert_same(found, list(decode(model, prompt, sampling=sampling)))
        asked.add(any(isinstance(event, Retrieval) for event in found))
    assert asked == {True, False}


def decided_median(model) -> float:
    """The decision's log-odds in the middle of the prompts'."""
    decision, found = model.trained.decision, []
    for prompt in prompts_of(model):
        decoder = model.lm.decoder(1)
        states = decoder.prefill_many([decoder.join()], [model.embed_prompts([prompt]).embeddings[0]])
        with torch.no_grad():
            found.append(float(decision(decision.read([layer[0] for layer in states.layers]))))
    return sorted(found)[len(found) // 2]


def test_a_step_of_many_requests_is_one_pass_of_the_lm(chat_model):
    shapes = passes(chat_model)
    engine = Engine(chat_model, slots=4)
    prompt = prompts_of(chat_model)[0]
    requests = [engine.add(prompt, retrieval="never", sampling=Sampling(max_new_tokens=8)) for _ in range(4)]
    run(engine, requests)
    assert shapes == [(1, requests[0].prompt_tokens)] * 4 + [(4, 1)] * 7


def test_no_more_requests_decode_at_once_than_there_are_slots(chat_model):
    shapes = passes(chat_model)
    engine = Engine(chat_model, slots=2)
    requests = [engine.add(prompt, sampling=Sampling(max_new_tokens=5)) for prompt in prompts_of(chat_model)]
    assert all(isinstance(events[-1], Finished) for events in run(engine, requests))
    assert max(rows for rows, _ in shapes) == 2


def test_a_cancelled_request_yields_nothing_more_and_the_others_go_on(chat_model):
    arguments = requests_of(chat_model)
    engine = Engine(chat_model, slots=3)
    requests = [engine.add(**one) for one in arguments[:5]]
    events: dict[Request, list[Event]] = {request: [] for request in requests}
    for _ in range(3):
        for request, event in engine.step():
            events[request].append(event)
    before = len(events[requests[0]])
    engine.cancel(requests[0])
    engine.cancel(requests[4])
    for request, event in engine.run():
        events[request].append(event)
    assert len(events[requests[0]]) == before
    assert not events[requests[4]]
    for place in (1, 2, 3):
        one = arguments[place]
        alone = decode(chat_model, one["prompt"], retrieval=one["retrieval"], sampling=one["sampling"])
        assert_same(events[requests[place]], list(alone))


def test_a_request_that_fails_ends_alone(chat_model):
    good = requests_of(chat_model)[:2]
    sampling = Sampling(max_new_tokens=9, temperature=1.0)
    object.__setattr__(sampling, "top_p", "what no check foresaw")
    engine = Engine(chat_model, slots=3)
    requests = [engine.add(**good[0]), engine.add(prompts_of(chat_model)[4], sampling=sampling), engine.add(**good[1])]
    events: dict[Request, list[Event | Exception]] = {request: [] for request in requests}
    while engine.busy:
        for request, event in engine.step():
            events[request].append(event)
    (error,) = events[requests[1]]
    assert isinstance(error, ValueError)
    for one, request in zip(good, (requests[0], requests[2]), strict=True):
        assert_same(events[request], list(decode(chat_model, one.pop("prompt"), **one)))
    with pytest.raises(ValueError, match="what no check foresaw"):
        list(decode(chat_model, prompts_of(chat_model)[4], sampling=sampling))


def test_what_can_not_be_decoded_is_refused_when_it_is_added(chat_model):
    engine = Engine(chat_model)
    with pytest.raises(InvalidInput, match="empty"):
        engine.add(raw_prompt([""], chat_model.tokens))
    with pytest.raises(PromptTooLong, match="together at most 256"):
        engine.add(raw_prompt(["dress " * 300], chat_model.tokens))
    assert not engine.busy
    with pytest.raises(ConfigError, match="slots is 0"):
        Engine(chat_model, slots=0)


def test_a_batch_of_prompts_gets_the_replies_that_each_gets_alone(plain_model):
    prompts = [["Show me ", tiny.features(1)[0].numpy()], ["Hm"], ["Have you got a red dress?"]]
    options = {"max_new_tokens": 12, "ret_scale_factor": 4.0}
    together = plain_model.generate_batch(prompts, slots=2, **options)
    for parts, reply in zip(prompts, together, strict=True):
        alone = plain_model.generate(parts, **options)
        assert reply.text == alone.text
        assert [found.offset for found in reply.products] == [found.offset for found in alone.products]
