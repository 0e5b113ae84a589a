"""What holds for every HTTP request: a request id, error objects, security headers, a bound on the body.

Knows nothing of chats. Pure ASGI, because Starlette's BaseHTTPMiddleware buffers streams and hides disconnects.
"""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.http.errors import BodyTooLarge, error_object, log_error, problem_of

REQUEST_ID = "x-request-id"
SAFE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
ORIGINAL = re.compile(r"/(k/[^/]*)?")
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Boundary:
    """The outermost layer of the app.

    `answer_request_id`: whether the response gets the id here. Serve's proxy adds it too, and twice would be wrong.
    """

    def __init__(self, app: ASGIApp, *, answer_request_id: bool):
        self.app = app
        self.answer_request_id = answer_request_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope["request_id"] = _request_id(Headers(scope=scope))
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(MutableHeaders(scope=message), request_id)
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            response = error_response(error, request_id=request_id, as_text=reads_text(scope))
            await response(scope, receive, send_with_headers)

    def _add_headers(self, headers: MutableHeaders, request_id: str) -> None:
        if self.answer_request_id:
            headers[REQUEST_ID] = request_id
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)


def error_response(error: Exception, *, request_id: str, as_text: bool = False) -> Response:
    """Log `error`, and tell the client as much as the table allows; with `as_text`, in `response_text` too."""
    log_error(error, request_id=request_id)
    problem = problem_of(error)
    headers = {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}
    content = error_object(error, request_id=request_id)
    if as_text:
        content["response_text"] = content["error"]["message"]
    return JSONResponse(content, status_code=problem.status, headers=headers)


def reads_text(scope: Scope) -> bool:
    """Whether the request is for the original's contract, whose app reads one field whatever the status."""
    return scope["method"] == "POST" and ORIGINAL.fullmatch(scope["path"]) is not None


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """The request's body. Raises BodyTooLarge as soon as the header, or what has come so far, says so."""
    too_large = BodyTooLarge(f"the request is larger than {max_bytes:,} bytes")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


def _request_id(headers: Headers) -> str:
    """The client's (or Serve's) id where it is harmless in a log, else a new one."""
    given = headers.get(REQUEST_ID, "")
    return given if SAFE_ID.fullmatch(given) else uuid.uuid4().hex
