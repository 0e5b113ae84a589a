"""Bytes of pictures from files, object stores and http(s) URLs, many at a time, with limits on size, time and hosts.

A file of before is asked for by its validators (ETag, Last-Modified), so that what did not change is not sent again.
Knows nothing of feeds or of what is in the bytes.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urljoin, urlsplit

import aiohttp
from yarl import URL

from fromage_model.catalogue.pictures.addresses import AddressError, Resolver, check_host, sendable
from fromage_model.catalogue.pictures.hosts import Hosts, Patience, retry_after_s
from fromage_model.errors import CatalogueError, InvalidInput
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import read_at_most, too_large
from fromage_model.storage.remote import is_store

REDIRECTS = frozenset((301, 302, 303, 307, 308))
WORTH_ANOTHER_TRY = frozenset((408, 425, 429, 500, 502, 503, 504))
NOT_MODIFIED = 304
# Servers that don't know a file's type send one of these; any other type but image/* is no picture.
UNTYPED = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/x-download"))
BLOCK_BYTES = 1 << 16
HEADERS = {"User-Agent": "fromage-chat/0.1", "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}

T = TypeVar("T")


class FetchError(InvalidInput):
    """A picture that could not be fetched."""


class DeadLink(FetchError):
    """The server answered, and there is no picture at this URL: asking again will not help."""


class Unreachable(FetchError):
    """The server did not answer, or not now: another try may help. `retry_after_s` is the pause it asks for."""

    def __init__(self, message: str, *, retry_after_s: float | None = None):
        super().__init__(message)
        self.retry_after_s = retry_after_s


@dataclass(frozen=True)
class FetchLimits:
    """`max_bytes` of a picture; `connect_s` and `read_s` of one wait, `total_s` of one try; redirects; pauses.

    `per_host` requests go to one host at a time, `at_once` in all.
    """

    max_bytes: int = 20 * 1024 * 1024
    connect_s: float = 10.0
    read_s: float = 20.0
    total_s: float = 60.0
    max_redirects: int = 5
    patience: Patience = Patience()
    per_host: int = 8
    at_once: int = 64


@dataclass(frozen=True)
class Wanted:
    """A path or URL, and the validators with which its bytes came before."""

    image: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class Fetched:
    """What came: `data`, or `unchanged` where the server says that it is what it was, or the last `error`."""

    data: bytes | None
    error: Exception | None
    attempts: int
    unchanged: bool = False
    etag: str | None = None
    last_modified: str | None = None


class Fetcher:
    """Fetches pictures over one set of connections, from a thread of its own; any thread may ask it."""

    def __init__(self, *, limits: FetchLimits = FetchLimits(), allow_private: bool = False, threads: int = 4):
        self.limits = limits
        self._allow_private = allow_private
        self._hosts = Hosts(limits.per_host)
        self._places = asyncio.Semaphore(limits.at_once)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="pictures")
        self._session: aiohttp.ClientSession | None = None
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="fetcher").start()

    def close(self) -> None:
        """Close connections and end the thread."""
        if self._session is not None:
            asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._threads.shutdown()

    def fetch(self, image: str) -> Fetched:
        """The bytes behind a path or URL; never raises for what a feed can get wrong."""
        (found,) = self.each([Wanted(image)], lambda number, fetched: fetched)
        assert found is not None
        return found

    def each(self, wanted: Sequence[Wanted | None], then: Callable[[int, Fetched | None], T]) -> list[T]:
        """`then(number, what came)` for every one, in their order; the bytes of a picture live until `then` is done.

        `then` runs in a thread, as soon as its picture is there; for None it is called with None. What it raises is
        raised here.
        """
        return asyncio.run_coroutine_threadsafe(self._each(wanted, then), self._loop).result()

    async def _each(self, wanted: Sequence[Wanted | None], then: Callable[[int, Fetched | None], T]) -> list[T]:
        async def one(number: int, asked: Wanted | None) -> T:
            place = Place(self._places)
            try:
                fetched = None if asked is None else await self._fetch(asked, place)
                return await self._loop.run_in_executor(self._threads, then, number, fetched)
            finally:
                place.leave()

        tasks = [asyncio.ensure_future(one(number, asked)) for number, asked in enumerate(wanted)]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()

    async def _fetch(self, wanted: Wanted, place: "Place") -> Fetched:
        if _is_stored(wanted.image):
            await place.take()
            return await self._loop.run_in_executor(self._threads, self._read, wanted.image)
        attempt = 1
        while True:
            try:
                found = await self._download(wanted, place)
                return replace(found, attempts=attempt)
            except Unreachable as error:
                pause_s = self.limits.patience.pause_s(attempt, asked_s=error.retry_after_s)
                if pause_s is None:
                    return Fetched(None, error, attempt)
            except (FetchError, AddressError) as error:
                return Fetched(None, error, attempt)
            place.leave()
            await asyncio.sleep(pause_s)
            attempt += 1

    async def _download(self, wanted: Wanted, place: "Place") -> Fetched:
        """One try, redirects followed. Raises FetchError or AddressError."""
        url, seen = sendable(wanted.image), set[str]()
        try:
            async with asyncio.timeout(None) as clock:
                while len(seen) <= self.limits.max_redirects:
                    seen.add(url)
                    found = await self._request(url, wanted, place, clock)
                    if isinstance(found, Fetched):
                        return found
                    url = sendable(urljoin(url, found))
                    if url in seen:
                        raise DeadLink(f"its redirects go in a circle: {url} came again")
        except TimeoutError as error:
            raise Unreachable(f"no answer in time: {self.limits.total_s:g} s went by") from error
        raise DeadLink(f"more than {self.limits.max_redirects} redirects")

    async def _request(self, url: str, wanted: Wanted, place: "Place", clock: asyncio.Timeout) -> Fetched | str:
        """What came, or the address that a redirect names."""
        check_host(url, allow_private=self._allow_private)
        headers = {"If-None-Match": wanted.etag, "If-Modified-Since": wanted.last_modified}
        sent = {name: value for name, value in headers.items() if value}
        host = urlsplit(url).netloc
        try:
            # Places are waited for with a turn in hand, never turns with a place: a slow host blocks no other.
            place.leave()
            async with self._hosts.turn(host):
                await place.take()
                # Time runs from the host's turn on: waiting for it is no fault of the host.
                if clock.when() is None:
                    clock.reschedule(self._loop.time() + self.limits.total_s)
                async with self._http().get(URL(url, encoded=True), headers=sent, allow_redirects=False) as response:
                    return await self._answer(response, host)
        except (aiohttp.ConnectionTimeoutError, aiohttp.SocketTimeoutError) as error:
            raise Unreachable(f"no answer in time ({type(error).__name__})") from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise FetchError(f"the URL can't be asked for: {error}") from error
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise FetchError(f"the connection is not secure: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise Unreachable(f"the connection failed: {error or type(error).__name__}") from error

    async def _answer(self, response: aiohttp.ClientResponse, host: str) -> Fetched | str:
        named = response.headers
        if response.status in REDIRECTS and "Location" in named:
            return named["Location"]
        asked = response.request_info.headers
        if response.status == NOT_MODIFIED and ("If-None-Match" in asked or "If-Modified-Since" in asked):
            return Fetched(None, None, 1, unchanged=True)
        if response.status != 200:
            raise self._refusal(response, host)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in UNTYPED and not kind.startswith("image/"):
            raise DeadLink(f"expected a picture, the server sent {kind[:80]}")
        if (packed := named.get("Content-Encoding", "identity")) != "identity":
            raise DeadLink(f"the server packed the picture ({packed[:80]}), although asked not to")
        body = await self._body(response)
        return Fetched(body, None, 1, etag=named.get("ETag"), last_modified=named.get("Last-Modified"))

    def _refusal(self, response: aiohttp.ClientResponse, host: str) -> FetchError:
        """The error of any status that brings no picture; where the server asks for a pause, the host gets it."""
        if response.status not in WORTH_ANOTHER_TRY:
            return DeadLink(f"HTTP status {response.status}")
        asked_s = retry_after_s(response.headers.get("Retry-After"))
        if asked_s is not None and asked_s <= self.limits.patience.longest_pause_s:
            self._hosts.hold(host, asked_s)
        told = "" if asked_s is None else f", which asks to wait {asked_s:.0f} s"
        return Unreachable(f"HTTP status {response.status}{told}", retry_after_s=asked_s)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        if (declared := response.content_length or 0) > self.limits.max_bytes:
            raise FetchError(too_large(declared, self.limits.max_bytes))
        body = bytearray()
        async for block in response.content.iter_chunked(BLOCK_BYTES):
            body += block
            if len(body) > self.limits.max_bytes:
                raise FetchError(too_large(len(body), self.limits.max_bytes))
        return bytes(body)

    def _http(self) -> aiohttp.ClientSession:
        """Made in the loop's own thread, on first use."""
        if self._session is None:
            waits = aiohttp.ClientTimeout(
                total=None, connect=None, sock_connect=self.limits.connect_s, sock_read=self.limits.read_s
            )
            connector = aiohttp.TCPConnector(
                limit=0, resolver=Resolver(allow_private=self._allow_private), keepalive_timeout=15.0
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=waits,
                headers=HEADERS,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._session

    def _read(self, image: str) -> Fetched:
        """A file, or an object of a store."""
        try:
            return Fetched(read_at_most(image, self.limits.max_bytes), None, 1)
        except CatalogueError as error:
            return Fetched(None, FetchError(str(error)), 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Fetched(None, FetchError(f"the file can't be read: {reason}"), 1)
        except Exception as error:  # stores raise their libraries' own types: no credentials, no bucket
            return Fetched(None, Unreachable(f"the store failed: {type(error).__name__}: {error}"), 1)


class Place:
    """One of the places that pictures in memory take; leaving it twice is leaving it once."""

    def __init__(self, places: asyncio.Semaphore):
        self._places = places
        self._held = False

    async def take(self) -> None:
        await self._places.acquire()
        self._held = True

    def leave(self) -> None:
        if self._held:
            self._held = False
            self._places.release()


def _is_stored(image: str) -> bool:
    """Whether a file or object store holds it; anything else is told apart as a URL, by `sendable`."""
    return not is_uri(image) or is_store(image)
