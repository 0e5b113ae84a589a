"""A reply as a response of server-sent events. Knows nothing of how the reply is made."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from services.http.errors import error_object, log_error
from services.http.replies import Placed, ReplyHeader, chunks, server_sent


class EventStream(StreamingResponse):
    """A reply as server-sent events. However the response ends, the reply's iterator is closed with it."""

    def __init__(
        self,
        first: Placed,
        events: AsyncGenerator[Placed, None],
        header: ReplyHeader,
        *,
        include_usage: bool,
        headers: Mapping[str, str] | None = None,
    ):
        self.events = events
        of_streams = {"cache-control": "no-cache", "x-accel-buffering": "no"}
        content = self._content(first, header, include_usage=include_usage)
        super().__init__(content, media_type="text/event-stream", headers={**(headers or {}), **of_streams})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request_id: str = scope["request_id"]
        async with aclosing(self.events):
            await super().__call__(scope, receive, send)

    async def _content(self, first: Placed, header: ReplyHeader, *, include_usage: bool) -> AsyncIterator[str]:
        """The status has been sent, so an error becomes an event like the others."""
        try:
            async for chunk in chunks(_chained(first, self.events), header, include_usage=include_usage):
                yield server_sent(chunk)
        except Exception as error:
            log_error(error, request_id=self.request_id)
            yield server_sent(error_object(error, request_id=self.request_id))
        yield server_sent("[DONE]")


async def _chained(first: Placed, events: AsyncGenerator[Placed, None]) -> AsyncGenerator[Placed, None]:
    yield first
    async for event in events:
        yield event
