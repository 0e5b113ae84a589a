"""With keys on, only who has one is answered, and by what the key is for; without, this machine alone."""

import pytest
from fastapi.testclient import TestClient

from services.http.access.keys import StoredKey, digest_of
from services.http.access.options import AccessOptions
from services.keys import add, revoke
from tests.services.http.chatting import CHAT, HELLO, client_of

KEYS = {"chat": "fk-shop", "admin": "fk-ops"}
LINES = ",".join(StoredKey(scope, digest_of(KEYS[scope]), frozenset({scope})).line() for scope in KEYS)  # type: ignore[arg-type]
OPEN = ["/", "/healthz", "/readyz", "/web/app.js"]
CLOSED = [
    "/v1/models",
    "/v1/items/item-1/image",
    "/openapi.json",
    "/nothing",
    "/admin/reload",
    "/web",
    "/healthz/",
]


@pytest.fixture
def client() -> TestClient:
    return client_of(access=AccessOptions(keys=LINES))


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def asked_from(host: str, access: AccessOptions) -> TestClient:
    client = client_of(access=access)
    return TestClient(client.app, raise_server_exceptions=False, client=(host, 50_000))


@pytest.mark.parametrize("path", OPEN)
def test_health_and_the_page_need_no_key(path, client):
    assert client.get(path).status_code == 200
    assert client.head(path).status_code == 200


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("headers", [{}, bearer("fk-wrong"), bearer(""), {"authorization": "Basic fk-shop"}])
def test_everything_else_is_refused_in_openais_form(path, headers, client):
    refused = client.get(path, headers=headers)
    assert refused.status_code == 401
    assert refused.json()["error"]["code"] == "invalid_api_key"
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "fk-" not in refused.text


def test_a_key_of_the_header_or_of_the_path_is_let_in(client):
    body = {"messages": HELLO}
    assert client.post(CHAT, json=body, headers=bearer(KEYS["chat"])).status_code == 200
    assert client.post(f"/k/{KEYS['chat']}{CHAT}", json=body).status_code == 200
    assert client.get(f"/k/{KEYS['chat']}/v1/items/item-1/image").content == b"picture"
    assert client.get("/k/fk-wrong/v1/models").status_code == 401
    assert client.get(f"/k//k/{KEYS['chat']}/v1/models").status_code == 401


def test_a_key_in_the_path_is_in_no_answer_and_in_no_log(client, caplog):
    caplog.set_level("DEBUG")
    refused = client.get(f"/k/{KEYS['chat']}/nothing")
    assert refused.status_code == 404
    assert KEYS["chat"] not in refused.text
    assert KEYS["chat"] not in "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("httpx")
    )


def test_a_key_is_for_what_its_scopes_say(client):
    assert client.post("/admin/reload", json={}, headers=bearer(KEYS["chat"])).status_code == 403
    assert client.post("/admin/reload", json={}, headers=bearer(KEYS["admin"])).status_code == 200
    assert client.get("/v1/models", headers=bearer(KEYS["admin"])).status_code == 403


def test_a_key_that_is_revoked_is_refused_by_a_server_that_runs(tmp_path):
    file = tmp_path / "keys.txt"
    key = add(file, "shop")
    client = client_of(access=AccessOptions(keys_file=file))
    assert client.get("/v1/models", headers=bearer(key)).status_code == 200
    revoke(file, "shop")
    assert client.get("/v1/models", headers=bearer(key)).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
def test_without_keys_this_machine_is_answered_and_may_reload(host):
    client = asked_from(host, AccessOptions())
    assert client.get("/v1/models").status_code == 200
    assert client.post("/admin/reload", json={}).status_code == 200


@pytest.mark.parametrize("header", ["origin", "x-forwarded-for", "via"])
def test_what_a_page_or_a_proxy_made_this_machine_send_may_not_reload(header):
    client = asked_from("127.0.0.1", AccessOptions())
    assert client.post("/admin/reload", json={}, headers={header: "http://evil.example"}).status_code == 403


@pytest.mark.parametrize("host", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "::ffff:192.0.2.7"])
def test_without_keys_others_are_answered_only_where_it_was_asked_for(host):
    refused = asked_from(host, AccessOptions()).get("/v1/models")
    assert refused.status_code == 403
    assert "no API keys" in refused.json()["error"]["message"]
    assert asked_from(host, AccessOptions()).get("/healthz").status_code == 200
    anybody = asked_from(host, AccessOptions(without_keys=True))
    assert anybody.get("/v1/models").status_code == 200
    assert anybody.post("/admin/reload", json={}).status_code == 403
