"""A picture of a request: what its URL holds, or where it is fetched from. Knows nothing of HTTP's forms or of Ray.

Remote pictures are fetched in the encoder. What a client hears of one that does not come is the same whether
there is no such host, no answer, or a network of ours: strangers learn nothing of it by asking.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from dataclasses import dataclass
from urllib.parse import urlsplit

from fromage_model.catalogue.pictures.addresses import AddressError, PrivateAddress, sendable
from fromage_model.catalogue.pictures.answers import FetchError, Unreachable
from fromage_model.catalogue.pictures.fetch import Fetcher, FetchLimits
from fromage_model.catalogue.pictures.hosts import Patience
from fromage_model.errors import ImageError
from fromage_model.vision.data_urls import data_url_bytes
from fromage_model.vision.images import ImageLimits
from services.answering.conversation import ChatLimits, Picture
from services.errors import Overloaded

REMOTE = ("http://", "https://")
MAX_URL_CHARS = 4096
HOW_TO_SEND = "send the picture itself as a data: URL (data:image/png;base64,...)"
WEB_PORTS = frozenset((80, 443))
MOST_COMING, MOST_FROM_ONE_HOST = 32, 8
"""Well below the pictures that a replica of the encoder takes at once, so that slow hosts leave room for the others."""
AT_ONCE, PER_HOST = 16, 4
MAX_REDIRECTS = 3
REMEMBERED_S, MOST_REMEMBERED = 300.0, 1024


@dataclass(frozen=True)
class RemoteAccess:
    """How remote pictures are fetched. `allow_private`: from networks of our own too, and at any port.

    `timeout_s`: from the first look for the host to the last byte, redirects among it.
    """

    allow_private: bool = False
    timeout_s: float = 10.0


def read_picture(url: str, *, field: str, limits: ChatLimits) -> Picture:
    """The picture that a request names by `url` in `field`. Raises ImageError with that field."""
    try:
        if url.lstrip()[:8].lower().startswith(REMOTE):
            return Picture(_remote(url.strip(), limits), field)
        return Picture(data_url_bytes(url, limits=limits.image), field)
    except ImageError as error:
        raise ImageError(str(error), field=field) from error


def _remote(url: str, limits: ChatLimits) -> str:
    if not limits.remote_images:
        raise ImageError(f"remote pictures are not fetched; {HOW_TO_SEND}")
    if len(url) > MAX_URL_CHARS:
        raise ImageError(f"the picture's address has {len(url):,} characters; at most {MAX_URL_CHARS:,} are read")
    try:
        return sendable(url)
    except AddressError as error:
        raise ImageError(f"the picture's address can't be asked for: {error}; or {HOW_TO_SEND}") from error


class RemotePictures:
    """Fetches pictures from http(s) URLs, each once where several want it, and knows for some minutes what came."""

    def __init__(self, access: RemoteAccess, *, limits: ImageLimits = ImageLimits()):
        self._timeout_s = access.timeout_s
        self._fetcher = Fetcher(
            limits=FetchLimits(
                max_bytes=limits.max_bytes,
                connect_s=access.timeout_s,
                read_s=access.timeout_s,
                total_s=access.timeout_s,
                max_redirects=MAX_REDIRECTS,
                patience=Patience(attempts=1, longest_pause_s=0.0),
                per_host=PER_HOST,
                at_once=AT_ONCE,
            ),
            allow_private=access.allow_private,
            ports=None if access.allow_private else WEB_PORTS,
        )
        self._coming: dict[str, asyncio.Task[bytes]] = {}
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def close(self) -> None:
        """Close connections; nothing is fetched any more."""
        self._fetcher.close()

    def sha256_of(self, url: str) -> str | None:
        """Of the file that came from `url` within the last minutes."""
        sha256, until_s = self._known.get(url, (None, 0.0))
        return sha256 if time.monotonic() < until_s else None

    async def fetch(self, url: str) -> bytes:
        """The bytes of the picture at a URL that `read_picture` let through. Raises ImageError, or Overloaded where
        too many are on their way.
        """
        if url not in self._coming:
            self._check_room(urlsplit(url).netloc)
            self._coming[url] = asyncio.create_task(self._download(url))
            self._coming[url].add_done_callback(lambda task: self._arrived(url, task))
        return await asyncio.shield(self._coming[url])

    async def _download(self, url: str) -> bytes:
        try:
            return await self._fetcher.download(url)
        except (PrivateAddress, Unreachable) as error:
            problem = f"nothing came from its address within {self._timeout_s:g} s; it must be a public one"
            raise ImageError(f"the picture was not fetched: {problem}; or {HOW_TO_SEND}") from error
        except (AddressError, FetchError) as error:
            raise ImageError(f"the picture was not fetched: {error}") from error

    def _check_room(self, host: str) -> None:
        from_host = sum(urlsplit(url).netloc == host for url in self._coming)
        if len(self._coming) >= MOST_COMING or from_host >= MOST_FROM_ONE_HOST:
            raise Overloaded(f"too many pictures are being fetched; try again in a moment, or {HOW_TO_SEND}")

    def _arrived(self, url: str, task: asyncio.Task[bytes]) -> None:
        del self._coming[url]
        if task.cancelled() or task.exception() is not None:
            return
        self._known[url] = hashlib.sha256(task.result()).hexdigest(), time.monotonic() + REMEMBERED_S
        self._known.move_to_end(url)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
