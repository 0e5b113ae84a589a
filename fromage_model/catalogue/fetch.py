"""Bytes of a picture from a file or an http(s) URL, with limits on size, time and where a URL may lead.

Private, loopback, link-local and reserved addresses are refused: a feed is written by others, and must not make this
machine ask its own network. Knows nothing of feeds or of what is in the bytes.
"""

import ipaddress
import os
import socket
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import httpcore

from fromage_model.errors import InvalidInput

REDIRECTS = frozenset((301, 302, 303, 307, 308))
WORTH_ANOTHER_TRY = frozenset((408, 425, 429, 500, 502, 503, 504))
USER_AGENT = b"fromage-chat/0.1"
NAT64 = ipaddress.ip_network("64:ff9b::/96")


class FetchError(InvalidInput):
    """A picture that could not be fetched; `again` says whether another try may help."""

    def __init__(self, message: str, *, again: bool = False):
        super().__init__(message)
        self.again = again


@dataclass(frozen=True)
class FetchLimits:
    """`max_bytes` of a picture; `connect_s` and `read_s` of one wait, `total_s` of one try; redirects; pauses in s."""

    max_bytes: int = 20 * 1024 * 1024
    connect_s: float = 10.0
    read_s: float = 20.0
    total_s: float = 60.0
    max_redirects: int = 5
    pauses_s: tuple[float, ...] = (0.5, 2.0)


@dataclass(frozen=True)
class Fetched:
    """What came: `data`, or the `error` of the last of `attempts`."""

    data: bytes | None
    error: Exception | None
    attempts: int


class Fetcher:
    """Fetches one picture at a time, reusing connections. One of these for each thread."""

    def __init__(self, *, limits: FetchLimits = FetchLimits(), allow_private: bool = False):
        self.limits = limits
        self._deadline = Deadline()
        backend = PublicNetwork(self._deadline, allow_private=allow_private)
        self._pool = httpcore.ConnectionPool(max_connections=4, keepalive_expiry=15.0, network_backend=backend)

    def close(self) -> None:
        self._pool.close()

    def fetch(self, image: str) -> Fetched:
        """The bytes behind a path or URL; never raises for what a feed can get wrong."""
        if "://" not in image:
            return self._read(image)
        for attempt, pause_s in enumerate((*self.limits.pauses_s, None), start=1):
            try:
                return Fetched(self._download(image), None, attempt)
            except FetchError as error:
                if not error.again or pause_s is None:
                    return Fetched(None, error, attempt)
            time.sleep(pause_s)
        raise AssertionError("the last attempt returns")

    def _read(self, path: str) -> Fetched:
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode):
                raise FetchError("not a file")
            if found.st_size > self.limits.max_bytes:
                raise _too_large(found.st_size, self.limits)
            with open(path, "rb") as file:
                return Fetched(file.read(), None, 1)
        except FetchError as error:
            return Fetched(None, error, 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Fetched(None, FetchError(f"the file can't be read: {reason}"), 1)

    def _download(self, url: str) -> bytes:
        """One try, redirects followed. Raises FetchError."""
        self._deadline.start(self.limits.total_s)
        for _ in range(self.limits.max_redirects + 1):
            found = self._request(_checked(url))
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise FetchError(f"more than {self.limits.max_redirects} redirects")

    def _request(self, url: str) -> bytes | str:
        """The body, or the address that a redirect names."""
        waits = {"connect": self.limits.connect_s, "read": self.limits.read_s, "write": self.limits.read_s}
        headers = [(b"User-Agent", USER_AGENT), (b"Accept", b"image/*"), (b"Accept-Encoding", b"identity")]
        try:
            with self._pool.stream("GET", url, headers=headers, extensions={"timeout": waits}) as response:
                named = {key.lower(): value.decode("latin-1") for key, value in response.headers}
                if response.status in REDIRECTS and b"location" in named:
                    return named[b"location"]
                if response.status != 200:
                    raise FetchError(f"HTTP status {response.status}", again=response.status in WORTH_ANOTHER_TRY)
                return self._body(response, named.get(b"content-length", ""))
        except httpcore.TimeoutException as error:
            raise FetchError(f"no answer in time ({type(error).__name__})", again=True) from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise FetchError(f"the connection failed: {error or type(error).__name__}", again=True) from error
        except (httpcore.UnsupportedProtocol, ValueError, OSError) as error:
            raise FetchError(f"the URL can't be asked for: {error}") from error

    def _body(self, response: Any, declared: str) -> bytes:
        if declared.isdecimal() and int(declared) > self.limits.max_bytes:
            raise _too_large(int(declared), self.limits)
        body = bytearray()
        for block in response.iter_stream():
            body += block
            if len(body) > self.limits.max_bytes:
                raise _too_large(len(body), self.limits)
        return bytes(body)


class Deadline:
    """When the current try must end: a server that sends a byte now and then must not hold a worker for ever."""

    def __init__(self) -> None:
        self._ends_s = float("inf")

    def start(self, total_s: float) -> None:
        self._ends_s = time.monotonic() + total_s

    def cut(self, timeout: float | None) -> float:
        """`timeout`, or what is left if that is less. Raises httpcore.ReadTimeout when nothing is left."""
        left = self._ends_s - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return left if timeout is None else min(left, timeout)


class PublicNetwork(httpcore.NetworkBackend):
    """Resolves a host, refuses addresses that are not public, and connects to the very address that it checked.

    The name is resolved once, so an answer that changes between check and connection (DNS rebinding) changes nothing.
    """

    def __init__(self, deadline: Deadline, *, allow_private: bool):
        self._deadline = deadline
        self._allow_private = allow_private
        self._tcp = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port):
            try:
                stream = self._tcp.connect_tcp(
                    address, port, self._deadline.cut(timeout), local_address, socket_options
                )
                return TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise httpcore.UnsupportedProtocol("unix sockets are not asked for pictures")

    def _addresses(self, host: str, port: int) -> list[str]:
        try:
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} does not resolve: {error}") from error
        addresses = list(dict.fromkeys(str(answer[4][0]) for answer in answers))
        refused = [address for address in addresses if not self._allow_private and not is_public(address)]
        if refused:
            raise FetchError(f"{host} is at the private address {refused[0]}; --allow-private would let it through")
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A stream whose every wait ends with the deadline."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline):
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.cut(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.cut(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None) -> Any:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._deadline.cut(timeout))
        return TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def is_public(address: str) -> bool:
    """Whether anyone on the internet can reach `address`; an IPv4 address inside an IPv6 one is looked at as itself."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _checked(url: str) -> str:
    """`url` in the form in which it is sent. Raises FetchError where it is not http(s) or has no host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError(f"not a URL: {error}") from error
    if parts.scheme.lower() not in ("http", "https"):
        raise FetchError(f"expected http:// or https://, got {parts.scheme}://")
    if not parts.hostname:
        raise FetchError("the URL names no host")
    return _ascii(parts, port)


def _ascii(parts: SplitResult, port: int | None) -> str:
    """Host as IDNA, other characters percent-encoded; the user name, if any, and the fragment are left out."""
    try:
        name = parts.hostname or ""
        host = f"[{name}]" if ":" in name else name.encode("idna").decode()
    except UnicodeError as error:
        raise FetchError(f"not a host name: {error}") from error
    authority = host if port is None else f"{host}:{port}"
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?") if parts.query else ""
    return f"{parts.scheme.lower()}://{authority}{path}{query}"


def _too_large(size_bytes: int, limits: FetchLimits) -> FetchError:
    return FetchError(f"{size_bytes:,} bytes or more, at most {limits.max_bytes:,} are read")
