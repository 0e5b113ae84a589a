"""Every answer is counted once, by its route's pattern and its status; every refusal by its code."""

import httpx
import pytest
from fastapi.testclient import TestClient

from services.telemetry import metrics
from tests.services.http.chatting import CHAT, HELLO, client_of
from tests.services.telemetry.conftest import Heard


@pytest.fixture
def client() -> TestClient:
    return client_of()


def counted(heard: Heard) -> list[tuple[str, ...]]:
    return [tuple(labels.values()) for metric, _, labels in heard.records if metric is metrics.REQUESTS]


def refused(heard: Heard) -> list[tuple[str, ...]]:
    return [tuple(labels.values()) for metric, _, labels in heard.records if metric is metrics.REFUSALS]


@pytest.mark.parametrize("stream", [False, True])
def test_a_reply_is_one_request_whole_or_streamed(stream: bool, client: TestClient, heard: Heard):
    assert client.post(CHAT, json={"messages": HELLO, "stream": stream}).status_code == 200
    assert counted(heard) == [(CHAT, "POST", "200")]
    assert refused(heard) == []
    (request_s,) = heard.of(metrics.REQUEST_SECONDS, route=CHAT)
    (reply_s,) = heard.of(metrics.REPLY_SECONDS)
    assert request_s > reply_s > 0
    assert heard.of(metrics.OPEN_REQUESTS) == [1, 0]


def test_routes_are_told_by_their_pattern_and_folders_as_one(client: TestClient, heard: Heard):
    for path in ("/v1/items/item-1/image", "/v1/items/item-2/image", "/web/app.js"):
        assert client.get(path).status_code == 200
    assert counted(heard) == [*[("/v1/items/{id}/image", "GET", "200")] * 2, ("/web", "GET", "200")]


def test_what_a_client_makes_up_is_no_series_of_its_own(client: TestClient, heard: Heard):
    client.get("/made/up")
    client.request("BREW", "/coffee")
    assert {(route, method) for route, method, _ in counted(heard)} == {("other", "GET"), ("other", "other")}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [(b"{", "400", "invalid_value"), (b'{"messages": [], "model": "another"}', "400", "invalid_value")],
)
def test_a_refusal_is_counted_by_its_code(body: bytes, status: str, code: str, client: TestClient, heard: Heard):
    answer: httpx.Response = client.post(CHAT, content=body, headers={"content-type": "application/json"})
    assert str(answer.status_code) == status
    assert refused(heard) == [(status, code)]
    assert counted(heard) == [(CHAT, "POST", status)]
