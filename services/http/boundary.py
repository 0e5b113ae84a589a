"""What holds for every HTTP request: a request id, error objects, security headers.

Knows nothing of chats. Pure ASGI, because Starlette's BaseHTTPMiddleware buffers streams and hides disconnects.
"""

import logging
import re
import uuid
from collections.abc import Mapping, Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.http.errors import error_object, headers_of, log_error, problem_of

log = logging.getLogger("ray.serve")

REQUEST_ID = "x-request-id"
SAFE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
ORIGINAL = re.compile(r"/(k/[^/]*)?")
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class Boundary:
    """The outermost layer of the app: the request's id, security headers, and HEAD wherever there is GET.

    `answer_request_id`: whether the response gets the id here. Serve's proxy adds it too, and twice would be wrong.
    """

    def __init__(self, app: ASGIApp, *, answer_request_id: bool):
        self.app = app
        self.answer_request_id = answer_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope["request_id"] = safe_id(Headers(scope=scope).getlist(REQUEST_ID))
        head_only = scope["method"] == "HEAD"
        if head_only:
            scope["method"] = "GET"

        async def send_as_asked(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message), request_id)
            elif head_only and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app(scope, receive, send_as_asked)

    def _add_headers(self, headers: MutableHeaders, request_id: str) -> None:
        if self.answer_request_id:
            headers[REQUEST_ID] = request_id
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)


class Errors:
    """Whatever is raised behind this becomes a response, which passes the layers before it like any other."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noting_start(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, send_noting_start)
        except ClientDisconnect:
            log.info("request %s: the client left before its body was complete", scope["request_id"])
        except Exception as error:
            if started or scope["type"] != "http":
                raise
            response = error_response(error, request_id=scope["request_id"], as_text=reads_text(scope))
            await response(scope, receive, send)


def error_response(
    error: Exception, *, request_id: str, headers: Mapping[str, str] | None = None, as_text: bool = False
) -> Response:
    """Log `error`, and tell the client as much as the table allows; with `as_text`, in `response_text` too."""
    log_error(error, request_id=request_id)
    content = error_object(error, request_id=request_id)
    if as_text:
        content["response_text"] = content["error"]["message"]
    return JSONResponse(content, status_code=problem_of(error).status, headers={**headers_of(error), **(headers or {})})


def reads_text(scope: Scope) -> bool:
    """Whether the request is for the original's contract, whose app reads one field whatever the status."""
    return scope["method"] == "POST" and ORIGINAL.fullmatch(scope["path"]) is not None


def safe_id(given: Sequence[str]) -> str:
    """The client's (or Serve's) id where there is one and it is harmless in a log, else a new one."""
    return given[0] if len(given) == 1 and SAFE_ID.fullmatch(given[0]) else uuid.uuid4().hex
