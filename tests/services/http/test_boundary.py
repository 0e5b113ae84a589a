"""What holds for every request: methods, other origins, headers."""

import pytest

from services.http.access.options import AccessOptions
from tests.services.http.chatting import CHAT, HELLO, client_of

READ = [
    "/healthz",
    "/readyz",
    "/v1/models",
    "/v1/models/default",
    "/v1/items/item-1/image",
    "/",
    "/web/app.js",
    "/openapi.json",
]
SHOP = "https://shop.example"
EVERYWHERE = ("content-security-policy", "x-content-type-options", "x-frame-options", "referrer-policy", "x-request-id")


@pytest.mark.parametrize("path", READ)
def test_head_is_answered_as_get_without_its_body(path, client):
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"] == str(len(got.content))
    assert head.headers["content-type"] == got.headers["content-type"]


@pytest.mark.parametrize("path", [path for path in READ if path != "/"])
def test_options_and_a_wrong_method_tell_what_is_allowed(path, client):
    told, wrong = client.options(path), client.delete(path)
    assert (told.status_code, wrong.status_code) == (204, 405)
    assert told.headers["allow"] == wrong.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_a_route_for_post_alone_says_so(method, client):
    refused = client.request(method, CHAT)
    assert refused.status_code == 405
    assert refused.headers["allow"] == "OPTIONS, POST"


def test_a_path_of_several_routes_tells_the_methods_of_all(client):
    assert client.options("/").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_options_of_nothing_is_nothing(client):
    assert client.options("/nothing").status_code == 404


@pytest.mark.parametrize("path", ["/v1/models", "/nothing", CHAT, "/"])
def test_every_answer_has_its_security_headers(path, client):
    headers = client.get(path).headers
    assert [name for name in EVERYWHERE if name not in headers] == []


def test_other_origins_are_shut_out_by_default(client):
    preflight = {"origin": SHOP, "access-control-request-method": "POST"}
    answers = client.options(CHAT, headers=preflight), client.get("/v1/models", headers={"origin": SHOP})
    assert all("access-control-allow-origin" not in answer.headers for answer in answers)


def test_an_origin_that_is_let_in_can_read_answers_and_errors():
    client = client_of(access=AccessOptions(keys="", without_keys=True, origins=(SHOP,)))
    preflight = {
        "origin": SHOP,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization",
    }
    assert client.options(CHAT, headers=preflight).headers["access-control-allow-headers"] == "authorization"
    answers = [
        client.post(CHAT, json={"messages": HELLO}, headers={"origin": SHOP}),
        client.post(CHAT, json={"messages": []}, headers={"origin": SHOP}),
        client.get("/nothing", headers={"origin": SHOP}),
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 404]
    assert {answer.headers["access-control-allow-origin"] for answer in answers} == {SHOP}
    assert all("x-request-id" in answer.headers["access-control-expose-headers"] for answer in answers)
    stranger = client.get("/v1/models", headers={"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in stranger.headers


@pytest.mark.parametrize("given", [[b"\xff"], [b"a b<script>"], [b"a", b"b"], [b""], [b"x" * 129], []])
def test_a_request_id_that_is_not_harmless_is_replaced(given, client):
    answer = client.get("/v1/models", headers=[(b"x-request-id", one) for one in given])
    assert answer.headers["x-request-id"].isalnum()
    assert len(answer.headers["x-request-id"]) == 32
