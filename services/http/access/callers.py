"""Lets in who has a key, or, where there are no keys, who asks from this machine. Pure ASGI, as `boundary`.

A key comes as `Authorization: Bearer KEY`, or in the path, `/k/KEY/...`, for clients that can send no header; it is
taken out of the path at once, so that nothing behind this sees or logs it. Whoever is let in stands in
`scope["caller"]`.
"""

import ipaddress
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.http.access.budgets import Budgets
from services.http.access.keys import KeyBook
from services.http.access.keys import Scope as KeyScope
from services.http.access.options import AccessOptions
from services.http.errors import KeyRefused, NotAllowed

HEALTH = frozenset(("/healthz", "/readyz"))
OPEN_PATHS = frozenset(("/", "/favicon.ico"))
OPEN_FOLDER = "/web/"
KEY_FOLDER = "/k/"
ADMIN_FOLDER = "/admin/"
READING = frozenset(("GET", "HEAD"))
ROUTED = READING | {"POST"}
HOW = "send it as `Authorization: Bearer KEY`"
RELAYED = ("forwarded", "via", "x-forwarded-for", "origin")
"""Headers of a request that somebody else's page or proxy made this machine send."""


@dataclass(frozen=True)
class Caller:
    """Who asks. `name`: of the key, or where there are no keys of the client's network."""

    name: str
    scopes: frozenset[KeyScope]
    by_key: bool


class Access:
    """Refuses with 401 and 403 of OpenAI's form, and gives each caller the budget that is left to it."""

    def __init__(self, app: ASGIApp, *, options: AccessOptions):
        self.app = app
        self.options = options
        self.book = KeyBook(given=options.keys, file=options.keys_file)
        self.budgets = Budgets(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        key = _key_out_of(scope)
        if _is_open(scope):
            await self.app(scope, receive, send)
            return
        caller = scope["caller"] = self._caller(scope, key)
        budget = scope["budget"] = self.budgets.of(caller.name)
        if scope["method"] not in READING and not scope["path"].startswith(ADMIN_FOLDER):
            await budget.take(requests=1)
        await self.app(scope, receive, budget.told_by(send))

    def _caller(self, scope: Scope, key: str) -> Caller:
        """Raises KeyRefused or NotAllowed."""
        if not self.options.by_key:
            host = _host(scope)
            if not self.options.without_keys and not _is_loopback(host):
                raise NotAllowed("this server has no API keys yet, and until then answers its own machine alone")
            return Caller(_network(host), frozenset(("chat",)), by_key=False)
        if not key:
            raise KeyRefused(f"there is no API key in the request; {HOW}")
        stored = self.book.find(key)
        if stored is None:
            raise KeyRefused(f"the API key is wrong, or was revoked; {HOW}")
        if "chat" not in stored.scopes and not scope["path"].startswith(ADMIN_FOLDER):
            raise NotAllowed("this API key is for /admin alone")
        return Caller(stored.name, stored.scopes, by_key=True)


def check_admin(request: Request) -> None:
    """Raises NotAllowed for who is not an admin: by a key's scope, or, where there are no keys, from this machine.

    Without keys, what a web page or a proxy made this machine send is not from this machine.
    """
    caller: Caller = request.scope["caller"]
    if "admin" in caller.scopes:
        return
    if caller.by_key or not _is_loopback(_host(request.scope)) or any(name in request.headers for name in RELAYED):
        raise NotAllowed("this is for whoever runs the server: with an admin key, or without keys from its own machine")


def _key_out_of(scope: Scope) -> str:
    """The key of the header or of the path, which then goes on without it; an empty text where there is none."""
    in_path = ""
    if scope["path"].startswith(KEY_FOLDER):
        in_path, slash, rest = scope["path"].removeprefix(KEY_FOLDER).partition("/")
        scope["path"] = slash + rest if slash else "/"
        # What was sent behind the key, where that can be told: in it `%2F` is part of an id, and a slash is not.
        sent, before = scope.get("raw_path") or b"", f"{KEY_FOLDER}{in_path}/".encode(errors="surrogatepass")
        decoded = scope["path"].encode(errors="surrogatepass")
        scope["raw_path"] = sent[len(before) - 1 :] if sent.startswith(before) else decoded
    kind, _, credentials = Headers(scope=scope).get("authorization", "").partition(" ")
    in_header = credentials.strip() if kind.lower() == "bearer" else ""
    return in_header or in_path


def _is_open(scope: Scope) -> bool:
    """Health, the page and its files; and methods that no route has, as OPTIONS, which browsers ask without a key: they
    are told which there are, and no more.
    """
    path = scope["path"]
    if scope["method"] not in ROUTED or path in HEALTH:
        return True
    return scope["method"] in READING and (path in OPEN_PATHS or path.startswith(OPEN_FOLDER))


def _host(scope: Scope) -> str:
    return scope["client"][0] if scope.get("client") else ""


def _network(host: str) -> str:
    """The address, or of IPv6 the /64 that one client has to itself."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
