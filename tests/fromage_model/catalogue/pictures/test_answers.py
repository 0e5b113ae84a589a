"""Whatever a server answers is one URL's picture or that URL's failure, with its reason, and no exception."""

import gzip
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fromage_model.catalogue.pictures import fetch
from fromage_model.catalogue.pictures.answers import MAX_VALIDATOR_CHARS
from fromage_model.catalogue.pictures.fetch import Fetched, Fetcher, FetchLimits, Wanted
from fromage_model.catalogue.pictures.hosts import Patience
from tests.pictures import png
from tests.raw_server import RawServer, answer, open_raw_server

PNG = png()
MAX_BYTES = 100_000
ONCE = Patience(attempts=1, longest_pause_s=1)
FOUND = b"302 Found"


@pytest.fixture(scope="module")
def server() -> Iterator[RawServer]:
    with open_raw_server() as server:
        yield server


@pytest.fixture(scope="module")
def fetcher() -> Iterator[Fetcher]:
    fetcher = Fetcher(limits=FetchLimits(max_bytes=MAX_BYTES, read_s=5, total_s=20, patience=ONCE), allow_private=True)
    yield fetcher
    fetcher.close()


@pytest.fixture
def came(server, fetcher):
    """Bytes of an answer -> what the fetcher makes of them, twice: the second time with the validators of the first."""

    def of(sent: bytes) -> Fetched:
        server.answers = {"/a": sent, "/ok": answer(PNG), "/ok/%E9": answer(PNG), "/ok/%C3%A9": answer(PNG)}
        first = fetcher.fetch(f"{server.url}/a")
        wanted = Wanted(f"{server.url}/a", etag=first.etag, last_modified=first.last_modified)
        (second,) = fetcher.each([wanted], lambda number, fetched: fetched)
        assert (second.data, str(second.error)) == (first.data, str(first.error))
        return first

    return of


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(data), data)


@pytest.mark.parametrize(
    "headers",
    [
        [b'ETag: "caf\xe9"'],
        [b"ETag: no quotes", b"Last-Modified: never"],
        [b"ETag:", b"Last-Modified: \xff"],
        [b'ETag: "' + b"x" * 6000 + b'"'],
        [b"X-Large: " + b"a" * 20_000],
        [b"X-Many-%d: a" % number for number in range(200)],
        [b"X-Odd: \x01\xff", b" folded", b"Set-Cookie: \xfe; =", b"Connection: \xe9"],
        [b"Content-Type: text/plain"],
        [b"Content-Type: application/image"],
        [b"Content-Type: jpg"],
        [b"Content-Type: "],
        [b"Content-Type: text/html", b"Content-Type: image/png"],
        [b"Content-Type: \xe9/\xe9"],
        [b"Content-Encoding: gzip"],
        [b"Content-Encoding: Identity"],
        [b"Content-Encoding: utf-8"],
        [b"Content-Encoding: br"],
        [b"Upgrade: h2c", b"Connection: Upgrade"],
    ],
)
def test_a_good_picture_is_kept_whatever_stands_beside_it(came, headers):
    found = came(answer(PNG, *headers))
    assert (found.data, found.error, found.attempts) == (PNG, None, 1)
    for validator in (found.etag, found.last_modified):
        assert validator is None or (validator.isprintable() and len(validator) <= MAX_VALIDATOR_CHARS)


@pytest.mark.parametrize(
    "sent",
    [
        answer(PNG, status=b"203 Not as it was"),
        answer(PNG, status=b"200"),
        answer(PNG, status=b"200 \xe9t\xe9"),
        answer(PNG, length=False),
        answer(PNG, b"Transfer-Encoding: identity", length=False),
        answer(PNG).replace(b"HTTP/1.1", b"HTTP/1.0"),
        b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n" + answer(PNG),
        answer(chunked(PNG), b"Transfer-Encoding: chunked", length=False),
        answer(gzip.compress(PNG), b"Content-Encoding: gzip"),
        answer(gzip.compress(PNG), b"Content-Type: text/plain", b"Content-Encoding: x-gzip"),
        answer(gzip.compress(PNG), b"Transfer-Encoding: gzip", length=False),
        answer(gzip.compress(PNG)),
        answer(zlib.compress(PNG), b"Content-Encoding: deflate"),
        answer(zlib.compress(PNG, wbits=-15), b"Content-Encoding: deflate"),
    ],
)
def test_a_good_picture_is_kept_however_it_is_sent(came, sent):
    assert came(sent).data == PNG


@pytest.mark.parametrize(
    "location",
    [
        b"/ok",
        b"ok",
        b"  /ok ",
        b"/ok#part",
        b"\\ok",
        b"/o\tk",
        b"/ok/\xe9",
        "/ok/é".encode(),
        b"/ok/%C3%A9",
        b"/ok?\xe9",
    ],
)
def test_a_redirect_is_followed_as_browsers_do(came, location):
    assert came(answer(b"", b"Location: " + location, status=FOUND)).data == PNG


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        (b"http://[bad/", "redirect leads nowhere: Invalid IPv6 URL"),
        (b"http://a:99999999/", "redirect leads nowhere: not a URL: Port out of range"),
        (b"http://\xff\xfe.example/", "redirect leads nowhere: not a URL"),
        (b"http://" + b"a" * 70 + b".example/", "redirect leads nowhere: not a URL"),
        (b"javascript:alert(1)", "redirect leads nowhere: expected http:// or https://"),
        (b"file:///etc/passwd", "got file://"),
        (b"data:image/png;base64,AAAA", "got data:"),
        (b"", "a redirect that does not say where to"),
        (b"#", "go in a circle"),
        (b"/a", "go in a circle"),
    ],
)
def test_a_redirect_that_leads_nowhere_is_refused_with_its_reason(came, location, reason):
    found = came(answer(b"", b"Location: " + location, status=FOUND))
    assert found.data is None
    assert reason in str(found.error)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer(PNG, b"Content-Length: -5", length=False), "malformed: Invalid character in Content-Length"),
        (answer(PNG, b"Content-Length: " + b"9" * 5000, length=False), "malformed: Content-Length overflow"),
        (answer(PNG, b"Content-Length: 7"), "malformed: Duplicate Content-Length"),
        (answer(PNG, b"Content-Length: %d" % (len(PNG) + 9), length=False), "broke off"),
        (answer(PNG, b"Content-Length: 900000", length=False), "900,000 bytes or more, at most"),
        (answer(chunked(PNG)[:20], b"Transfer-Encoding: chunked", length=False), "broke off"),
        (answer(b"zz\r\n" + PNG, b"Transfer-Encoding: chunked", length=False), "malformed: Invalid character in chunk"),
        (answer(PNG, b"X-Large: " + b"a" * 2_000_000), "malformed: Got more than 102400 bytes"),
        (answer(PNG, *[b"X-Many: a"] * 5000), "malformed: Too many headers"),
        (answer(PNG, b"No colon here"), "malformed: Invalid header token"),
        (answer(PNG, b"X-Nul: a\0b"), "malformed: Invalid HTTP header"),
        (answer(PNG, status=b"abc"), "malformed: Bad status line"),
        (answer(PNG, status=b"999 odd"), "HTTP status 999"),
        (answer(PNG, status=b"206 Partial"), "HTTP status 206"),
        (answer(status=b"304 Not Modified"), "HTTP status 304"),
        (PNG, "malformed: Bad status line"),
        (b"", "connection failed: Server disconnected"),
        (answer(gzip.compress(bytes(10_000_000)), b"Content-Encoding: gzip"), "100,001 bytes or more, at most"),
        (answer(gzip.compress(PNG)[:-20], b"Content-Encoding: gzip"), "(gzip), in a way that does not unpack"),
        (answer(b"\xff\xff\xff", b"Content-Encoding: deflate"), "(deflate), in a way that does not unpack"),
        (answer(b"\x0b\x02\x80", b"Content-Encoding: br"), "packed the picture (br), although asked not to"),
        (answer(b"<!doctype html>", b"Content-Type: text/plain"), "sent text/plain (an HTML page)"),
        (answer(b"sold out", b"Content-Type: \xe9/\xe9"), r"the server sent \udce9/\udce9"),
        (answer(b"sold out" * 10_000, b"Content-Type: jpg"), "expected a picture, the server sent jpg"),
        (answer(gzip.compress(b"<html>"), b"Content-Type: text/html", b"Content-Encoding: gzip"), "(an HTML page)"),
    ],
)  # fmt: skip
def test_an_answer_without_a_whole_picture_is_refused_with_its_reason(came, sent, reason):
    found = came(sent)
    assert found.data is None
    assert reason in str(found.error)
    assert str(found.error).encode()


@pytest.mark.parametrize("asked", [b"Sun, 06 Nov 99999999999999999999 08:49:37 GMT", b"9" * 5000, b"-1", b"\xb2", b","])
def test_a_pause_that_makes_no_sense_is_no_more_than_a_busy_server(came, asked):
    found = came(answer(b"", b"Retry-After: " + asked, status=b"503 Busy"))
    assert str(found.error).startswith("HTTP status 503")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from([b"200 OK", b"302 Found", b"429 Busy", b"503 Busy", b"304 x", b"404 No"]) | st.binary(),
    name=st.sampled_from([b"Location", b"ETag", b"Last-Modified", b"Content-Type", b"Content-Encoding", b"Retry-After",
                          b"Content-Length", b"Transfer-Encoding", b"Connection", b"Upgrade"]) | st.binary(),
    value=st.binary() | st.text(alphabet="http:/[]@%#?.,;0123456789 -\\\"Wgzipé\ud7ff", max_size=30).map(str.encode),
    body=st.sampled_from([PNG, b"", gzip.compress(PNG), chunked(PNG)]) | st.binary(),
    length=st.booleans(),
)  # fmt: skip
def test_no_answer_at_all_makes_the_fetcher_raise(server, fetcher, status, name, value, body, length):
    server.answers = {path: answer(body, name + b": " + value, status=status, length=length) for path in ("/a", "/")}
    server.refuses_others = True
    found = fetcher.fetch(f"{server.url}/a")
    server.refuses_others = False
    assert (found.data is None) != (found.error is None)
    for text in (str(found.error), found.etag, found.last_modified):
        assert text is None or text.encode() is not None


def test_what_nobody_foresaw_is_the_failure_of_its_url_alone(server, fetcher, monkeypatch):
    """The promise does not rest on a list of what may go wrong."""
    server.answers = {"/a": answer(PNG), "/b": answer(PNG)}
    real = fetch.read_answer

    async def unforeseen(response, **limits):
        if response.url.path == "/a":
            raise RecursionError("nobody foresaw \udce9")
        return await real(response, **limits)

    monkeypatch.setattr(fetch, "read_answer", unforeseen)
    bad, good = fetcher.each([Wanted(f"{server.url}/{name}") for name in "ab"], lambda number, fetched: fetched)
    assert (bad.data, type(bad.error).__name__, good.data) == (None, "Unreachable", PNG)
    assert str(bad.error) == r"the answer could not be read: RecursionError: nobody foresaw \udce9"
