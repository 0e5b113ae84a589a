"""The real app, over HTTP, with the models and the catalogue that `make demo` serves; asked by OpenAI's own client."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

WISH: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Show me something else to wear on my head."}]
MAX_TOKENS = 16


@pytest.fixture(scope="module")
def client(served_url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served_url}/v1", api_key="unused", max_retries=0, timeout=120)


@pytest.fixture(scope="module")
def http(served_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served_url, timeout=120) as client:
        yield client


def ask(client: openai.OpenAI, messages: list[ChatCompletionMessageParam] = WISH, **extra: Any) -> ChatCompletion:
    return client.chat.completions.create(
        model="default", messages=messages, max_tokens=MAX_TOKENS, extra_body={"retrieval": "always", **extra}
    )


def products_of(completion: ChatCompletion) -> list[dict[str, Any]]:
    return completion.choices[0].message.model_extra["products"]  # type: ignore[index]


def test_reply_has_text_and_products_but_no_ret(client: openai.OpenAI):
    reply = ask(client, top_k=3)
    message = reply.choices[0].message
    assert message.role == "assistant"
    assert message.content is not None
    assert "[RET]" not in message.content
    assert len(products_of(reply)) == 3
    assert all(0 <= product["offset"] <= len(message.content) for product in products_of(reply))
    assert reply.usage is not None
    assert reply.usage.completion_tokens <= MAX_TOKENS


def test_stream_says_what_the_whole_reply_says(client: openai.OpenAI):
    whole = ask(client)
    stream = client.chat.completions.create(
        model="default",
        messages=WISH,
        max_tokens=MAX_TOKENS,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"retrieval": "always"},
    )
    text, products, usage, reasons = "", [], None, []
    for chunk in stream:
        usage = chunk.usage or usage
        for choice in chunk.choices:
            shown = (choice.delta.model_extra or {}).get("products", [])
            assert all(product["offset"] == len(text) for product in shown), "products come at their moment"
            products += shown
            text += choice.delta.content or ""
            reasons.append(choice.finish_reason)
    assert text == whole.choices[0].message.content
    assert products == products_of(whole)
    assert usage == whole.usage
    assert [reason for reason in reasons if reason] == [whole.choices[0].finish_reason]


def test_replies_asked_for_at_once_bring_what_those_asked_for_alone_bring(client: openai.OpenAI):
    """Up to bfloat16's rounding, which may exchange near words or near items; float32's equality is test_llm's."""
    alone = {product["id"]: product["score"] for product in products_of(ask(client))}
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda _: ask(client), range(3)))
    for reply in together:
        assert reply.choices[0].message.content
        scores = {product["id"]: product["score"] for product in products_of(reply)}
        shared = scores.keys() & alone.keys()
        assert len(scores) == len(alone)
        assert len(shared) >= len(alone) - 1
        assert [scores[id] for id in shared] == pytest.approx([alone[id] for id in shared], abs=0.03)


def test_never_brings_text_alone(client: openai.OpenAI):
    reply = ask(client, retrieval="never")
    assert reply.choices[0].message.content
    assert products_of(reply) == []


def test_products_that_come_back_are_not_shown_where_others_are_asked_for(client: openai.OpenAI):
    first = ask(client)
    shown = [{"id": product["id"], "offset": product["offset"]} for product in products_of(first)]
    earlier: Any = {"role": "assistant", "content": first.choices[0].message.content, "products": shown}
    more: ChatCompletionMessageParam = {"role": "user", "content": "Show me something to wear on my head."}
    again = products_of(ask(client, [*WISH, earlier, more]))
    assert len(again) == len(shown)
    assert {product["id"] for product in again}.isdisjoint(product["id"] for product in shown)


def test_picture_of_an_item_is_served_and_can_be_asked_about(client: openai.OpenAI, http: httpx.Client):
    product = products_of(ask(client))[0]
    image = http.get(product["image_url"])
    assert (image.status_code, image.headers["content-type"]) == (200, "image/png")
    cached = http.get(product["image_url"], headers={"if-none-match": image.headers["etag"]})
    assert cached.status_code == 304
    url = f"data:image/png;base64,{base64.b64encode(image.content).decode()}"
    content: Any = [
        {"type": "text", "text": "Something like this, please."},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    with_picture, without = (
        ask(client, [{"role": "user", "content": content}]),
        ask(client, [{"role": "user", "content": content[:1]}]),
    )
    assert with_picture.usage is not None
    assert without.usage is not None
    assert with_picture.usage.prompt_tokens > without.usage.prompt_tokens
    assert len(products_of(with_picture)) == 5


def test_text_that_looks_like_a_special_token_stays_text(client: openai.OpenAI):
    plain = ask(client, [{"role": "user", "content": "What is RET?"}], retrieval="never")
    typed = ask(client, [{"role": "user", "content": "What is [RET]<|im_end|>?"}], retrieval="never")
    assert plain.usage is not None
    assert typed.usage is not None
    assert typed.usage.prompt_tokens > plain.usage.prompt_tokens + 4


def test_conversation_beyond_the_context_is_refused_as_openai_would(client: openai.OpenAI):
    long: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello " * 1300}] * 8
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, long)
    assert (refusal.value.code, refusal.value.param) == ("context_length_exceeded", "messages")


def test_picture_that_is_none_is_refused_as_openai_would(client: openai.OpenAI):
    content: Any = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,bm8gcGljdHVyZQ=="}}]
    with pytest.raises(openai.BadRequestError) as refusal:
        ask(client, [{"role": "user", "content": content}])
    assert (refusal.value.code, refusal.value.param) == ("invalid_image", "messages.0.content.0.image_url.url")
    assert refusal.value.request_id


def test_unknown_model_is_refused_as_openai_would(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as refusal:
        client.chat.completions.create(model="gpt-5", messages=WISH)
    assert refusal.value.code == "model_not_found"


def test_models_health_and_page_are_there(client: openai.OpenAI, http: httpx.Client):
    health = http.get("/healthz").json()
    assert [model.id for model in client.models.list()] == [health["bundle"]]
    assert health["items"] > 2000
    assert "OpenMoji" in health["attribution"]
    page = http.get("/")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
