"""What stands before Ray Serve's proxy, in its process: headers that it would fall over, clients that never end, and
answers that would break off without a word.

Serve asks for it by RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=services.http.front.before_the_proxy, which
`python -m services` sets, and which must stand before `ray start` on a cluster. Knows nothing of chats.
"""

import asyncio
import re
from typing import Any

import uvicorn.config
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.http.boundary import REQUEST_ID, safe_id
from services.http.cut_off import Completed

FOR_SERVE_ALONE = (
    b"x-request-timeout-seconds",
    b"x-request-disconnect-disabled",
    b"x-session-id",
    b"serve-multiplexed-model-id",
)
"""Headers by which Serve's proxy lets a client choose its replica, take away its time limit, or hide that it left; of
the last two it can't read a value that is not UTF-8.
"""
TRACE_HEADERS = (b"traceparent", b"tracestate", b"baggage")
PRINTABLE = re.compile(rb"[\x20-\x7e]*")
HEAD_S = 20.0
MOST_HEAD_BYTES = 64 * 1024


def before_the_proxy() -> list[Middleware]:
    """Called in the proxy's process, before it listens. Its server speaks by our protocol from then on.

    The last is the outermost.
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:BoundedProtocol"
    return [Middleware(Completed), Middleware(Front)]


class Front:
    """One request id that is harmless in a header and a log, and none of the headers that are Serve's own."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            request_id = safe_id(Headers(scope=scope).getlist(REQUEST_ID))
            kept = [header for header in scope["headers"] if _is_for_us(*header)]
            scope = {**scope, "headers": [*kept, (REQUEST_ID.encode(), request_id.encode())]}
        await self.app(scope, receive, send)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, with an end to the time and the bytes that a request's head may take, which uvicorn leaves open.

    A connection on which nothing is asked is closed too. A request with two lengths is closed by the parser itself.
    """

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head_bytes = 0
        self._in_head = True
        self._head_ends = self.loop.call_later(HEAD_S, self._close_if_in_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_ends.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MOST_HEAD_BYTES:
                self._refuse_head(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_ends.cancel()
        self._in_head, self._head_bytes = True, 0
        self._head_ends = self.loop.call_later(HEAD_S, self._close_if_in_head)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_ends.cancel()
        super().on_headers_complete()

    def _close_if_in_head(self) -> None:
        if self._in_head:
            self._refuse_head(b"408 Request Timeout")

    def _refuse_head(self, status: bytes) -> None:
        """A client that has said nothing is told nothing."""
        transport: asyncio.Transport = self.transport
        if transport.is_closing():
            return
        if self._head_bytes:
            transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        transport.close()


def _is_for_us(name: bytes, value: bytes) -> bool:
    dashed = name.lower().replace(b"_", b"-")
    if dashed == REQUEST_ID.encode() or dashed in FOR_SERVE_ALONE or not PRINTABLE.fullmatch(name):
        return False
    return dashed not in TRACE_HEADERS or PRINTABLE.fullmatch(value) is not None
