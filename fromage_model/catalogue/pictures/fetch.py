"""Bytes of pictures from files, object stores and http(s) URLs, many at a time, with limits on size, time and hosts.

A file of before is asked for by its validators (ETag, Last-Modified), so that what did not change is not sent again.
Knows nothing of feeds or of what is in the bytes.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from fromage_model.catalogue.pictures.addresses import AddressError, Resolver, check_host, redirected, sendable
from fromage_model.catalogue.pictures.answers import DeadLink, Fetched, FetchError, Unreachable, explained, read_answer
from fromage_model.catalogue.pictures.hosts import Hosts, Patience
from fromage_model.errors import CatalogueError
from fromage_model.storage.artefacts import is_uri
from fromage_model.storage.files import is_local, read_at_most
from fromage_model.storage.remote import is_store, reason

# Of an answer's head: as much of one line as curl reads, and twice as many lines as aiohttp reads unasked.
MAX_LINE_BYTES, MAX_LINES = 100 * 1024, 256
HEADERS = {"User-Agent": "fromage-chat/0.1", "Accept": "image/*,*/*;q=0.1", "Accept-Encoding": "identity"}

T = TypeVar("T")


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


class Fetcher:
    """Fetches pictures over one set of connections, from a thread of its own; any thread may ask it."""

    def __init__(
        self,
        *,
        limits: FetchLimits = FetchLimits(),
        allow_private: bool = False,
        ports: frozenset[int] | None = None,
        threads: int = 4,
    ):
        """`ports`: the only ones that are asked."""
        self.limits = limits
        self._allow_private = allow_private
        self._ports = ports
        self._hosts = Hosts(limits.per_host)
        self._places = asyncio.Semaphore(limits.at_once)
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="pictures")
        self._session: aiohttp.ClientSession | None = None
        self._loop = asyncio.new_event_loop()
        # Where host names are looked up: one that takes for ever holds a thread, and may hold up no other name.
        self._loop.set_default_executor(ThreadPoolExecutor(limits.at_once, thread_name_prefix="resolve"))
        threading.Thread(target=self._loop.run_forever, daemon=True, name="fetcher").start()

    def close(self) -> None:
        """Close connections and end the thread."""
        if self._session is not None:
            asyncio.run_coroutine_threadsafe(self._session.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._threads.shutdown()

    def fetch(self, image: str) -> Fetched:
        """The bytes behind a path or URL, or why there are none; never raises."""
        (found,) = self.each([Wanted(image)], lambda number, fetched: fetched)
        assert found is not None
        return found

    async def download(self, url: str) -> bytes:
        """The picture at an http(s) URL, within `total_s` and in one try; neither files nor stores are reached so.

        For a caller in an event loop of its own. Raises FetchError or AddressError.
        """
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._once(url), self._loop))

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
        """What came, or why nothing did, whatever a server or store does to the libraries that ask it."""
        attempt = 1
        while True:
            try:
                if _is_stored(wanted.image):
                    return await self._read(wanted.image, place)
                found = await self._download(wanted, place)
                return replace(found, attempts=attempt)
            except Unreachable as error:
                pause_s = self.limits.patience.pause_s(attempt, asked_s=error.retry_after_s)
                if pause_s is None:
                    return Fetched(None, error, attempt)
            except (FetchError, AddressError) as error:
                return Fetched(None, error, attempt)
            except Exception as error:
                return Fetched(None, Unreachable(f"the answer could not be read: {reason(error)}"), attempt)
            place.leave()
            await asyncio.sleep(pause_s)
            attempt += 1

    async def _once(self, url: str) -> bytes:
        place = Place(self._places)
        try:
            async with asyncio.timeout(self.limits.total_s):
                found = await self._download(Wanted(url), place)
        except (FetchError, AddressError):
            raise
        except Exception as error:
            raise Unreachable(f"the answer could not be read: {reason(error)}") from error
        finally:
            place.leave()
        assert found.data is not None, "without validators nothing is unchanged"
        return found.data

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
                    url = redirected(url, found)
                    if url in seen:
                        raise DeadLink(f"its redirects go in a circle: {url} came again")
        except TimeoutError as error:
            raise Unreachable(f"no answer in time: {self.limits.total_s:g} s went by") from error
        raise DeadLink(f"more than {self.limits.max_redirects} redirects")

    async def _request(self, url: str, wanted: Wanted, place: "Place", clock: asyncio.Timeout) -> Fetched | str:
        """What came, or the address that a redirect names."""
        check_host(url, allow_private=self._allow_private, ports=self._ports)
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
                    return await read_answer(response, max_bytes=self.limits.max_bytes)
        except Unreachable as error:
            if error.retry_after_s is not None and error.retry_after_s <= self.limits.patience.longest_pause_s:
                self._hosts.hold(host, error.retry_after_s)
            raise
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError) and not isinstance(error, aiohttp.ClientError):
                raise
            raise explained(error) from error

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
                max_line_size=MAX_LINE_BYTES,
                max_field_size=MAX_LINE_BYTES,
                max_headers=MAX_LINES,
            )
        return self._session

    async def _read(self, image: str, place: "Place") -> Fetched:
        """A file, or an object of a store: that has turns like a host."""
        if is_local(image):
            await place.take()
            return await self._loop.run_in_executor(self._threads, _stored, image, self.limits.max_bytes)
        bucket = "/".join(image.split("/", 3)[:3])
        async with self._hosts.turn(bucket):
            await place.take()
            return await self._from_store(image)

    async def _from_store(self, image: str) -> Fetched:
        """Its client can't be stopped while it waits: when time is up it is left to itself, in a thread of its own."""
        came: asyncio.Future[Fetched] = self._loop.create_future()

        def tell(found: Fetched) -> None:
            if not came.done():
                came.set_result(found)

        def read() -> None:
            self._loop.call_soon_threadsafe(tell, _stored(image, self.limits.max_bytes))

        threading.Thread(target=read, daemon=True, name="store").start()
        try:
            return await asyncio.wait_for(came, self.limits.total_s)
        except TimeoutError:
            return Fetched(None, Unreachable(f"no answer in time: {self.limits.total_s:g} s went by"))


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


def _stored(image: str, max_bytes: int) -> Fetched:
    """A file, or an object of a store. Never raises."""
    try:
        return Fetched(read_at_most(image, max_bytes), None)
    except CatalogueError as error:
        return Fetched(None, FetchError(str(error)))
    except Exception as error:
        if is_local(image) or isinstance(error, FileNotFoundError):
            return Fetched(None, FetchError(f"the file can't be read: {reason(error)}"))
        return Fetched(None, Unreachable(f"the store failed: {reason(error)}"))


def _is_stored(image: str) -> bool:
    """Whether a file or object store holds it; anything else is told apart as a URL, by `sendable`."""
    return not is_uri(image) or is_store(image)
