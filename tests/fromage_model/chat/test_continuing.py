"""A reply that has begun goes on as the LM would have gone on with it."""

import pytest

from fromage_model.chat.decode import decode
from fromage_model.chat.reply import next_turn
from fromage_model.prompts.messages import Message, Retrieval, Sampling
from fromage_model.prompts.segments import chat_prompt, raw_prompt
from tests.fromage_model import reference, tiny
from tests.fromage_model.chat.replies import text_of, words_of

WISH = Message("user", ["Have you got a red dress?"])


def prompt_of(model, messages):
    return chat_prompt(messages, model.tokens, system_prompt=model.config.system_prompt, examples=model.config.examples)


@pytest.mark.parametrize("cut", [1, 5, 11, 19])
def test_from_any_token_on_a_reply_goes_on_to_the_same_text_and_products(model, cut):
    options = {"max_new_tokens": 24, "ret_scale_factor": 4.0, "max_rets": 3}
    prompt = raw_prompt(["Show me ", tiny.features(1)[0], " something warm"], model.tokens)
    whole = reference.greedy(model, prompt, **options)
    begun, rest = whole.ids[:cut], whole.ids[cut:]
    options["max_new_tokens"] -= cut
    events = list(decode(model, [*prompt, begun], sampling=Sampling(**options), begun=begun))
    stream = model.tokens.stream([token for token in begun if token != model.tokens.ret_id])
    assert text_of(events) == "".join(stream.push(token) for token in rest if token != model.tokens.ret_id)
    assert sum(isinstance(event, Retrieval) for event in events) == rest.count(model.tokens.ret_id)


def test_a_message_of_the_assistant_in_last_place_stands_open_in_the_prompt(chat_model):
    turn = next_turn(chat_model, [WISH, Message("assistant", ["Try a"])], sampling=Sampling())
    begun = chat_model.tokens.encode("Try a")
    assert turn.prompt == [*prompt_of(chat_model, [WISH]), begun]
    assert turn.begun == tuple(begun)


def test_after_a_line_that_asks_for_an_answer_it_begins_with_a_space_as_the_lm_would(plain_model):
    for text in ("Try a", " Try a"):
        turn = next_turn(plain_model, [WISH, Message("assistant", [text], (3,))], sampling=Sampling())
        words = plain_model.tokens.encode_turn(" Try a", [3 if text[0] == " " else 4])
        assert turn.prompt == [*prompt_of(plain_model, [WISH]), words]


def test_a_ret_of_its_beginning_counts_and_is_read_only_where_the_text_reads_it(chat_model):
    begun = Message("assistant", ["Try a"], (3,))
    ret = chat_model.tokens.ret_id
    in_context, out_of_it = (
        next_turn(chat_model, [WISH, begun], sampling=Sampling(ret_in_context=read)) for read in (True, False)
    )
    assert (in_context.prompt[-1].count(ret), out_of_it.prompt[-1].count(ret)) == (1, 0)
    assert in_context.begun == out_of_it.begun == tuple(in_context.prompt[-1])
    events = list(chat_model.chat_stream([WISH, begun], retrieval="always", sampling=Sampling(ret_in_context=False)))
    assert not any(isinstance(event, Retrieval) for event in events)


def test_an_empty_beginning_is_none(chat_model):
    sampling = Sampling(max_new_tokens=8)
    turns = [
        next_turn(chat_model, messages, sampling=sampling) for messages in ([WISH], [WISH, Message("assistant", [])])
    ]
    assert turns[0] == turns[1]


def test_a_message_goes_on_to_the_rest_alone_under_the_same_penalties(chat_model, monkeypatch):
    """A tiny LM's words are not those that its tokenizer would make of them, so these are put in their place."""
    sampling = Sampling(
        max_new_tokens=24, ret_in_context=False, repetition_penalty=1.2, frequency_penalty=0.4, top_logprobs=0
    )
    whole = list(chat_model.chat_stream([WISH], retrieval="never", sampling=sampling))
    words, tokens = words_of(chat_model, whole), chat_model.tokens
    encode = tokens.encode_turn
    cuts = [cut for cut in range(1, len(words)) if tokens.decode(words[:cut])[-1:] not in ("", "\ufffd")]
    begun = [WISH, Message("assistant", ["its begin"])]
    for cut in cuts[:: len(cuts) // 3]:
        first = words[:cut]
        own = {"its begin": first}
        monkeypatch.setattr(tokens, "encode_turn", lambda text, *rest, own=own: own.get(text) or encode(text, *rest))
        rest = words_of(chat_model, list(chat_model.chat_stream(begun, retrieval="never", sampling=sampling)))
        assert rest[: len(words) - cut] == words[cut:]
    asked = list(chat_model.chat_stream(begun, retrieval="always", sampling=sampling))
    assert next(event.offset for event in asked if isinstance(event, Retrieval)) == 0
