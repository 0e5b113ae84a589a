"""What a client of the HTTP face sees: replies, streams, refusals and headers."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from fromage_model.errors import PromptTooLong
from fromage_model.prompts.messages import Finished, TextDelta
from fromage_model.vision.images import ImageLimits
from services.conversation import ChatLimits
from services.errors import Overloaded, Unavailable
from services.http.routes import HttpOptions, create_http_app
from tests.services.peers import MODEL, WITH_PRODUCTS, ScriptedLlm, asks_for_products, engine

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]


def client_of(llm: ScriptedLlm | None = None, *, reply_timeout_s: float = 30.0, **options: Any) -> TestClient:
    http = HttpOptions(**options)
    parts = engine(llm, pictures=http.limits.image, reply_timeout_s=reply_timeout_s)
    app = create_http_app(parts, MODEL, http)
    return TestClient(app, raise_server_exceptions=False)


@pytest.fixture
def client() -> TestClient:
    return client_of()


def data_url(*, mode: str = "RGB", side_px: int = 4, format: str = "PNG") -> str:
    file = io.BytesIO()
    Image.new(mode, (side_px, side_px), "red").save(file, format)
    return f"data:image/{format.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def picture(url: str) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def showed(product: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": "", "products": [product]}


def events_of(text: str) -> list[Any]:
    lines = [block.removeprefix("data: ") for block in text.strip().split("\n\n")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_reply_has_text_and_products_at_their_offset(client: TestClient):
    reply = client.post(CHAT, json={"messages": HELLO, "top_k": 2}).json()
    message = reply["choices"][0]["message"]
    assert reply["object"] == "chat.completion"
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 9, "completion_tokens": 6, "total_tokens": 15}
    assert message["content"] == "Try these 👗 or ask."
    assert [product["id"] for product in message["products"]] == ["item-0", "item-1"]
    assert message["products"][0] == {
        "id": "item-0",
        "caption": "A item-0",
        "item_url": "https://shop.example/item-0",
        "image_url": "/v1/items/item-0/image",
        "score": 0.5,
        "offset": 11,
    }


def test_offset_counts_characters_and_not_utf16_units(client: TestClient):
    message = client.post(CHAT, json={"messages": HELLO}).json()["choices"][0]["message"]
    assert message["content"][: message["products"][0]["offset"]] == "Try these 👗"


def test_stream_says_what_the_whole_reply_says(client: TestClient):
    whole = client.post(CHAT, json={"messages": HELLO}).json()["choices"][0]["message"]
    response = client.post(CHAT, json={"messages": HELLO, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    *chunks, done = events_of(response.text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert done == "[DONE]"
    assert deltas[0] == {"role": "assistant", "content": ""}
    assert "".join(delta.get("content", "") for delta in deltas) == whole["content"]
    assert [product for delta in deltas for product in delta.get("products", [])] == whole["products"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_products_come_at_their_moment_in_the_stream(client: TestClient):
    *chunks, _ = events_of(client.post(CHAT, json={"messages": HELLO, "stream": True}).text)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    place = next(number for number, delta in enumerate(deltas) if "products" in delta)
    before = "".join(delta.get("content", "") for delta in deltas[:place])
    assert len(before) == deltas[place]["products"][0]["offset"]


def test_usage_comes_last_when_asked_for(client: TestClient):
    body = {"messages": HELLO, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, _ = events_of(client.post(CHAT, json=body).text)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] == 15
    assert all(chunk["usage"] is None for chunk in chunks[:-1])


def test_second_request_of_the_lm_shows_other_products():
    script = (asks_for_products(0), TextDelta("And"), asks_for_products(3), Finished("stop", 1, 1))
    reply = client_of(ScriptedLlm(script)).post(CHAT, json={"messages": HELLO, "top_k": 3}).json()
    shown = [(product["id"], product["offset"]) for product in reply["choices"][0]["message"]["products"]]
    assert shown == [("item-0", 0), ("item-1", 0), ("item-2", 0), ("item-3", 3), ("item-4", 3), ("item-5", 3)]


def test_products_of_earlier_turns_are_excluded_and_ret_is_put_back():
    llm = ScriptedLlm()
    shown = [{"id": "item-0", "offset": 5, "caption": "x", "score": 0.1}, {"id": "item-1", "offset": 5}]
    earlier = {"role": "assistant", "content": "Here. ", "products": shown}
    messages = [*HELLO, earlier, {"role": "user", "content": "Others?"}]
    reply = client_of(llm).post(CHAT, json={"messages": messages, "top_k": 2}).json()
    assert [product["id"] for product in reply["choices"][0]["message"]["products"]] == ["item-2", "item-3"]
    assert [tuple(message.ret_offsets) for message in llm.asked[0]] == [(), (5,), ()]


def test_earlier_turns_without_products_exclude_nothing(client: TestClient):
    messages = [*HELLO, {"role": "assistant", "content": "Here."}, {"role": "user", "content": "Others?"}]
    reply = client.post(CHAT, json={"messages": messages, "top_k": 1}).json()
    assert [product["id"] for product in reply["choices"][0]["message"]["products"]] == ["item-0"]


def test_picture_reaches_the_lm_as_features_between_its_texts():
    llm = ScriptedLlm()
    content = [{"type": "text", "text": "Like "}, picture(data_url()), {"type": "text", "text": "?"}]
    assert client_of(llm).post(CHAT, json={"messages": [{"role": "user", "content": content}]}).status_code == 200
    before, features, after = llm.asked[0][0].parts
    assert (before, features.tolist(), after) == ("Like ", [255, 0, 0], "?")


def test_request_decides_how_the_reply_is_decoded():
    llm = ScriptedLlm()
    body = {
        "messages": HELLO,
        "max_completion_tokens": 7,
        "temperature": 1,
        "top_p": 0.5,
        "seed": 3,
        "retrieval": "never",
    }
    assert client_of(llm).post(CHAT, json=body).status_code == 200
    assert llm.sampling is not None
    assert (llm.sampling.max_new_tokens, llm.sampling.temperature) == (7, 1.0)
    assert (llm.sampling.top_p, llm.sampling.seed, llm.retrieval) == (0.5, 3, "never")


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
    ("messages.1.role", {"messages": [*HELLO, {"role": "assistant", "content": "Hi"}]}),
    ("messages.1.role", {"messages": [*HELLO, {"role": "system", "content": "Be brief"}, *HELLO]}),
    ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
    ("messages.0.content.0.type", {"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}),
    ("messages.0.content.0.text", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}),
    ("messages.0.content.0.image_url", {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}),
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
    ("n", {"messages": HELLO, "n": 2}),
    ("stop", {"messages": HELLO, "stop": ["."]}),
    ("tools", {"messages": HELLO, "tools": [{"type": "function"}]}),
    ("logprobs", {"messages": HELLO, "logprobs": True}),
    ("response_format", {"messages": HELLO, "response_format": {"type": "json_object"}}),
    ("frequency_penalty", {"messages": HELLO, "frequency_penalty": 0.5}),
]


@pytest.mark.parametrize(("field", "body"), REFUSED)
def test_bad_input_is_refused_and_the_field_named(client: TestClient, field: str, body: dict[str, Any]):
    response = client.post(CHAT, content=json.dumps(body), headers={"content-type": "application/json"})
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["type"]) == (400, field, "invalid_request_error")
    assert error["message"]


BAD_PICTURES = [
    ("https://shop.example/a.png", "data: URL", "invalid_value"),
    ("HTTP://shop.example/a.png", "data: URL", "invalid_value"),
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
        "presence_penalty": 0.0, "logit_bias": {}, "response_format": {"type": "text"}, "user": "me", "store": False,
    }  # fmt: skip
    assert client.post(CHAT, json={"messages": HELLO, **neutral}).status_code == 200


def test_developer_message_is_a_system_message():
    llm = ScriptedLlm()
    client_of(llm).post(CHAT, json={"messages": [{"role": "developer", "content": "Be brief"}, *HELLO]})
    assert [message.role for message in llm.asked[0]] == ["system", "user"]


def test_unknown_model_is_404(client: TestClient):
    response = client.post(CHAT, json={"messages": HELLO, "model": "gpt-5"})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert client.get("/v1/models/gpt-5").status_code == 404


def test_body_over_the_limit_is_413_with_and_without_its_length():
    client = client_of(max_body_bytes=1024)
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


def test_request_id_of_the_client_comes_back_and_a_strange_one_does_not(client: TestClient):
    assert client.get("/healthz", headers={"x-request-id": "mine-1"}).headers["x-request-id"] == "mine-1"
    strange = client.get("/healthz", headers={"x-request-id": "a b<c>"}).headers["x-request-id"]
    assert strange.isalnum()


def test_request_id_is_left_to_the_server_in_front_when_it_adds_one():
    assert "x-request-id" not in client_of(answer_request_id=False).get("/healthz").headers


def test_item_image_is_served_with_an_etag_that_saves_the_second_load(client: TestClient):
    first = client.get("/v1/items/item-1/image")
    assert (first.status_code, first.content, first.headers["content-type"]) == (200, b"picture", "image/png")
    assert "max-age" in first.headers["cache-control"]
    again = client.get("/v1/items/item-1/image", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/v1/items/nobody/image", "/v1/items/..%2f..%2fetc/image", "/nothing", "/web/nothing.js"]
)
def test_what_does_not_exist_is_404_with_an_error_object(client: TestClient, path: str):
    response = client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_wrong_method_is_405_with_an_error_object(client: TestClient):
    response = client.get(CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method_not_allowed")


def test_models_and_health_name_the_bundle(client: TestClient):
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["default"]
    assert client.get("/v1/models/default").json()["owned_by"] == "fromage"
    health = client.get("/healthz").json()
    assert health.pop("attribution") == "Drawn by nobody"
    assert health == {"status": "ok", "bundle": "default", "fingerprint": "abc123", "items": 8}


def test_page_runs_no_code_but_its_own_files(tmp_path: Path):
    (tmp_path / "index.html").write_text("<!doctype html><title>Chat</title>")
    (tmp_path / "chat.js").write_text("export {}")
    client = client_of(web=tmp_path)
    page, script = client.get("/"), client.get("/web/chat.js")
    assert page.headers["content-type"].startswith("text/html")
    assert "javascript" in script.headers["content-type"]
    for response in (page, script):
        assert response.headers["cache-control"] == "no-cache"
        assert "default-src 'none'; script-src 'self'" in response.headers["content-security-policy"]
        assert "unsafe" not in response.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["../secret", "%2e%2e/secret", "..%2fsecret", "/etc/passwd", "link"])
def test_nothing_outside_the_page_is_served(tmp_path: Path, path: str):
    (tmp_path / "web").mkdir()
    (tmp_path / "secret").write_text("the secret")
    (tmp_path / "web" / "link").symlink_to(tmp_path / "secret")
    response = client_of(web=tmp_path / "web").get(f"/web/{path}")
    assert response.status_code == 404
    assert "the secret" not in response.text
