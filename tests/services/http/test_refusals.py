"""What can't be served is refused with its status, its reason and its field; nothing of ours shows in an error."""

import base64
import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fromage_model.errors import PromptTooLong
from fromage_model.prompts.messages import TextDelta
from fromage_model.vision.images import ImageLimits
from services.answering.conversation import ChatLimits
from services.errors import Overloaded, Unavailable
from services.http.bodies import BodyLimits
from tests.services.http.chatting import CHAT, HELLO, client_of, data_url, events_of, picture, picture_as, showed
from tests.services.peers import WITH_PRODUCTS, ScriptedLlm

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("messages", {}),
    ("messages", {"messages": []}),
    ("messages", {"messages": "Hello"}),
    ("messages.0", {"messages": ["Hello"]}),
    ("messages.0.role", {"messages": [{"role": "robot", "content": "Hello"}]}),
    ("messages.0.role", {"messages": [{"content": "Hello"}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": ""}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": " \n"}]}),
    ("messages.0.content", {"messages": [{"role": "user"}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": []}]}),
    ("messages.0.content", {"messages": [{"role": "user", "content": 5}]}),
    ("messages", {"messages": [{"role": "assistant", "content": "Hi"}]}),
    ("messages.1.role", {"messages": [*HELLO, {"role": "tool", "content": "5", "tool_call_id": "a"}]}),
    ("messages.0.role", {"messages": [{"role": "function", "name": "f", "content": "5"}, *HELLO]}),
    ("messages.0.tool_calls", {"messages": [{"role": "assistant", "tool_calls": [{"id": "a"}]}, *HELLO]}),
    ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
    ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}),
    ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
    ("messages.0.content.0.image_url", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
    ("messages.0.content.0.image_url", {"messages": [{"role": "user", "content": [picture_as("x")]}]}),
    ("messages.0.content.0.image_url", {"messages": [{"role": "user", "content": [picture_as(5)]}]}),
    ("messages.0.content.0.type", {"messages": [{"role": "system", "content": [picture(data_url())]}, *HELLO]}),
    (
        "messages.0.products.0.offset",
        {"messages": [{"role": "assistant", "products": [{"id": "a", "offset": 1}]}, *HELLO]},
    ),
    ("messages.0.products.0.offset", {"messages": [showed({"id": "a", "offset": -1}), *HELLO]}),
    ("messages.0.products.0.id", {"messages": [showed({"offset": 0}), *HELLO]}),
    ("temperature", {"messages": HELLO, "temperature": 3}),
    ("temperature", {"messages": HELLO, "temperature": "hot"}),
    ("top_p", {"messages": HELLO, "top_p": 0}),
    ("max_tokens", {"messages": HELLO, "max_tokens": 0}),
    ("max_tokens", {"messages": HELLO, "max_tokens": 100_000}),
    ("max_completion_tokens", {"messages": HELLO, "max_completion_tokens": 100_000}),
    ("seed", {"messages": HELLO, "seed": 2**63}),
    ("top_k", {"messages": HELLO, "top_k": 21}),
    ("retrieval", {"messages": HELLO, "retrieval": "sometimes"}),
    ("retrieval", {"messages": HELLO, "retrieval": ["always"]}),
    ("retrieval.mode", {"messages": HELLO, "retrieval": {"mode": "sometimes"}}),
    ("retrieval.top_k", {"messages": HELLO, "retrieval": {"top_k": 0}}),
    ("retrieval.filter", {"messages": HELLO, "retrieval": {"filter": {"brand": "a"}}}),
    ("retrieval.min_score", {"messages": HELLO, "retrieval": {"min_score": 1.5}}),
    ("products_as", {"messages": HELLO, "products_as": "html"}),
    ("n", {"messages": HELLO, "n": 0}),
    ("n", {"messages": HELLO, "n": 5}),
    ("stop", {"messages": HELLO, "stop": ""}),
    ("stop", {"messages": HELLO, "stop": 5}),
    ("stop.1", {"messages": HELLO, "stop": ["a", ""]}),
    ("stop", {"messages": HELLO, "stop": list("abcde")}),
    ("stop", {"messages": HELLO, "stop": "x" * 257}),
    ("tools", {"messages": HELLO, "tools": [{"type": "function"}]}),
    ("tool_choice", {"messages": HELLO, "tool_choice": "required"}),
    ("logit_bias", {"messages": HELLO, "logit_bias": {"5": 100}}),
    ("logprobs", {"messages": HELLO, "logprobs": 1}),
    ("top_logprobs", {"messages": HELLO, "top_logprobs": 2}),
    ("top_logprobs", {"messages": HELLO, "logprobs": True, "top_logprobs": 21}),
    ("response_format", {"messages": HELLO, "response_format": {"type": "json_object"}}),
    ("modalities", {"messages": HELLO, "modalities": ["text", "audio"]}),
    ("frequency_penalty", {"messages": HELLO, "frequency_penalty": 2.5}),
    ("repetition_penalty", {"messages": HELLO, "repetition_penalty": 0}),
    ("presence_penalty", {"messages": HELLO, "presence_penalty": -2.5}),
]


@pytest.mark.parametrize(("field", "body"), REFUSED)
def test_bad_input_is_refused_and_the_field_named(client: TestClient, field: str, body: dict[str, Any]):
    response = client.post(CHAT, content=json.dumps(body), headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (400, field, "invalid_request_error")
    assert error["message"]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"messages": [{"role": "user", "content": 5}]}, "expected a text or a list of parts"),
        ({"messages": [{"role": "user", "content": {"text": "Hi"}}]}, "expected a text or a list of parts"),
        ({"messages": HELLO, "stop": 5}, "expected a text or a list of texts"),
        ({"messages": [{"role": "user", "content": [picture_as(5)]}]}, "the URL as a text"),
        ({"messages": [*HELLO, {"role": "tool", "content": "5"}]}, "tools are not supported"),
        ({"messages": HELLO, "top_logprobs": 2}, "send logprobs: true"),
    ],
)
def test_a_refusal_says_what_would_work(client: TestClient, body: dict[str, Any], reason: str):
    assert reason in client.post(CHAT, json=body).json()["error"]["message"]


BAD_PICTURES = [
    ("https://shop.example/a.png", "data: URL", "invalid_image"),
    ("HTTP://shop.example/a.png", "data: URL", "invalid_image"),
    ("file:///etc/passwd", "data:image/png", "invalid_image"),
    ("data:image/png;base64,@@@@", "does not decode", "invalid_image"),
    ("data:image/png;base64,", "empty", "invalid_image"),
    ("data:image/png;base64," + base64.b64encode(b"no picture").decode(), "not an image", "invalid_image"),
    ("data:text/plain;base64,SGVsbG8=", "expected an image", "invalid_image"),
    (data_url(side_px=32), "too many pixels", "invalid_image"),
    ("data:image/png;base64," + base64.b64encode(b"x" * 5000).decode(), "too large", "invalid_image"),
]


@pytest.mark.parametrize(("url", "reason", "code"), BAD_PICTURES)
def test_bad_picture_is_refused_and_its_field_named(url: str, reason: str, code: str):
    limits = ChatLimits(image=ImageLimits(max_bytes=4096, max_pixels=100))
    content = [{"type": "text", "text": "Like this?"}, picture(url)]
    response = client_of(limits=limits).post(CHAT, json={"messages": [{"role": "user", "content": content}]})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, "messages.0.content.1.image_url.url", code)
    assert reason in error["message"]


def test_bad_picture_has_its_status_in_a_stream_too(client: TestClient):
    content = [picture("data:image/png;base64,AAAA")]
    response = client.post(CHAT, json={"messages": [{"role": "user", "content": content}], "stream": True})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_image")


def test_limits_on_messages_text_and_pictures_name_the_field():
    client = client_of(limits=ChatLimits(max_messages=2, max_text_chars=10, max_images=1))
    two = {"role": "user", "content": [picture(data_url()), picture(data_url())]}
    long = {"role": "user", "content": "x" * 11}
    refusals = [client.post(CHAT, json={"messages": messages}) for messages in (HELLO * 3, [long], [two])]
    assert [response.status_code for response in refusals] == [400, 400, 400]
    fields = [response.json()["error"]["param"] for response in refusals]
    assert fields == ["messages", "messages.0.content", "messages.0.content.1.image_url.url"]


def test_values_that_ask_for_nothing_special_are_accepted(client: TestClient):
    neutral = {
        "model": "default", "n": 1, "stop": None, "tools": [], "logprobs": False, "frequency_penalty": 0,
        "top_k": None, "retrieval": None, "products_as": None, "top_logprobs": None, "tool_choice": "auto",
        "presence_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}, "user": "me", "store": False,
    }  # fmt: skip
    assert client.post(CHAT, json={"messages": HELLO, **neutral}).status_code == 200


def test_unknown_model_is_404(client: TestClient):
    response = client.post(CHAT, json={"messages": HELLO, "model": "gpt-5"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert client.get("/v1/models/gpt-5").status_code == 404


def test_body_over_the_limit_is_413_with_and_without_its_length():
    client = client_of(body=BodyLimits(1024))
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 2000}]}).encode()
    headers = {"content-type": "application/json"}
    declared = client.post(CHAT, content=body, headers=headers)
    streamed = client.post(CHAT, content=iter([body[:1000], body[1000:]]), headers=headers)
    assert [response.status_code for response in (declared, streamed)] == [413, 413]
    assert declared.json()["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 100_000, rb'{"messages": "\ud800"}'])
def test_body_that_is_no_json_object_is_400(client: TestClient, body: bytes):
    response = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["error"]["param"]) == (400, None)


def test_body_sent_as_a_form_is_told_which_header_to_send(client: TestClient):
    response = client.post(CHAT, content=b"{}", headers={"content-type": "application/x-www-form-urlencoded"})
    assert response.status_code == 400
    assert "Content-Type: application/json" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Overloaded("too many"), 503, "overloaded"),
        (Unavailable("starting"), 503, "unavailable"),
        (PromptTooLong("too long", field="messages"), 400, "context_length_exceeded"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_error_before_the_first_event_has_its_http_status(error: Exception, status: int, code: str, stream: bool):
    response = client_of(ScriptedLlm([error])).post(CHAT, json={"messages": HELLO, "stream": stream})
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert ("retry-after" in response.headers) == (status == 503)


@pytest.mark.parametrize("stream", [False, True])
def test_internal_error_tells_a_client_nothing_but_the_request_id(stream: bool):
    llm = ScriptedLlm([RuntimeError("the secret path /srv/x")])
    response = client_of(llm).post(CHAT, json={"messages": HELLO, "stream": stream})
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.headers["x-request-id"] in response.json()["error"]["message"]


def test_error_in_mid_stream_is_an_event_and_then_done():
    llm = ScriptedLlm([TextDelta("Try"), RuntimeError("secret")])
    response = client_of(llm).post(CHAT, json={"messages": HELLO, "stream": True})
    *_, error, done = events_of(response.text)
    assert response.status_code == 200
    assert error["error"]["code"] == "internal_error"
    assert "secret" not in response.text
    assert done == "[DONE]"


def test_reply_that_takes_too_long_is_504_and_its_decoding_is_ended():
    llm = ScriptedLlm(WITH_PRODUCTS, delay_s=5.0)
    response = client_of(llm, reply_timeout_s=0.05).post(CHAT, json={"messages": HELLO})
    assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")
    assert llm.closed
