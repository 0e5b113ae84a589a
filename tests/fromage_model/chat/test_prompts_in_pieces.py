"""A long prompt is read in pieces: nobody stands still beside it, and who leaves ends it."""

import pytest

from fromage_model.chat.decode import decode
from fromage_model.chat.engine import Engine
from fromage_model.chat.pace import Pace
from fromage_model.prompts.messages import Finished, Sampling
from fromage_model.prompts.segments import raw_prompt
from tests.fromage_model import tiny
from tests.fromage_model.chat.replies import assert_same, passes, run

PIECE = 10


class Fixed(Pace):
    """So many positions in every step, however long it takes."""

    def positions(self, *, writing: bool) -> int:
        return PIECE


@pytest.fixture(params=["chat", "opt"])
def model(request, lms, own_home):
    model = tiny.build(getattr(lms, request.param))
    model.tokens.stop_ids = frozenset()
    return model


def long_prompt(model):
    return raw_prompt(["Have you got a pair of shoes ", tiny.features(1)[0], " for the winter? " * 5], model.tokens)


def test_a_prompt_that_is_read_in_pieces_gets_the_reply_that_it_gets_at_once(model):
    options = {"retrieval": "always", "sampling": Sampling(max_new_tokens=20, ret_in_context=False)}
    engine = Engine(model, slots=3, pace=Fixed())
    prompts = [long_prompt(model), raw_prompt(["Hm"], model.tokens), raw_prompt(["shoes " * 9], model.tokens)]
    requests = [engine.add(prompt, **options) for prompt in prompts]
    for prompt, found in zip(prompts, run(engine, requests), strict=True):
        assert_same(found, list(decode(model, prompt, **options)))


def test_a_step_reads_no_more_of_prompts_than_its_pace_says(model):
    shapes = passes(model)
    engine = Engine(model, slots=2, pace=Fixed())
    request = engine.add(long_prompt(model), retrieval="never", sampling=Sampling(max_new_tokens=2))
    run(engine, [request])
    pieces = [positions for _, positions in shapes[:-1]]
    assert sum(pieces) == request.prompt_tokens
    assert max(pieces) == PIECE


def test_replies_go_on_while_a_long_prompt_is_read_beside_them(model):
    engine = Engine(model, slots=2, pace=Fixed())
    sampling = Sampling(max_new_tokens=200)
    first = engine.add(raw_prompt(["Hm"], model.tokens), retrieval="never", sampling=sampling)
    engine.step()
    second = engine.add(long_prompt(model), retrieval="never", sampling=sampling)
    shapes = passes(model)
    steps = second.prompt_tokens // PIECE
    assert second not in [request for _ in range(steps) for request, _ in engine.step()]
    assert shapes == [(1, 1), (1, PIECE)] * steps
    assert first in [request for request, event in engine.run() if isinstance(event, Finished)]


def test_a_short_question_does_not_wait_until_a_long_one_is_read(model):
    engine = Engine(model, slots=2, pace=Fixed())
    long = engine.add(long_prompt(model), retrieval="never", sampling=Sampling(max_new_tokens=2))
    engine.step()
    short = engine.add(raw_prompt(["Hm"], model.tokens), retrieval="never", sampling=Sampling(max_new_tokens=2))
    ended = [request for request, event in engine.run() if isinstance(event, Finished)]
    assert ended == [short, long]


def test_who_leaves_while_its_prompt_is_read_costs_no_further_pass(model):
    engine = Engine(model, slots=1, pace=Fixed())
    request = engine.add(long_prompt(model))
    engine.step()
    shapes = passes(model)
    engine.cancel(request)
    assert not engine.busy
    assert engine.step() == []
    assert not shapes
