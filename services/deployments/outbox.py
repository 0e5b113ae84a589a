"""A reply's events between the thread that writes them and the loop that sends them on, several to a message.

A message for each token is what costs most on the way to a client. The first event goes at once, and so does what
somebody waits for: products, the end, an error. Text in between is gathered. Knows nothing of Ray or of models.
"""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

from fromage_model.prompts.messages import Event, TextDelta


class Outbox:
    """The events of one reply; made in the loop that takes them, filled from any thread."""

    def __init__(self, *, gather_s: float):
        """Between two takes, text waits `gather_s` seconds for more."""
        self._loop = asyncio.get_running_loop()
        self._gather_s = gather_s
        self._waiting: list[Event | Exception] = []
        self._lock = threading.Lock()
        self._filled, self._hurry = asyncio.Event(), asyncio.Event()
        self._next_s = self._loop.time()

    def put(self, event: Event | Exception) -> None:
        """Wakes the loop for the first that waits, and for what can't wait; nothing happens once it is closed."""
        with self._lock:
            self._waiting.append(event)
            first = len(self._waiting) == 1
        with suppress(RuntimeError):  # the loop has been closed, and with it whoever listened
            if first:
                self._loop.call_soon_threadsafe(self._filled.set)
            if not isinstance(event, TextDelta):
                self._loop.call_soon_threadsafe(self._hurry.set)

    async def take(self) -> list[Event | Exception]:
        """What has come, in its order, neighbouring pieces of text as one; waits for something to come."""
        while True:
            await self._filled.wait()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_s):
                    await self._hurry.wait()
            with self._lock:
                taken, self._waiting = self._waiting, []
            self._filled.clear()
            self._hurry.clear()
            if taken:
                self._next_s = self._loop.time() + self._gather_s
                return joined(taken)


def joined(events: Sequence[Event | Exception]) -> list[Event | Exception]:
    """The same events with neighbouring pieces of text made one."""
    result: list[Event | Exception] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            result[-1] = TextDelta(last.text + event.text, last.tokens + event.tokens)
        else:
            result.append(event)
    return result
