"""Where a URL may lead, and the form in which it is sent. Knows nothing of connections or of what comes back.

Private, loopback, link-local and reserved addresses are refused: a feed is written by others, and must not make this
machine ask its own network.
"""

import ipaddress
import re
import socket
from urllib.parse import SplitResult, quote, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from fromage_model.errors import InvalidInput

# Azure's metadata server: an address of the internet that a machine there reaches itself by.
REACHES_INSIDE = frozenset((ipaddress.ip_address("168.63.129.16"),))
NAT64 = ipaddress.ip_network("64:ff9b::/96")
DEFAULT_PORTS = {"http": 80, "https": 443}
PLAIN = "/%:@!$&'()*+,;=~-._"
# A percent sign that begins no escape stands for itself.
BARE_PERCENT = re.compile(r"%(?![0-9a-fA-F]{2})")


class AddressError(InvalidInput):
    """A URL that can't be asked for, or that leads where it may not."""


class PrivateAddress(AddressError):
    """A URL that leads into a network of our own, or to a port where no web server is."""


class Resolver(AbstractResolver):
    """Resolves a host and refuses it where an address is not public.

    The connection goes to the very addresses that were checked, so an answer that changes between check and connection
    (DNS rebinding) changes nothing. A host that is an address is never asked about: `check_host` looks at it.
    """

    def __init__(self, *, allow_private: bool):
        self._allow_private = allow_private
        self._system = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        found = await self._system.resolve(host, port, family)
        if not self._allow_private:
            for answer in found:
                _refuse_private(host, answer["host"])
        return found

    async def close(self) -> None:
        await self._system.close()


def check_host(url: str, *, allow_private: bool, ports: frozenset[int] | None = None) -> None:
    """Raises PrivateAddress where the host of a `sendable` URL is itself an address that is not public, or its port is
    not one of `ports`.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]
    if ports is not None and port not in ports:
        raise PrivateAddress(f"{host} is asked at port {port}, and only {', '.join(map(str, sorted(ports)))} are")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return
    if not allow_private:
        _refuse_private(host, host)


def is_public(address: str) -> bool:
    """Whether anyone on the internet can reach `address`; an IPv4 address inside an IPv6 one is looked at as itself."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo or (None, None))[1]
        if inner is None and ip in NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if ip.is_site_local:
            return False
    return ip not in REACHES_INSIDE and ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def redirected(url: str, location: str) -> str:
    """Where a `Location` header of `url` leads, in the form in which it is sent, read as browsers do.

    Before `?` a backslash is a slash. Raises AddressError as `sendable` does.
    """
    path, mark, rest = location.partition("?")
    try:
        return sendable(urljoin(url, path.replace("\\", "/") + mark + rest))
    except (ValueError, AddressError) as error:
        raise AddressError(f"its redirect leads nowhere: {error}") from error


def sendable(url: str) -> str:
    """`url` in the form in which it is sent: blanks and other letters encoded, no user name, no fragment.

    Bytes that are no UTF-8, which stand in a header's text as lone surrogates, are encoded as they are.
    Raises AddressError where it is not http(s) or has no host.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise AddressError(f"not a URL: {error}") from error
    if parts.scheme.lower() not in ("http", "https"):
        raise AddressError(f"expected http:// or https://, got {parts.scheme}://")
    if not parts.hostname:
        raise AddressError("the URL names no host")
    try:
        return _ascii(parts, port)
    except UnicodeError as error:
        raise AddressError(f"not a URL: {error}") from error


def _ascii(parts: SplitResult, port: int | None) -> str:
    host = _host(parts.hostname or "")
    authority = host if port is None else f"{host}:{port}"
    query = "?" + _quoted(parts.query, PLAIN + "?") if parts.query else ""
    return f"{parts.scheme.lower()}://{authority}{_quoted(parts.path or '/', PLAIN)}{query}"


def _quoted(text: str, safe: str) -> str:
    return quote(BARE_PERCENT.sub("%25", text), safe=safe, errors="surrogateescape")


def _host(name: str) -> str:
    """A host name as IDNA; numbers that a resolver would take for an IPv4 address, as that address.

    Digits come in many alphabets, which IDNA makes one, and the root's dot may stand behind them.
    """
    if ":" in name:
        return f"[{name}]"
    name = name.encode("idna").decode()
    try:
        return socket.inet_ntoa(socket.inet_aton(name.removesuffix(".")))
    except (OSError, ValueError):
        return name


def _refuse_private(host: str, address: str) -> None:
    if not is_public(address):
        raise PrivateAddress(f"{host} is at the private address {address}; --allow-private would let it through")
