"""How a host is treated: so many requests at a time, pauses after failures, and the pause that it asks for itself.

Knows nothing of HTTP libraries or of pictures.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_ASKED_S = 365 * 86400.0


@dataclass(frozen=True)
class Patience:
    """`attempts` in all; between them `first_pause_s`, doubled each time, up to `longest_pause_s`.

    A pause is drawn between a half of that and the whole, so that many requests that failed together do not come again
    together (the "equal jitter" of M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    """

    attempts: int = 3
    first_pause_s: float = 0.5
    longest_pause_s: float = 60.0

    def pause_s(self, attempt: int, *, asked_s: float | None = None) -> float | None:
        """Seconds to wait after the failed `attempt` (from 1), or None where to give up.

        `asked_s` is what the server asked for by `Retry-After`; more than `longest_pause_s` is not waited for.
        """
        if attempt >= self.attempts or (asked_s is not None and asked_s > self.longest_pause_s):
            return None
        drawn_s = min(self.first_pause_s * 2 ** (attempt - 1), self.longest_pause_s) * random.uniform(0.5, 1.0)
        return drawn_s if asked_s is None else max(drawn_s, asked_s)


def retry_after_s(value: str | None) -> float | None:
    """A `Retry-After` header, seconds or a date (RFC 9110, 10.2.3), as seconds from now, at most LONGEST_ASKED_S.

    None where it says neither.
    """
    value = (value or "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value), LONGEST_ASKED_S)
    try:
        moment = parsedate_to_datetime(value)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return min(max((moment - datetime.now(UTC)).total_seconds(), 0.0), LONGEST_ASKED_S)
    except (ValueError, OverflowError, TypeError, IndexError):  # what the parser makes of dates that are none
        return None


class Hosts:
    """Holds `per_host` requests to one host at a time, and holds back from hosts that asked for a pause."""

    def __init__(self, per_host: int):
        self._per_host = per_host
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._asking: Counter[str] = Counter()
        self._not_before_s: dict[str, float] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        turns = self._turns.setdefault(host, asyncio.Semaphore(self._per_host))
        self._asking[host] += 1
        try:
            async with turns:
                while (wait_s := self._not_before_s.get(host, 0.0) - time.monotonic()) > 0:
                    await asyncio.sleep(wait_s)
                yield
        finally:
            self._asking[host] -= 1
            self._forget(host)

    def hold(self, host: str, seconds: float) -> None:
        """Nobody asks `host` for so long."""
        if seconds > 0:
            self._not_before_s[host] = max(self._not_before_s.get(host, 0.0), time.monotonic() + seconds)

    def _forget(self, host: str) -> None:
        """What is known of a host that nobody asks, and that asked for no pause: there is no end of names."""
        if not self._asking[host]:
            del self._asking[host], self._turns[host]
        if self._not_before_s.get(host, 0.0) <= time.monotonic():
            self._not_before_s.pop(host, None)
