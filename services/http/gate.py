"""Where requests are let in: each is served to its end by the pair that is in use as it comes. Knows no chats."""

from typing import Protocol

from starlette.types import ASGIApp, Receive, Scope, Send

from services.errors import Unavailable
from services.products import ShelfInfo
from services.swapping.pairs import Pair, Wanted, pin

ALWAYS_ANSWERED = ("/healthz", "/readyz", "/metrics")


class Swapping(Protocol):
    """Which pair is in use; `services.swapping.current` says more."""

    pair: Pair
    shelf: ShelfInfo | None
    refused: str | None
    draining: bool
    ongoing: int

    async def reload(self, wanted: Wanted) -> Pair:
        """Raises PairRefused."""


class Gate:
    """Counts what is being answered, and lets nothing new in once the server drains."""

    def __init__(self, app: ASGIApp, *, swapping: Swapping):
        self.app = app
        self.swapping = swapping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            await self.app(scope, receive, send)
            return
        if self.swapping.draining:
            raise Unavailable("the server is ending; ask again in a moment")
        self.swapping.ongoing += 1
        try:
            with pin(self.swapping.pair):
                await self.app(scope, receive, send)
        finally:
            self.swapping.ongoing -= 1
