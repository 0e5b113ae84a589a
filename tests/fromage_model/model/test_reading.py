"""What every chat begins with is read once, and changes nothing: neither states nor gradients."""

import dataclasses

import pytest
import torch

from fromage_model.chat.engine import Engine
from fromage_model.model.opening import SHORTEST_OPENING
from fromage_model.model.reading import alike, read_prompts
from fromage_model.prompts.messages import Message, Retrieval, Sampling
from fromage_model.prompts.segments import after_opening, chat_opening, chat_prompt, token_count, token_ids
from tests.fromage_model import tiny
from tests.fromage_model.chat.replies import assert_same, passes, run

EXAMPLES = (("a red hat please", "A hat."), ("hello", "Hello you."))
WISHES = ("a coat", "show me the long green scarf", "hat")


@pytest.fixture
def model(lms):
    return tiny.build(lms.chat, examples=EXAMPLES)


@pytest.fixture
def prompts(model):
    config = model.config
    return [
        chat_prompt(
            [Message("user", [text])], model.tokens, system_prompt=config.system_prompt, examples=config.examples
        )
        for text in WISHES
    ]


def without_opening(model):
    """The same weights, reading everything each time."""
    model._opening, model._opening_of = None, (model.config, model.lm.device, model.lm.dtype, model.trained.lora)
    return model


def test_the_opening_is_what_all_chats_share(model, prompts):
    config = model.config
    opening = chat_opening(model.tokens, system_prompt=config.system_prompt, examples=config.examples)
    assert len(opening) >= SHORTEST_OPENING
    for prompt, text in zip(prompts, WISHES, strict=True):
        assert token_ids(prompt)[: len(opening)] == opening
        rest = after_opening(prompt, opening)
        assert opening + token_ids(rest) == token_ids(prompt)
        assert text in model.tokens.decode(token_ids(rest))
    shown = model.tokens.decode(opening)
    assert [shown.index(text) for exchange in EXAMPLES for text in exchange] == sorted(
        shown.index(text) for exchange in EXAMPLES for text in exchange
    )


def test_a_conversation_with_a_system_prompt_of_its_own_has_the_examples_too(model):
    messages = [Message("system", ["Be kind."]), Message("user", ["a coat"])]
    ids = token_ids(chat_prompt(messages, model.tokens, system_prompt="Ours.", examples=EXAMPLES))
    text = model.tokens.decode(ids)
    assert text.index("Be kind.") < text.index("A hat.") < text.index("Hello you.") < text.index("a coat")
    assert "Ours." not in text
    assert after_opening([ids], model.opening.ids) is None


def test_embeddings_are_those_of_the_whole_sequence(model, prompts):
    asked = model.ask(prompts)
    assert read_prompts(model, prompts).opened == len(model.opening.ids)
    for row, prompt in enumerate(prompts):
        ids = torch.tensor([[*token_ids(prompt), model.tokens.ret_id]])
        embedded = model.embed_prompts([[ids[0].tolist()]]).embeddings
        with torch.no_grad():
            states = model.lm.backbone.base_model(inputs_embeds=embedded).last_hidden_state[0]
            expected = model.trained.text_head([states[-1:]])[0]
        torch.testing.assert_close(asked.embeddings[row].detach(), expected, atol=1e-5, rtol=1e-4)
        last = int(asked.batch.lengths[row]) - 1
        torch.testing.assert_close(asked.last[row, last], states[-2], atol=1e-5, rtol=1e-4)


def test_losses_and_gradients_are_those_without_an_opening(model, prompts):
    replies = [model.tokens.encode(text) for text in ("A coat.", "Sure, a scarf.", "A hat.")]
    after_ret = [[*prompt, [model.tokens.ret_id]] for prompt in prompts]

    def gradients():
        model.trained.zero_grad()
        asked = model.ask(prompts)
        loss = model.reply_loss(after_ret, replies, through_lm=True) + asked.embeddings.sum()
        loss = loss + model.next_token_loss(asked, torch.zeros(len(prompts)))
        loss.backward()
        rows = (model.trained.ret.input_row, *model.trained.text_head.parameters())
        return float(loss.detach()), [row.grad.clone() for row in rows]

    loss, found = gradients()
    expected_loss, expected = (without_opening(model), gradients())[1]
    assert loss == pytest.approx(expected_loss, abs=1e-4)
    for one, other in zip(found, expected, strict=True):
        assert bool(one.abs().max() > 0)
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-3)


def test_a_batch_with_a_prompt_that_begins_otherwise_is_read_whole(model, prompts):
    mixed = [*prompts, [model.tokens.encode("A picture of a hat.")]]
    assert read_prompts(model, mixed).opened == 0
    together, alone = model.ask(mixed).embeddings, model.ask(prompts).embeddings
    torch.testing.assert_close(together[: len(prompts)], alone, atol=1e-5, rtol=1e-4)


def test_what_is_kept_under_inference_mode_serves_training(model, prompts):
    with torch.inference_mode():
        model.ask(prompts)
    model.reply_loss([[*prompts[0], [model.tokens.ret_id]]], [[5, 6]], through_lm=True).backward()
    assert model.trained.ret.input_row.grad is not None


def test_another_system_prompt_is_another_opening(model):
    before = model.opening
    assert model.opening is before
    model.config = dataclasses.replace(model.config, system_prompt="You sell hats and nothing else.")
    assert model.opening.ids != before.ids


def chats(model):
    """Prompts of very different lengths after the opening; the second is shorter after it than others by more than the
    opening is long, the last brings a picture.
    """
    config = model.config
    texts = [["a coat"], ["show me the long green scarf, please " * 4], ["hat"], ["like this ", tiny.features(1)[0]]]
    return [
        chat_prompt([Message("user", text)], model.tokens, system_prompt=config.system_prompt, examples=config.examples)
        for text in texts
    ]


def events_of(model, prompts, *, slots):
    engine = Engine(model, slots=slots)
    sampling = Sampling(max_new_tokens=12, ret_scale_factor=4.0, max_rets=2)
    requests = [engine.add(prompt, retrieval="always", sampling=sampling) for prompt in prompts]
    return run(engine, requests)


@pytest.mark.parametrize("slots", [1, 4])
def test_chats_decode_after_the_kept_opening_as_when_all_is_read(model, slots):
    found = events_of(model, chats(model), slots=slots)
    expected = events_of(without_opening(model), chats(model), slots=slots)
    for one, other in zip(found, expected, strict=True):
        assert_same(one, other)
    assert all(any(isinstance(event, Retrieval) for event in events) for events in found)


def test_decoding_reads_what_follows_the_opening_and_other_prompts_whole(model):
    opened = len(model.opening.ids)
    model.read_opening()
    chat, _, shorter, _ = chats(model)
    other = [model.tokens.encode("A picture of a hat, and more words.")]
    prompts = [chat, shorter, other]
    lengths = [len(token_ids(prompt)) for prompt in prompts]
    shapes = passes(model)
    events_of(model, prompts, slots=4)
    assert sum(positions for _, positions in shapes if positions > 1) == sum(lengths) - 2 * opened


def test_prompts_without_the_opening_do_not_have_it_read(model):
    shapes = passes(model)
    model.generate(["A picture of"], max_new_tokens=2)
    assert len(shapes) == 2


def test_prompts_that_begin_with_the_opening_are_batched_by_themselves_and_by_length(model, prompts):
    short = [[model.tokens.encode("red")], [model.tokens.encode("a red, red, red dress")]]
    mixed = [*prompts[:2], *short, *prompts[2:]]
    batches = alike(model, mixed, at_once=2)
    assert batches[0] == [2, 3]
    assert sorted(row for rows in batches for row in rows) == list(range(len(mixed)))
    sizes = [token_count(mixed[row], visual_tokens=model.config.visual_tokens) for rows in batches for row in rows]
    assert sizes == sorted(sizes)
    for rows in batches[1:]:
        assert len(rows) <= 2
        assert read_prompts(model, [mixed[row] for row in rows]).opened > 0
