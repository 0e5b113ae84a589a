"""What a server's answer comes to: a picture's bytes, where to go on, or why there is neither. One request, no retries.

A server may send anything. What its headers say is taken where it makes sense, and what a file is, its bytes say.
"""

import ssl
import zlib
from dataclasses import dataclass

import aiohttp

from fromage_model.catalogue.pictures.hosts import retry_after_s
from fromage_model.errors import InvalidInput
from fromage_model.storage.files import too_large
from fromage_model.storage.image_kinds import HEAD_BYTES, PICTURES, kind_of

WITH_CONTENT = frozenset((200, 203))
REDIRECTS = frozenset((301, 302, 303, 307, 308))
WORTH_ANOTHER_TRY = frozenset((408, 425, 429, 500, 502, 503, 504))
NOT_MODIFIED = 304
# Servers that don't know a file's type send one of these. Where they send any other but image/*, the bytes must begin
# as a picture's do, before more of them are read.
UNTYPED = frozenset(("", "application/octet-stream", "binary/octet-stream", "application/x-download"))
UNPACKED = frozenset(("", "identity", "none"))
GZIP = b"\x1f\x8b"
# How zlib is told the form: gzip, and the two that servers send as `deflate`.
GZIP_FORM, DEFLATE_FORMS = 31, (15, -15)
BLOCK_BYTES = 1 << 16
MAX_VALIDATOR_CHARS = 1024
SHOWN_CHARS = 80


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
class Fetched:
    """What came: `data`, or `unchanged` where the server says that it is what it was, or the last `error`."""

    data: bytes | None
    error: Exception | None
    attempts: int = 1
    unchanged: bool = False
    etag: str | None = None
    last_modified: str | None = None


async def read_answer(response: aiohttp.ClientResponse, *, max_bytes: int) -> Fetched | str:
    """What came, or the `Location` that a redirect names, as it stands there. Raises FetchError."""
    named, status = response.headers, response.status
    if status in REDIRECTS:
        if location := named.get("Location", "").strip():
            return location
        raise DeadLink(f"HTTP status {status}, a redirect that does not say where to")
    asked = response.request_info.headers
    if status == NOT_MODIFIED and ("If-None-Match" in asked or "If-Modified-Since" in asked):
        return Fetched(None, None, unchanged=True)
    if status in WORTH_ANOTHER_TRY:
        asked_s = retry_after_s(named.get("Retry-After"))
        told = "" if asked_s is None else f", which asks to wait {asked_s:.0f} s"
        raise Unreachable(f"HTTP status {status}{told}", retry_after_s=asked_s)
    if status not in WITH_CONTENT:
        raise DeadLink(f"HTTP status {status}")
    data = await _picture(response, max_bytes)
    return Fetched(data, None, etag=_validator(named.get("ETag")), last_modified=_validator(named.get("Last-Modified")))


def explained(error: aiohttp.ClientError | OSError) -> FetchError:
    """What an exception of the HTTP client means for the picture."""
    said = getattr(error, "message", None) or getattr(error.__cause__, "message", None) or str(error)
    said = shown(said.partition("\n")[0].rstrip(":"))
    if isinstance(error, aiohttp.ConnectionTimeoutError | aiohttp.SocketTimeoutError):
        return Unreachable(f"no answer in time ({type(error).__name__})")
    if isinstance(error, aiohttp.InvalidURL):
        return FetchError(f"the URL can't be asked for: {said}")
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return FetchError(f"the connection is not secure: {error}")
    if isinstance(error, aiohttp.ClientPayloadError):
        return Unreachable(f"the answer broke off, or is malformed: {said}")
    if isinstance(error, aiohttp.ClientResponseError):
        return Unreachable(f"the server's answer is malformed: {said}")
    return Unreachable(f"the connection failed: {error or type(error).__name__}")


def shown(text: str) -> str:
    """What a server sent, short, and with its odd bytes in a form that can be written down."""
    return text[:SHOWN_CHARS].encode("utf-8", "backslashreplace").decode()


def _validator(value: str | None) -> str | None:
    """An ETag or date that can be kept and sent back; without one the picture is sent whole the next time."""
    plain = value is not None and value.isprintable() and len(value) <= MAX_VALIDATOR_CHARS
    return value if plain else None


async def _picture(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    """The body, unpacked where it is packed, at most `max_bytes` of either."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    coding = response.headers.get("Content-Encoding", "").strip().lower()
    doubtful = kind not in UNTYPED and not kind.startswith("image/")
    if (declared := response.content_length or 0) > max_bytes:
        raise FetchError(too_large(declared, max_bytes))
    body = bytearray()
    async for block in response.content.iter_chunked(BLOCK_BYTES):
        body += block
        if doubtful and coding in UNPACKED and len(body) >= HEAD_BYTES and not body.startswith(GZIP):
            _check_picture(body, kind)
            doubtful = False
        if len(body) > max_bytes:
            raise FetchError(too_large(len(body), max_bytes))
    data = _unpacked(bytes(body), coding, max_bytes)
    if doubtful:
        _check_picture(data, kind)
    return data


def _check_picture(data: bytes | bytearray, kind: str) -> None:
    found = kind_of(bytes(data[:HEAD_BYTES]))
    if found not in PICTURES:
        raise DeadLink(f"expected a picture, the server sent {shown(kind)}" + (f" ({found})" if found else ""))


def _unpacked(data: bytes, coding: str, max_bytes: int) -> bytes:
    """Some servers pack whatever they send, and some only say so: a body that begins as a picture does is one."""
    if kind_of(data) in PICTURES:
        return data
    forms = (GZIP_FORM,) if data.startswith(GZIP) else DEFLATE_FORMS if coding == "deflate" else ()
    for form in forms:
        packed = zlib.decompressobj(form)
        try:
            unpacked = packed.decompress(data, max_bytes + 1)
        except zlib.error:
            continue
        if len(unpacked) > max_bytes:
            raise FetchError(too_large(len(unpacked), max_bytes))
        if packed.eof:
            return unpacked
    if forms or coding not in UNPACKED:
        told = "in a way that does not unpack" if forms else "although asked not to"
        raise DeadLink(f"the server packed the picture ({shown(coding) or 'gzip'}), {told}")
    return data
