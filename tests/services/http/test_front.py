"""What stands before Serve's proxy: headers that the proxy falls over never reach it, and no client waits for ever."""

import asyncio
import socket

import httpx
import pytest
import uvicorn
from starlette.types import Message, Scope

from services.http import front
from services.http.boundary import SAFE_ID

SLOW_S = 0.3
HEAD = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n"


def through(*headers: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """The headers that the proxy sees."""
    seen: list[tuple[bytes, bytes]] = []

    async def proxy(scope: Scope, receive, send) -> None:
        seen.extend(scope["headers"])

    async def nothing(message: Message | None = None) -> Message:
        return {"type": "http.disconnect"}

    asyncio.run(front.Front(proxy)({"type": "http", "headers": list(headers)}, nothing, nothing))
    return seen


@pytest.mark.parametrize(
    "name", [b"serve_multiplexed_model_id", b"serve-multiplexed-model-id", b"x-session-id", b"X_Session_Id"]
)
@pytest.mark.parametrize("value", [b"\xff", b"a"])
def test_headers_by_which_the_proxy_chooses_a_replica_are_not_a_clients(name, value):
    assert [header for header in through((name, value), (b"host", b"a")) if header[0] == name] == []


def test_a_client_can_not_take_away_time_limits_or_hide_that_it_left():
    given = ((b"x-request-timeout-seconds", b"0"), (b"x-request-disconnect-disabled", b"?1"))
    assert [name for name, _ in through(*given)] == [b"x-request-id"]


@pytest.mark.parametrize("given", [[b"\xff"], [b"a b<script>"], [b"a", b"b"], [b"x" * 1000], []])
def test_an_id_that_is_not_harmless_is_replaced_before_it_is_logged(given):
    ((_, made),) = through(*((b"x-request-id", one) for one in given))
    assert SAFE_ID.fullmatch(made.decode())
    assert made not in given


def test_what_is_ours_goes_through():
    given = ((b"x-request-id", b"my-1"), (b"host", b"a"), (b"x-note", b"\xff"), (b"traceparent", b"00-a-b-01"))
    assert sorted(through(*given)) == sorted(given)


async def talk(port: int, *pieces: bytes) -> bytes:
    """What a server answers until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
    try:
        return await asyncio.wait_for(reader.read(), timeout=20)
    finally:
        writer.close()


def serve_to(*pieces: bytes) -> bytes:
    """A server with our protocol, which answers `ok`, and one client."""

    async def app(scope: Scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    async def run() -> bytes:
        config = uvicorn.Config(app, http=front.BoundedProtocol, lifespan="off", log_config=None, timeout_keep_alive=1)
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            server = uvicorn.Server(config)
            running = asyncio.create_task(server.serve(sockets=[listening]))
            while not server.started:
                await asyncio.sleep(0.01)
            try:
                return await talk(listening.getsockname()[1], *pieces)
            finally:
                server.should_exit = True
                await running

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("pieces", "status"),
    [
        ([b""], b""),
        ([HEAD], b"408"),
        ([HEAD + b"\r\n" + HEAD], b"200"),
        ([HEAD, b"x-long: " + b"a" * front.MOST_HEAD_BYTES], b"431"),
        ([HEAD + b"\r\n"], b"200"),
    ],
    ids=["says nothing", "half a head", "the half of a second head", "a head without an end", "a whole request"],
)
def test_a_client_that_does_not_end_its_head_is_let_go(pieces, status, monkeypatch):
    monkeypatch.setattr(front, "HEAD_S", SLOW_S)
    answer = serve_to(*pieces)
    assert answer.startswith(b"HTTP/1.1 " + status if status else b"")
    assert bool(answer) == bool(status)


@pytest.mark.parametrize(
    "lengths",
    [
        b"content-length: 5\r\ntransfer-encoding: chunked\r\n",
        b"content-length: 5\r\ncontent-length: 6\r\n",
        b"content-length: 5, 6\r\n",
        b"content-length: -5\r\n",
        b"transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        b"transfer-encoding : chunked\r\n",
    ],
)
def test_a_body_of_two_lengths_is_refused_and_its_rest_is_no_request(lengths):
    smuggled = b"POST / HTTP/1.1\r\nhost: a\r\n" + lengths + b"\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
    answer = serve_to(smuggled)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


def test_serves_proxy_is_kept_from_what_it_falls_over(served_url):
    for header in (
        "x-request-id",
        "serve_multiplexed_model_id",
        "x-session-id",
        "traceparent",
        "x-request-timeout-seconds",
    ):
        answer = httpx.get(f"{served_url}/v1/models", headers=[(header.encode(), b"\xff")], timeout=60)
        assert answer.status_code == 200, header
        assert SAFE_ID.fullmatch(answer.headers["x-request-id"])
    answer = httpx.get(f"{served_url}/v1/models", headers={"x-request-id": "a b<script>"}, timeout=60)
    assert len(answer.headers.get_list("x-request-id")) == 1
    assert SAFE_ID.fullmatch(answer.headers["x-request-id"])
    assert httpx.get(f"{served_url}/v1/models", headers={"x-request-id": "my-1"}).headers["x-request-id"] == "my-1"
