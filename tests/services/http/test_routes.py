"""What a client of the HTTP face sees: replies, streams, refusals and headers."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from fromage_model.prompts.messages import Finished, TextDelta
from tests.services.http.chatting import CHAT, HELLO, client_of, data_url, events_of, picture
from tests.services.peers import ScriptedLlm, asks_for_products


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
        "brand": None,
        "title": None,
        "price": None,
        "item_url": "https://shop.example/item-0",
        "image_url": "/v1/items/item-0/image",
        "page_url": "/items/item-0",
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
    assert (health["status"], health["bundle"], health["fingerprint"]) == ("ok", "default", "abc123")


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
