"""What has been read is not read again where a prompt begins alike, and the reply is the same."""

import pytest

from fromage_model.chat.decode import decode
from fromage_model.chat.engine import Engine
from fromage_model.chat.prefix_cache import BLOCK
from fromage_model.fromage import Fromage
from fromage_model.prompts.messages import Message, Sampling
from fromage_model.prompts.segments import Prompt, chat_prompt
from tests.fromage_model import reference, tiny
from tests.fromage_model.chat.replies import assert_same, passes, run

PLENTY = 1 << 30
SYSTEM = "You are a shopping assistant."
SAMPLING = Sampling(max_new_tokens=24)


@pytest.fixture(params=["with an opening", "without"])
def model(request, lms, own_home) -> Fromage:
    prompt = SYSTEM if request.param == "with an opening" else ""
    model = tiny.build(lms.chat, system_prompt=prompt)
    model.tokens.stop_ids = frozenset()
    return model


def turns(model: Fromage, *texts: str, picture: int | None = 1) -> Prompt:
    """A conversation of the user's texts, a picture in the first, and short answers between them."""
    messages: list[Message] = []
    for place, text in enumerate(texts):
        seen = [tiny.features(1, seed=picture)[0].numpy()] if picture is not None and not place else []
        messages += [Message("user", [*seen, text]), Message("assistant", ["Have a look at these shoes."])]
    return chat_prompt(messages[:-1], model.tokens, system_prompt=model.config.system_prompt)


def ask(engine: Engine, prompt: Prompt, **options):
    request = engine.add(prompt, retrieval="always", sampling=SAMPLING, **options)
    return run(engine, [request])[0]


def read(shapes: list[tuple[int, int]]) -> int:
    """Positions of prompts among the passes, which are then forgotten."""
    count = sum(positions for _, positions in shapes if positions > 1)
    shapes.clear()
    return count


FIRST = "Show me something warm for the winter, please."
SECOND = "Have you got a pair of shoes?"


def test_a_second_turn_reads_only_what_is_new_and_gets_the_same_reply(model):
    engine = Engine(model, slots=2, prefix_bytes=PLENTY)
    ask(engine, turns(model, FIRST))
    prompt = turns(model, FIRST, SECOND)
    shapes = passes(model)
    found = ask(engine, prompt)
    new = read(shapes)
    assert_same(found, list(decode(model, prompt, retrieval="always", sampling=SAMPLING)))
    read(shapes)
    assert_same(ask(Engine(model, slots=2), prompt), found)
    assert read(shapes) - new >= BLOCK


def test_what_the_lm_wrote_itself_is_found_by_the_turn_that_brings_it_back(model):
    prompt = turns(model, FIRST)
    written = reference.greedy(model, prompt, max_new_tokens=3 * BLOCK, max_rets=0).ids
    engine = Engine(model, slots=1, prefix_bytes=PLENTY)
    run(engine, [engine.add(prompt, retrieval="never", sampling=Sampling(max_new_tokens=3 * BLOCK))])
    shapes = passes(model)
    run(engine, [engine.add([*prompt, written, [7, 8, 9]], retrieval="never", sampling=Sampling(max_new_tokens=1))])
    assert read(shapes) <= BLOCK + 3


def test_another_picture_is_another_conversation(model):
    engine = Engine(model, slots=1, prefix_bytes=PLENTY)
    ask(engine, turns(model, FIRST, SECOND, picture=1))
    before = engine.prefix_counts
    prompt = turns(model, FIRST, SECOND, picture=2)
    found = ask(engine, prompt)
    opened = 0 if model.opening is None else len(model.opening.ids)
    assert engine.prefix_counts.hits - before.hits == opened
    assert_same(found, list(decode(model, prompt, retrieval="always", sampling=SAMPLING)))


def test_every_position_of_a_prompt_counts_as_found_or_as_read(model):
    engine = Engine(model, slots=1, prefix_bytes=PLENTY)
    prompts = [turns(model, FIRST), turns(model, FIRST, SECOND), turns(model, FIRST, SECOND)]
    tokens = []
    for prompt in prompts:
        request = engine.add(prompt, sampling=SAMPLING)
        tokens.append(request.prompt_tokens)
        run(engine, [request])
    counts = engine.prefix_counts
    assert counts.hits + counts.misses == sum(tokens)
    assert counts.hits >= tokens[1] - BLOCK


def test_no_more_bytes_are_kept_than_allowed_and_the_oldest_go_first(model):
    engine = Engine(model, slots=1, prefix_bytes=PLENTY)
    ask(engine, turns(model, FIRST))
    most = engine.prefix_counts.size_bytes
    engine = Engine(model, slots=1, prefix_bytes=most)
    ask(engine, turns(model, FIRST))
    for number in range(5):
        ask(engine, turns(model, SECOND * 2, picture=10 + number))
        assert engine.prefix_counts.size_bytes <= most
    before = engine.prefix_counts.hits
    ask(engine, turns(model, FIRST))
    opened = 0 if model.opening is None else len(model.opening.ids)
    assert engine.prefix_counts.hits - before == opened


def test_of_a_conversation_that_is_too_long_the_beginning_is_kept(model):
    engine = Engine(model, slots=1, prefix_bytes=PLENTY)
    prompt = turns(model, FIRST, SECOND, FIRST, SECOND)
    ask(engine, prompt)
    engine = Engine(model, slots=1, prefix_bytes=engine.prefix_counts.size_bytes // 2)
    ask(engine, prompt)
    opened = 0 if model.opening is None else len(model.opening.ids)
    before = engine.prefix_counts.hits
    ask(engine, prompt)
    assert engine.prefix_counts.hits - before >= opened + 2 * BLOCK


def test_without_bytes_nothing_is_kept(model):
    engine = Engine(model, slots=1)
    ask(engine, turns(model, FIRST))
    ask(engine, turns(model, FIRST))
    assert engine.prefix_counts.size_bytes == 0


def test_one_long_conversation_beside_many_finds_what_it_shares_with_each(model):
    engine = Engine(model, slots=3, prefix_bytes=PLENTY)
    prompts = [turns(model, FIRST, SECOND), turns(model, FIRST, "shoes"), turns(model, "shoes", picture=None)]
    for prompt in prompts:
        ask(engine, prompt)
    requests = [engine.add(prompt, retrieval="always", sampling=SAMPLING) for prompt in prompts]
    for prompt, found in zip(prompts, run(engine, requests), strict=True):
        assert_same(found, list(decode(model, prompt, retrieval="always", sampling=SAMPLING)))
