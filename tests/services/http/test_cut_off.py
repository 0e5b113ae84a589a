"""An answer that breaks off ends with an error in the form of the route, and what comes whole is left as it is."""

import asyncio
import json
from collections.abc import Sequence

import pytest
from ray.serve._private.http_util import _apply_middlewares
from starlette.types import Message, Scope

from services.http.boundary import SECURITY_HEADERS
from services.http.cut_off import LOST, NOT_REACHED, Completed
from services.http.front import before_the_proxy
from tests.services.http.chatting import events_of

OURS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
STREAM = {
    "type": "http.response.start",
    "status": 200,
    "headers": [*OURS, (b"content-type", b"text/event-stream; charset=utf-8")],
}
PICTURE = {"type": "http.response.start", "status": 200, "headers": [*OURS, (b"content-type", b"image/png")]}
OF_THE_PROXY = {"type": "http.response.start", "status": 503, "headers": [(b"content-type", b"text/plain")]}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}


def passed_on(messages: Sequence[Message], *, path: str = "/v1/chat/completions", left: bool = False) -> list[Message]:
    """What a client gets where the proxy sends these messages and then ends."""
    sent: list[Message] = []

    async def proxy(scope: Scope, receive, send) -> None:
        if left:
            await receive()
        for message in messages:
            await send(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"x-request-id", b"my-1")]}
    asyncio.run(Completed(proxy)(scope, receive, send))
    return sent


def body_of(messages: Sequence[Message]) -> bytes:
    return b"".join(message["body"] for message in messages if message["type"] == "http.response.body")


def test_a_stream_that_breaks_off_ends_with_an_error_event():
    sent = passed_on([STREAM, part(b'data: {"a": 1}\n\n')])
    first, error, done = events_of(body_of(sent).decode())
    assert (first, done) == ({"a": 1}, "[DONE]")
    assert (error["error"]["message"], error["error"]["code"]) == (LOST, "unavailable")
    assert sent[-1]["more_body"] is False


@pytest.mark.parametrize(
    "messages",
    [
        [STREAM, part(b"data: 1\n\n"), part(b"data: [DONE]\n\n"), part(b"", more=False)],
        [PICTURE, part(b"1", more=False)],
        [{**PICTURE, "status": 500}, part(b"{}", more=False)],
    ],
    ids=["a stream", "a picture", "an error of ours"],
)
def test_what_comes_whole_is_left_as_it_is(messages):
    assert passed_on(messages) == messages


def test_of_a_picture_that_breaks_off_the_connection_tells():
    messages = [PICTURE, part(b"1")]
    assert passed_on(messages) == messages


@pytest.mark.parametrize("messages", [[], [OF_THE_PROXY, part(b"No.", more=False)]], ids=["nothing", "the proxy's own"])
def test_what_no_replica_answered_is_refused_in_our_form_with_a_time_to_ask_again(messages):
    start, *_ = sent = passed_on(messages)
    headers = dict(start["headers"])
    assert (start["status"], headers[b"retry-after"], headers[b"x-request-id"]) == (503, b"5", b"my-1")
    assert json.loads(body_of(sent))["error"]["message"] == NOT_REACHED


def test_the_originals_app_reads_it_too():
    assert json.loads(body_of(passed_on([], path="/")))["response_text"] == NOT_REACHED


@pytest.mark.parametrize("messages", [[], [STREAM, part(b"data: 1\n\n")]], ids=["before", "during"])
def test_a_client_that_left_is_told_nothing(messages):
    assert passed_on(messages, left=True) == messages


def test_it_holds_in_the_order_in_which_serve_wraps_its_proxy_and_without_an_id_of_the_clients():
    sent: list[Message] = []

    async def proxy(scope: Scope, receive, send) -> None:
        await send({**STREAM, "headers": list(STREAM["headers"])})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    app = _apply_middlewares(proxy, before_the_proxy())
    scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    asyncio.run(app(scope, receive, send))
    error, done = events_of(body_of(sent).decode())
    assert (error["error"]["message"], done) == (LOST, "[DONE]")


def test_what_serve_says_of_itself_is_serves():
    messages = [OF_THE_PROXY, part(b"draining", more=False)]
    assert passed_on(messages, path="/-/healthz") == messages
