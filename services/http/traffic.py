"""Requests, counted by route and status, and timed to the last byte. Knows nothing of chats. Pure ASGI, as `boundary`.

A route is told by its pattern, `/v1/items/{id}/image`: what a client puts into a path would make a series of its own.
"""

import re
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.telemetry import metrics
from services.telemetry.spans import tell_request_id

METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
OTHER = "other"
CONVERTER = re.compile(r":\w+(?=})")
"""The second half of `{id:path}`, which tells how it is read, and nobody outside."""


class Traffic:
    """Around the whole app, so that nothing is answered past it."""

    def __init__(self, app: ASGIApp):
        self.app = app
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = ""

        async def send_noting_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                # Now, because the request's span ends with the answer.
                tell_request_id(scope.get("request_id", ""))
            await send(message)

        start_s = time.perf_counter()
        self._count_open(1)
        try:
            await self.app(scope, receive, send_noting_status)
        finally:
            self._count_open(-1)
            route = _route(scope)
            metrics.REQUEST_SECONDS.record(time.perf_counter() - start_s, route=route)
            if status:
                method = scope["method"] if scope["method"] in METHODS else OTHER
                metrics.REQUESTS.record(route=route, method=method, status=status)

    def _count_open(self, change: int) -> None:
        self._open += change
        metrics.OPEN_REQUESTS.record(self._open)


def _route(scope: Scope) -> str:
    """The pattern that the path matched; of files under a folder, the folder."""
    path = getattr(scope.get("route"), "path", None) or scope.get("root_path") or OTHER
    return CONVERTER.sub("", path)
