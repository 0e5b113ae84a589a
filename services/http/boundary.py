"""What holds for every HTTP request: a request id, error objects, security headers.

Knows nothing of chats. Pure ASGI, because Starlette's BaseHTTPMiddleware buffers streams and hides disconnects.
"""

import re
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.http.errors import error_object, log_error, problem_of

REQUEST_ID = "x-request-id"
SAFE_ID = re.compile(r"[\w.:-]{1,128}", re.ASCII)
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
            response = error_response(error, request_id=request_id)
            await response(scope, receive, send_with_headers)

    def _add_headers(self, headers: MutableHeaders, request_id: str) -> None:
        if self.answer_request_id:
            headers[REQUEST_ID] = request_id
        for name, value in SECURITY_HEADERS.items():
            headers.setdefault(name, value)


def error_response(error: Exception, *, request_id: str) -> Response:
    """Log `error`, and tell the client as much as the table allows."""
    log_error(error, request_id=request_id)
    problem = problem_of(error)
    headers = {} if problem.retry_after_s is None else {"retry-after": str(problem.retry_after_s)}
    return JSONResponse(error_object(error, request_id=request_id), status_code=problem.status, headers=headers)


def _request_id(headers: Headers) -> str:
    """The client's (or Serve's) id where it is harmless in a log, else a new one."""
    given = headers.get(REQUEST_ID, "")
    return given if SAFE_ID.fullmatch(given) else uuid.uuid4().hex
