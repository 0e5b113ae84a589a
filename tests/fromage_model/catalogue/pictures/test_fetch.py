"""Pictures come from URLs within limits, and a URL can't reach this machine's own network."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import aiohappyeyeballs
import pytest

from fromage_model.catalogue.pictures import addresses
from fromage_model.catalogue.pictures.fetch import Fetched, Fetcher, FetchLimits, Wanted
from fromage_model.catalogue.pictures.hosts import Patience
from tests.fromage_model.catalogue.pictures.shop import LONG_AGO, Shop

SOON = Patience(attempts=3, first_pause_s=0.01, longest_pause_s=1.5)
QUICK = FetchLimits(max_bytes=1000, connect_s=20, read_s=20, total_s=20, patience=SOON)
ONCE = Patience(attempts=1)


@pytest.fixture
def shop() -> Iterator[ThreadingHTTPServer]:
    handler = type("ThisShop", (Shop,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        server.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield server
        server.shutdown()


@pytest.fixture
def fetcher() -> Iterator[Fetcher]:
    fetcher = Fetcher(limits=QUICK, allow_private=True)
    yield fetcher
    fetcher.close()


def test_a_picture_comes_from_a_url_and_the_connection_is_used_again(shop, fetcher):
    for _ in range(2):
        found = fetcher.fetch(f"{shop.url}/picture")
        assert (found.data, found.error, found.attempts) == (b"picture", None, 1)


@pytest.mark.parametrize(
    ("path", "reason", "attempts"),
    [
        ("missing", "status 404", 1),
        ("broken", "status 500", 3),
        ("huge", "2,000 bytes", 1),
        ("page", "expected a picture, the server sent text/html", 1),
        ("packed", r"packed the picture (gzip)", 1),
        ("circle", "redirects go in a circle", 1),
        ("come/3600", "status 429, which asks to wait 3600 s", 1),
        ("endless", "at most 1,000", 1),
        ("away?ftp://example.org/a.png", "got ftp://", 1),
        ("away?file:///etc/passwd", "got file://", 1),
    ],
)
def test_a_url_without_a_picture_is_an_error_with_its_reason(shop, fetcher, path, reason, attempts):
    found = fetcher.fetch(f"{shop.url}/{path}")
    assert found.data is None
    assert reason in str(found.error)
    assert found.attempts == attempts


def test_a_busy_server_is_asked_again(shop, fetcher):
    found = fetcher.fetch(f"{shop.url}/busy")
    assert (found.data, found.attempts) == (b"at last", 3)


@pytest.mark.parametrize("path", ["come/1", "come/1?date"])
def test_a_pause_that_a_server_asks_for_is_kept(shop, fetcher, path):
    start_s = time.monotonic()
    found = fetcher.fetch(f"{shop.url}/{path}")
    assert (found.data, found.attempts) == (b"at last", 2)
    # A date has no fractions of seconds, and so may name a moment up to a second too early.
    assert time.monotonic() - start_s >= (0.9 if path == "come/1" else 0)


def test_the_whole_host_gets_the_pause_that_it_asks_for(shop, fetcher):
    start_s = time.monotonic()
    late = threading.Thread(target=fetcher.fetch, args=(f"{shop.url}/come/1?again",))
    late.start()
    while "/come/1?again" not in shop.RequestHandlerClass.asked:
        time.sleep(0.01)
    time.sleep(0.1)
    assert fetcher.fetch(f"{shop.url}/picture").data == b"picture"
    assert time.monotonic() - start_s >= 0.9
    late.join()


def test_what_did_not_change_is_not_sent_again(shop, fetcher):
    first = fetcher.fetch(f"{shop.url}/known")
    assert (first.data, first.etag, first.last_modified) == (b"picture", '"v1"', LONG_AGO)
    asks = [Wanted(f"{shop.url}/known", etag='"v1"'), Wanted(f"{shop.url}/known", last_modified=LONG_AGO)]
    asks.append(Wanted(f"{shop.url}/known", etag='"v0"'))
    found = fetcher.each(asks, lambda number, found: found)
    assert [(one.data, one.unchanged) for one in found] == [(None, True), (None, True), (b"picture", False)]


def test_a_file_whose_type_the_server_does_not_know_is_read(shop, fetcher):
    assert fetcher.fetch(f"{shop.url}/untyped").data == b"picture"


@pytest.mark.parametrize(("limits", "most"), [({"per_host": 3}, 3), ({"per_host": 9, "at_once": 2}, 2)])
def test_no_more_requests_run_at_a_time_than_are_allowed(shop, limits, most):
    fetcher = Fetcher(limits=FetchLimits(**limits), allow_private=True)
    found = fetcher.each([Wanted(f"{shop.url}/slow")] * 12, lambda number, found: found.data)
    assert found == [b"picture"] * 12
    assert shop.RequestHandlerClass.most == most


def test_a_host_that_is_silent_keeps_no_other_waiting(shop):
    """Its requests wait for their turns without holding places."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent:
        limits = FetchLimits(read_s=0.3, total_s=0.3, patience=ONCE, per_host=1, at_once=2)
        fetcher = Fetcher(limits=limits, allow_private=True)
        wanted = [Wanted(f"http://127.0.0.1:{silent.getsockname()[1]}/{number}") for number in range(3)]
        ended: list[str] = []

        def note(number: int, found: Fetched | None) -> str:
            ended.append(str(found.error or found.data))
            return ended[-1]

        fetcher.each([*wanted, Wanted(f"{shop.url}/picture")], note)
    assert ended[0] == "b'picture'"
    assert all("in time" in error for error in ended[1:])
    assert len(ended) == 4


def test_what_goes_wrong_with_a_picture_is_raised_to_who_asked(shop, fetcher):
    def fail(number: int, found: Fetched | None) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fetcher.each([Wanted(f"{shop.url}/picture")] * 3, fail)


def test_five_redirects_are_followed_and_no_more(shop, fetcher):
    assert fetcher.fetch(f"{shop.url}/hop/4").data == b"picture"
    assert "more than 5 redirects" in str(fetcher.fetch(f"{shop.url}/hop/5").error)


def test_a_server_that_drips_is_left_when_time_is_up(shop):
    limits = FetchLimits(read_s=5, total_s=0.5, patience=ONCE)
    start_s = time.monotonic()
    found = Fetcher(limits=limits, allow_private=True).fetch(f"{shop.url}/drip")
    assert "in time" in str(found.error)
    assert time.monotonic() - start_s < 5


def test_a_server_that_is_not_there_is_an_error(fetcher):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = fetcher.fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/a.png")
    assert "connection failed" in str(found.error)
    assert found.attempts == 3


@pytest.mark.parametrize(
    "url",
    ["http://", "http:///a.png", "https://[::1", "http://a:99999/", "ftp://a/b", "javascript://a", "http://a..b/c"],
)
def test_what_is_no_url_is_an_error(fetcher, url):
    found = fetcher.fetch(url)
    assert found.data is None
    assert found.error is not None


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "127.0.0.1."]
)
def test_this_machine_is_refused_however_it_is_written(shop, host):
    port = shop.server_address[1]
    found = Fetcher(limits=QUICK).fetch(f"http://{host}:{port}/picture")
    assert "private address" in str(found.error)
    assert shop.RequestHandlerClass.asked == []


def test_a_redirect_to_a_private_address_is_refused_at_its_hop(shop, monkeypatch):
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1")
    port = shop.server_address[1]
    found = Fetcher(limits=QUICK).fetch(f"{shop.url}/away?http://127.0.0.2:{port}/picture")
    assert "private address 127.0.0.2" in str(found.error)
    assert len(shop.RequestHandlerClass.asked) == 1


def test_a_host_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: answers)
    assert "private address 10.0.0.1" in str(Fetcher(limits=QUICK).fetch("http://shop.test/a.png").error)


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch):
    """A name that resolves to something else the second time (DNS rebinding) is not asked about a second time."""
    asked, connected = [], []

    def resolve(host, *args, **kwargs):
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    async def connect(addr_infos, **kwargs):
        connected.extend(info[4][0] for info in addr_infos)
        raise OSError(113, "far away")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(aiohappyeyeballs, "start_connection", connect)
    assert "far away" in str(Fetcher(limits=FetchLimits(patience=ONCE)).fetch("http://shop.test/a.png").error)
    assert (asked, connected) == (["shop.test"], ["93.184.216.34"])


def test_a_url_with_other_letters_and_a_secret_is_sent_clean(shop, fetcher):
    port = shop.server_address[1]
    assert fetcher.fetch(f"http://me:secret@127.0.0.1:{port}/picture/Kleid für Gäste?grün=1#teil").data == b"picture"
    assert fetcher.fetch(f"http://127.0.0.1:{port}/picture/50% off%20now.png ").data == b"picture"
    asked = ["/picture/Kleid%20f%C3%BCr%20G%C3%A4ste?gr%C3%BCn=1", "/picture/50%25%20off%20now.png"]
    assert shop.RequestHandlerClass.asked == asked
