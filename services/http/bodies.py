"""The bytes of a request's body, within bounds of size, time, and memory for all that are read together.

Knows nothing of what is in them.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from fromage_model.errors import InvalidInput
from services.errors import Overloaded
from services.http.errors import BodyTooLarge, SlowBody, UnknownEncoding

# How zlib is told the form: gzip, and the two that clients send as `deflate`.
FORMS = {"gzip": (31,), "x-gzip": (31,), "deflate": (15, -15)}
PLAIN = ("", "identity")
MOST_DIGITS = 18
"""Of a length that is looked at as a number."""


@dataclass(frozen=True)
class BodyLimits:
    """`max_bytes` of one body, packed or not, which has `timeout_s` to come; `all_bytes` of those being read at once.

    A client that has sent the half of a body and waits takes memory and does nothing: both limits are for those.
    """

    max_bytes: int = 32 * 1024 * 1024
    timeout_s: float = 60.0
    all_bytes: int = 256 * 1024 * 1024


class Bodies:
    """Reads bodies, and knows how many bytes of them are in memory."""

    def __init__(self, limits: BodyLimits):
        self.limits = limits
        self.taken_bytes = 0

    @asynccontextmanager
    async def read(self, request: Request, *, max_bytes: int | None = None) -> AsyncIterator[bytes]:
        """The body, unpacked, at most `max_bytes` or what the limits say; it counts as held until the block ends.

        Raises BodyTooLarge as soon as the header, or what has come so far, says so; SlowBody, Overloaded;
        UnknownEncoding, and InvalidInput for what does not unpack.
        """
        most_bytes = min(max_bytes or self.limits.max_bytes, self.limits.max_bytes)
        coding = request.headers.get("content-encoding", "").strip().lower()
        if coding not in PLAIN and coding not in FORMS:
            told = f"a body of Content-Encoding {coding[:80]!r} can't be read; send it plain, or as gzip"
            raise UnknownEncoding(told)
        declared = request.headers.get("content-length", "")
        if declared.isdecimal() and (len(declared) > MOST_DIGITS or int(declared) > most_bytes):
            raise _too_large(most_bytes)
        held = Held(self)
        try:
            body = await self._gather(request, held, most_bytes)
            if coding in FORMS:
                body = await asyncio.to_thread(_unpacked, body, coding, most_bytes)
                held.take(len(body))
            yield body
        finally:
            held.let_go()

    async def _gather(self, request: Request, held: "Held", most_bytes: int) -> bytes:
        body = bytearray()
        try:
            async with asyncio.timeout(self.limits.timeout_s):
                async for piece in request.stream():
                    held.take(len(piece))
                    body += piece
                    if len(body) > most_bytes:
                        raise _too_large(most_bytes)
        except TimeoutError as error:
            raise SlowBody(f"the body was not complete after {self.limits.timeout_s:g} s") from error
        return bytes(body)


class Held:
    """What one body takes of the memory for all."""

    def __init__(self, bodies: Bodies):
        self._bodies = bodies
        self._bytes = 0

    def take(self, size_bytes: int) -> None:
        """Raises Overloaded where it is more than there is."""
        self._bytes += size_bytes
        self._bodies.taken_bytes += size_bytes
        if self._bodies.taken_bytes > self._bodies.limits.all_bytes:
            raise Overloaded("too many large requests at once; try again in a moment")

    def let_go(self) -> None:
        self._bodies.taken_bytes -= self._bytes


def _unpacked(data: bytes, coding: str, most_bytes: int) -> bytes:
    """What `data` unpacks to, at most `most_bytes` of it: a bomb is let go as soon as it is over."""
    for form in FORMS[coding]:
        packed = zlib.decompressobj(form)
        try:
            unpacked = packed.decompress(data, most_bytes + 1)
        except zlib.error:
            continue
        if len(unpacked) > most_bytes:
            raise _too_large(most_bytes)
        if packed.eof and not packed.unused_data:
            return unpacked
    raise InvalidInput(f"the body says Content-Encoding: {coding}, and does not unpack as that")


def _too_large(most_bytes: int) -> BodyTooLarge:
    return BodyTooLarge(f"the request is larger than {most_bytes:,} bytes")
