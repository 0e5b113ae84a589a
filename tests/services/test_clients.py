"""Stock clients, unmodified, ask the real app for what they can ask for, streaming and not."""

from typing import Any

import openai
import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from openai.types.chat import ChatCompletionMessageParam

WISH: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Show me something to wear on my head."}]
QUESTION: list[ChatCompletionMessageParam] = [{"role": "user", "content": "What should I wear to a summer wedding?"}]


@pytest.fixture(scope="module")
def client(served_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served_url}/v1", api_key="unused", max_retries=0, timeout=120)


def asked(client: openai.OpenAI, **body: Any) -> Any:
    never = {"extra_body": {"retrieval": "never"}}
    return client.chat.completions.create(
        **({"model": "default", "messages": QUESTION, "max_completion_tokens": 16} | never | body)
    )


def chain(url: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(model="default", base_url=f"{url}/v1", api_key="unused", timeout=120, max_retries=0, **options)


def test_openai_s_client_gets_several_replies_each_its_own(client):
    reply = asked(client, n=3, seed=7, temperature=1.0)
    assert [choice.index for choice in reply.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in reply.choices}) == 3
    assert 3 < reply.usage.completion_tokens <= 3 * 16


def test_openai_s_client_streams_several_replies_by_index(client):
    texts, reasons, usage = {}, {}, None
    body = {"n": 2, "seed": 7, "temperature": 1.0, "stream": True, "stream_options": {"include_usage": True}}
    for chunk in asked(client, **body):
        usage = usage or chunk.usage
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
            reasons[choice.index] = choice.finish_reason
    assert (len(set(texts.values())), all(texts.values())) == (2, True)
    assert set(reasons) == {0, 1}
    assert set(reasons.values()) <= {"stop", "length"}
    assert usage.completion_tokens <= 2 * 16


def test_openai_s_client_gets_text_that_ends_before_its_stop_and_nothing_of_the_stop(client):
    free = asked(client).choices[0].message.content
    stop = free[len(free) // 2 :][:5]
    cut = asked(client, stop=[stop, "never written"]).choices[0]
    assert (stop in cut.message.content, cut.finish_reason) == (False, "stop")
    assert len(cut.message.content) < len(free)
    pieces = [chunk.choices[0].delta.content or "" for chunk in asked(client, stop=stop, stream=True)]
    assert stop not in "".join(pieces)


def test_openai_s_client_gets_log_probabilities_whose_bytes_are_the_text_whole_and_in_pieces(client):
    body = {"logprobs": True, "top_logprobs": 2}
    choice = asked(client, **body).choices[0]
    told = choice.logprobs.content
    assert b"".join(bytes(token.bytes) for token in told).decode() == choice.message.content
    for token in told:
        assert len(token.top_logprobs) == 2
        assert token.top_logprobs[0].logprob >= token.logprob
    for chunk in asked(client, **body, stream=True):
        (choice,) = chunk.choices
        told = choice.logprobs.content if choice.logprobs else []
        assert b"".join(bytes(token.bytes) for token in told).decode() == (choice.delta.content or "")


def test_openai_s_client_has_a_reply_continued(client):
    begun: list[ChatCompletionMessageParam] = [*QUESTION, {"role": "assistant", "content": "I would wear a pair of"}]
    rest = asked(client, messages=begun).choices[0].message.content
    assert rest.startswith(" ")
    assert not rest.startswith(" I would")


def test_langchain_s_chat_gets_a_reply_and_its_usage(served_url):
    messages = [
        SystemMessage("You are brief."),
        HumanMessage("Hello"),
        AIMessage("Hi!"),
        HumanMessage("Show me a hat."),
    ]
    reply = chain(served_url, max_tokens=12, temperature=0, seed=1, stop=["\n"], n=1).invoke(messages)
    assert isinstance(reply, AIMessage)
    assert reply.content
    assert reply.usage_metadata["output_tokens"] <= 12
    assert reply.response_metadata["finish_reason"] in ("stop", "length")


def test_langchain_s_chat_shows_products_as_markdown_streaming_and_not(served_url):
    options = {"max_tokens": 12, "extra_body": {"products_as": "markdown", "retrieval": {"mode": "always", "top_k": 1}}}
    pieces = list(chain(served_url, **options).stream(WISH))
    assert len(pieces) > 2
    assert all(isinstance(piece, AIMessageChunk) for piece in pieces)
    for text in ("".join(str(piece.content) for piece in pieces), chain(served_url, **options).invoke(WISH).content):
        assert f"]({served_url}/v1/items/" in text


def test_langchain_s_chat_is_told_what_is_not_served(served_url):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    with pytest.raises(openai.BadRequestError, match="tools are not supported"):
        chain(served_url).bind_tools([tool]).invoke(WISH)
