"""An answer whose replica was lost, or that Serve's proxy refuses by itself, in the form that clients of ours read.

It stands in the proxy's process, which outlives every replica of the chat. Knows nothing of chats.
"""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.errors import Unavailable
from services.http.boundary import REQUEST_ID, SECURITY_HEADERS, error_response, reads_text
from services.http.errors import error_object, log_error
from services.http.replies import server_sent

OF_SERVE = "/-/"
LOST = "the replica that answered was lost; ask again"
NOT_REACHED = "no replica answered; ask again"


class Completed:
    """Ends with an error what would only end: a stream by an event, what has not begun by status 503."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(OF_SERVE):
            await self.app(scope, receive, send)
            return
        answer = _Answer(send)
        client_left = False

        async def receive_noting_end() -> Message:
            nonlocal client_left
            message = await receive()
            client_left = client_left or message["type"] == "http.disconnect"
            return message

        await self.app(scope, receive_noting_end, answer.pass_on)
        if answer.ended or client_left:
            return
        request_id = Headers(scope=scope)[REQUEST_ID]
        if answer.headers is None:
            response = error_response(Unavailable(NOT_REACHED), request_id=request_id, as_text=reads_text(scope))
            response.headers[REQUEST_ID] = request_id
            await response(scope, receive, send)
            return
        lost = Unavailable(LOST)
        log_error(lost, request_id=request_id)
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            told = server_sent(error_object(lost, request_id=request_id)) + server_sent("[DONE]")
            await send({"type": "http.response.body", "body": told.encode(), "more_body": False})


class _Answer:
    """What has been sent of an answer. `headers`: None until it began."""

    def __init__(self, send: Send):
        self.headers: Headers | None = None
        self.ended = False
        self._send = send
        self._is_proxys = False

    async def pass_on(self, message: Message) -> None:
        """A refusal of the proxy's own, which lacks what all of ours have, goes no further."""
        if message["type"] == "http.response.start":
            headers = Headers(raw=message["headers"])
            self._is_proxys = message["status"] >= 400 and not SECURITY_HEADERS.keys() <= {*headers.keys()}
            if not self._is_proxys:
                self.headers = headers
        if self._is_proxys:
            return
        self.ended = message["type"] == "http.response.body" and not message.get("more_body", False)
        await self._send(message)
