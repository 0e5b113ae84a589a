"""How much each caller may ask in a minute or a day: requests, tokens, pictures. Counted by the library `limits`.

Tokens are known when a reply has ended. Until then what it may come to is reserved; then the difference is given back,
or taken. What is left stands in the response's headers, as OpenAI's clients read them.
"""

import logging
import math
import time
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from typing import TypeVar, cast

from limits import RateLimitItem, parse_many
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

from fromage_model.errors import InvalidInput
from fromage_model.prompts.messages import Finished
from services.errors import Unavailable
from services.http.access.options import AccessOptions
from services.http.errors import BudgetSpent

TOKENS = "tokens"
KINDS = ("requests", TOKENS, "pictures")
EventT = TypeVar("EventT")
REDIS: dict[str, float | str] = {"implementation": "redispy", "socket_timeout": 2.0, "socket_connect_timeout": 2.0}
"""By which client, and for how many seconds it waits."""

log = logging.getLogger("ray.serve")


def check_options(options: AccessOptions) -> None:
    """Raises InvalidInput, naming the setting, for a budget or a storage that can't be read."""
    for kind in KINDS:
        try:
            _limits_in(getattr(options, kind))
        except ValueError as error:
            raise InvalidInput(f"budget_{kind}: expected such as 60/minute or 60/minute; 1000/day") from error
    try:
        _storage(options.storage)
    except Exception as error:
        raise InvalidInput(f"budget_storage: budgets can't be counted there: {error}") from error


class Budgets:
    """Where everybody's use is counted. Several replicas count together where their storage is one, as Redis is."""

    def __init__(self, options: AccessOptions):
        self.limits = {kind: _limits_in(getattr(options, kind)) for kind in KINDS}
        self.limiter = FixedWindowRateLimiter(_storage(options.storage))

    def of(self, caller: str) -> "Budget":
        return Budget(self, caller)


class Budget:
    """What one caller has left, as one request sees it."""

    def __init__(self, budgets: Budgets, caller: str):
        self._budgets = budgets
        self._caller = caller
        self._headers: dict[str, str] = {}
        self._reserved: list[tuple[RateLimitItem, int]] = []

    async def take(self, **costs: int) -> None:
        """Take so much of each kind, or nothing at all. Raises BudgetSpent with the seconds after which to ask again,
        Unavailable where it can't be counted.

        What costs more than the whole budget takes all of it, so that it is not refused for ever.
        """
        with _reached():
            await self._take(costs)

    async def _take(self, costs: dict[str, int]) -> None:
        taken: list[tuple[str, RateLimitItem, int]] = []
        for kind, limit, cost in self._each(costs):
            cost = min(cost, limit.amount)
            taken.append((kind, limit, cost))
            if not await self._budgets.limiter.hit(limit, kind, self._caller, cost=cost):
                wait_s = await self._seconds_to_reset(kind, limit)
                for one in taken:
                    await self._add(one[0], one[1], -one[2])
                await self._tell(kind)
                told = f"the budget of {limit} for {kind} is spent; it is whole again in {wait_s} s"
                raise BudgetSpent(told, wait_s, self._headers)
        self._reserved = [(limit, cost) for kind, limit, cost in taken if kind == TOKENS]
        for kind in costs:
            await self._tell(kind)

    async def metered(self, events: AsyncGenerator[EventT, None], *, replies: int) -> AsyncGenerator[EventT, None]:
        """`events`, whose Finished settle the tokens that were taken: a reply that fails before it began costs none,
        and one that is broken off keeps them.
        """
        used = finished = 0
        begun = False
        try:
            async with aclosing(events):
                async for event in events:
                    begun = True
                    end = event[1] if isinstance(event, tuple) else event
                    if isinstance(end, Finished):
                        finished += 1
                        used += end.completion_tokens + (end.prompt_tokens if finished == 1 else 0)
                    yield event
        except Exception:
            if not begun:
                await self.settle(0)
            raise
        if finished == replies:
            await self.settle(used)

    @asynccontextmanager
    async def unless_it_fails(self) -> AsyncGenerator[None, None]:
        """What fails in the block costs no tokens."""
        try:
            yield
        except Exception:
            await self.settle(0)
            raise

    async def settle(self, used: int) -> None:
        """Count the tokens that were used instead of those that were taken. A reply does not fail by it."""
        reserved_of, self._reserved = self._reserved, []
        try:
            for limit, reserved in reserved_of:
                await self._add(TOKENS, limit, used - reserved)
        except StorageError as error:
            log.warning("%d tokens of %s were not settled: %s", used, self._caller, error)

    def told_by(self, send: Send) -> Send:
        """`send`, that adds what is left to the response's headers."""

        async def send_with_budget(message: Message) -> None:
            if message["type"] == "http.response.start" and self._headers:
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
            await send(message)

        return send_with_budget

    def _each(self, costs: dict[str, int]) -> Iterable[tuple[str, RateLimitItem, int]]:
        return [(kind, limit, cost) for kind, cost in costs.items() if cost for limit in self._budgets.limits[kind]]

    async def _add(self, kind: str, limit: RateLimitItem, cost: int) -> None:
        """Nothing is given back to a window that has ended meanwhile: it would be more than the next one allows."""
        key, storage = limit.key_for(kind, self._caller), self._budgets.limiter.storage
        if cost < 0:
            cost = -min(-cost, await storage.get(key))
        if cost:
            await storage.incr(key, limit.get_expiry(), amount=cost)

    async def _tell(self, kind: str) -> None:
        """The limit of this kind of which least is left."""
        told = []
        for limit in self._budgets.limits[kind]:
            window = await self._budgets.limiter.get_window_stats(limit, kind, self._caller)
            told.append((window.remaining, limit))
        if told:
            remaining, limit = min(told, key=lambda one: one[0] / one[1].amount)
            self._headers |= {
                f"x-ratelimit-limit-{kind}": str(limit.amount),
                f"x-ratelimit-remaining-{kind}": str(remaining),
                f"x-ratelimit-reset-{kind}": f"{await self._seconds_to_reset(kind, limit)}s",
            }

    async def _seconds_to_reset(self, kind: str, limit: RateLimitItem) -> int:
        window = await self._budgets.limiter.get_window_stats(limit, kind, self._caller)
        return max(1, math.ceil(window.reset_time - time.time()))


def _limits_in(text: str) -> Sequence[RateLimitItem]:
    return parse_many(text) if text.strip() else []


@contextmanager
def _reached() -> Iterator[None]:
    """Raises Unavailable where the storage does not answer."""
    try:
        yield
    except StorageError as error:
        raise Unavailable(f"budgets can't be counted: {type(error.storage_error).__name__}") from error


def _storage(uri: str) -> Storage:
    if not uri.startswith("async+"):
        raise ValueError("expected an address that begins with async+, such as async+redis://10.0.0.5:6379")
    options = REDIS if uri.startswith("async+redis") else {}
    return cast(Storage, storage_from_string(uri, wrap_exceptions=True, **options))
