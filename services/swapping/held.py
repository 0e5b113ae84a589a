"""What replicas hold of pairs: opened once and off the loop, and let go of when nobody has used it for a while.

Knows nothing of what it holds, and nothing of Ray.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class _Entry(Generic[T]):
    """Either what was opened, or who is opening it. `used_s`: when somebody last began or ended to use it."""

    value: T | None = None
    opening: "asyncio.Task[T] | None" = None
    users: int = 0
    used_s: float = 0.0


class Held(Generic[T]):
    """Things by key. The one that was asked for last stays; another goes `idle_s` seconds after its last user."""

    def __init__(self, open: Callable[..., T], *, idle_s: float, close: Callable[[T], None] = lambda thing: None):
        self._open, self._close, self._idle_s = open, close, idle_s
        self._entries: dict[str, _Entry[T]] = {}
        self._one_at_a_time = asyncio.Lock()

    def add(self, key: str, thing: T) -> None:
        """What has been opened already."""
        self._entries[key] = _Entry(thing, used_s=time.monotonic())

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    @property
    def last(self) -> tuple[str, T]:
        """What was asked for last and is open. Raises LookupError where nothing is."""
        for key in reversed(self._entries):
            value = self._entries[key].value
            if value is not None:
                return key, value
        raise LookupError("nothing is open yet")

    @property
    def open_things(self) -> list[T]:
        return [entry.value for entry in self._entries.values() if entry.value is not None]

    async def get(self, key: str, *given: object) -> T:
        """Who asks while it is being opened waits for that; `given` goes to `open`. Raises what `open` raises."""
        async with self.using(key, *given) as thing:
            return thing

    @asynccontextmanager
    async def using(self, key: str, *given: object) -> AsyncIterator[T]:
        """As `get`; it is not let go of before the block ends."""
        entry = self._entries.pop(key, None) or _Entry()
        self._entries[key] = entry
        entry.users += 1
        try:
            yield await self._opened(key, entry, given) if entry.value is None else entry.value
        finally:
            entry.users -= 1
            entry.used_s = time.monotonic()

    def sweep(self) -> int:
        """Let go of what nobody needs any more -> how many that were."""
        now_s = time.monotonic()
        *others, _ = [*self._entries] or [""]
        idle = [key for key in others if self._is_idle(self._entries[key], now_s)]
        for key in idle:
            value = self._entries.pop(key).value
            if value is not None:
                self._close(value)
        return len(idle)

    def _is_idle(self, entry: _Entry[T], now_s: float) -> bool:
        return entry.opening is None and not entry.users and now_s - entry.used_s >= self._idle_s

    async def _opened(self, key: str, entry: _Entry[T], given: tuple[object, ...]) -> T:
        """A caller that is cancelled does not stop what others wait for."""
        if entry.opening is None:
            entry.opening = asyncio.create_task(self._open_alone(given))
            entry.opening.add_done_callback(lambda task: self._keep(key, entry, task))
        return await asyncio.shield(entry.opening)

    async def _open_alone(self, given: tuple[object, ...]) -> T:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._open, *given)

    def _keep(self, key: str, entry: _Entry[T], task: "asyncio.Task[T]") -> None:
        entry.opening = None
        if task.cancelled() or task.exception() is not None:
            if self._entries.get(key) is entry:
                del self._entries[key]
            return
        entry.value, entry.used_s = task.result(), time.monotonic()


class Turns:
    """A lock that threads get in the order in which they asked: who lets go and asks again comes after who waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[threading.Event] = []

    def __enter__(self) -> None:
        mine = threading.Event()
        with self._lock:
            self._waiting.append(mine)
            if self._waiting[0] is mine:
                mine.set()
        mine.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            del self._waiting[0]
            if self._waiting:
                self._waiting[0].set()
