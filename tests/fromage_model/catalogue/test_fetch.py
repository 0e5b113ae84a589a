"""Pictures come from files and URLs within limits, and a URL can't reach this machine's own network."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore
import pytest

from fromage_model.catalogue import fetch
from fromage_model.catalogue.fetch import Fetcher, FetchLimits, is_public

QUICK = FetchLimits(max_bytes=1000, connect_s=2, read_s=2, total_s=2, pauses_s=(0.01, 0.01))


class Shop(BaseHTTPRequestHandler):
    """Answers by path; `asked` lists the paths that were asked for."""

    asked: list[str]
    flaky = 0

    def do_GET(self):
        type(self).asked.append(self.path)
        getattr(self, self.path.strip("/").partition("?")[0].partition("/")[0], self.missing)()

    def answer(self, status: int, body: bytes = b"", **headers: str):
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def picture(self):
        self.answer(200, b"picture")

    def missing(self):
        self.answer(404)

    def busy(self):
        type(self).flaky += 1
        self.answer(*((503,) if type(self).flaky < 3 else (200, b"at last")))

    def broken(self):
        self.answer(500)

    def hop(self):
        left = int(self.path.rpartition("/")[2])
        self.answer(302, Location="/picture" if left == 0 else f"/hop/{left - 1}")

    def away(self):
        self.answer(301, Location=self.path.partition("?")[2])

    def huge(self):
        self.answer(200, b"x" * 2000)

    def endless(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 100)
        except OSError:
            self.close_connection = True

    def drip(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                time.sleep(0.1)
        except OSError:
            self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def shop() -> Iterator[ThreadingHTTPServer]:
    handler = type("ThisShop", (Shop,), {"asked": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
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


def test_a_picture_comes_from_a_file(tmp_path, fetcher):
    (tmp_path / "a.png").write_bytes(b"picture")
    assert fetcher.fetch(str(tmp_path / "a.png")).data == b"picture"


def test_what_is_no_readable_file_is_an_error_with_its_reason(tmp_path, fetcher):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"x" * 1001)
    for path, reason in [
        (tmp_path / "absent", "No such file"),
        (tmp_path, "not a file"),
        (tmp_path / "pipe", "not a file"),
        (tmp_path / "large", "1,001 bytes"),
        ("nul\0byte", "null byte"),
    ]:
        found = fetcher.fetch(str(path))
        assert found.data is None
        assert reason in str(found.error)


@pytest.mark.parametrize(
    ("path", "reason", "attempts"),
    [
        ("missing", "status 404", 1),
        ("broken", "status 500", 3),
        ("huge", "2,000 bytes", 1),
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


def test_five_redirects_are_followed_and_no_more(shop, fetcher):
    assert fetcher.fetch(f"{shop.url}/hop/4").data == b"picture"
    assert "more than 5 redirects" in str(fetcher.fetch(f"{shop.url}/hop/5").error)


def test_a_server_that_drips_is_left_when_time_is_up(shop):
    limits = FetchLimits(read_s=5, total_s=0.5, pauses_s=())
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
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
def test_this_machine_is_refused_however_it_is_written(shop, host):
    port = shop.server_address[1]
    found = Fetcher(limits=QUICK).fetch(f"http://{host}:{port}/picture")
    assert "private address" in str(found.error)
    assert shop.RequestHandlerClass.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "127.8.8.8", "0.0.0.0", "224.0.0.1",
        "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1",
        "ff02::1", "2001:db8::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public_are_known(address):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
)
def test_public_addresses_are_known(address):
    assert is_public(address)


def test_a_redirect_to_a_private_address_is_refused_at_its_hop(shop, monkeypatch):
    monkeypatch.setattr(fetch, "is_public", lambda address: address == "127.0.0.1")
    port = shop.server_address[1]
    found = Fetcher(limits=QUICK).fetch(f"{shop.url}/away?http://127.0.0.2:{port}/picture")
    assert "private address 127.0.0.2" in str(found.error)
    assert len(shop.RequestHandlerClass.asked) == 1


def test_a_host_with_one_private_address_among_public_ones_is_refused(monkeypatch):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "10.0.0.1")]
    monkeypatch.setattr(fetch.socket, "getaddrinfo", lambda *args, **kwargs: answers)
    assert "private address 10.0.0.1" in str(Fetcher(limits=QUICK).fetch("http://shop.test/a.png").error)


def test_the_address_that_was_checked_is_the_one_connected_to(monkeypatch):
    """A name that resolves to something else the second time (DNS rebinding) is not asked about a second time."""
    asked, connected = [], []

    def resolve(host, *args, **kwargs):
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))]

    def connect(self, host, *args, **kwargs):
        connected.append(host)
        raise httpcore.ConnectError("far away")

    monkeypatch.setattr(fetch.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    limits = FetchLimits(pauses_s=())
    assert "far away" in str(Fetcher(limits=limits).fetch("http://shop.test/a.png").error)
    assert (asked, connected) == (["shop.test"], ["93.184.216.34"])


def test_a_url_with_other_letters_and_a_secret_is_sent_clean(shop, fetcher):
    port = shop.server_address[1]
    assert fetcher.fetch(f"http://me:secret@127.0.0.1:{port}/picture/Kleid für Gäste?grün=1#teil").data == b"picture"
    assert shop.RequestHandlerClass.asked == ["/picture/Kleid%20f%C3%BCr%20G%C3%A4ste?gr%C3%BCn=1"]
