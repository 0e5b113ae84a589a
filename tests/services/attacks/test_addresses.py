"""A picture's address never leads into a network of ours, whatever its form, and tells nothing of what is there.

Every connection of the tests ends at one server here, wherever it was for: what counts is where it was for.
"""

import socket
from collections.abc import Iterator
from typing import Any

import aiohappyeyeballs
import pytest
from fastapi.testclient import TestClient

from services.answering.pictures import RemoteAccess, RemotePictures
from tests.pictures import png
from tests.raw_server import RawServer, answer, open_raw_server
from tests.services.attacks.asking import app_client, check_refused
from tests.services.http.chatting import CHAT, picture

PUBLIC = "93.184.216.34"
INSIDE = [
    "127.0.0.1", "127.1", "127.0.0.1.", "0.0.0.0", "0", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1",
    "017700000001", "127.0.0.1%00", "\u0661\u0662\u0667.0.0.1", "①②⑦.⓪.⓪.①", "localhost", "LOCALHOST.",
    "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "2852039166", "0xa9fea9fe",
    "168.63.129.16", "100.100.100.200", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
    "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:a9fe:a9fe]",
    "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]",
]  # fmt: skip
DISGUISED = [
    f"http://{PUBLIC}@127.0.0.1/a", f"http://{PUBLIC}:80@127.0.0.1/a", f"http://127.0.0.1#@{PUBLIC}/a",
    f"http://127.0.0.1?@{PUBLIC}/a", f"http://127.0.0.1\\@{PUBLIC}/a", f"http://{PUBLIC}\\@127.0.0.1/a",
    "HTTP://127.0.0.1/a", " http://127.0.0.1/a", "http:/\\127.0.0.1/a", "http://127.0.0.1\t/a", "http://127.0.0.1\n/a",
    "http:127.0.0.1/a", "http:///127.0.0.1/a", "https://127.0.0.1/a", "http://[::1]:80/a", f"http://{PUBLIC}:22/a",
    f"http://{PUBLIC}:6379/a", f"http://{PUBLIC}:99999/a", "http://", "http://[", "ftp://127.0.0.1/a",
    "gopher://127.0.0.1/a", "file:///etc/passwd", "dict://127.0.0.1/a", f"http://{PUBLIC}/\r\nHost: 127.0.0.1",
]  # fmt: skip


class Internet:
    """`names`: the addresses of each name, a list for each time that it is asked about. `connected`: where to."""

    def __init__(self, server: RawServer):
        self.server = server
        self.names: dict[str, list[list[str]]] = {}
        self.connected: list[str] = []

    def resolve(self, host: str, *_: Any, **__: Any) -> list[Any]:
        answers = self.names.get(host, [["127.0.0.1"] if "localhost" in host.lower() else []])
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "no such host")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in found]


@pytest.fixture(scope="module")
def mapped() -> Iterator[Internet]:
    with open_raw_server() as server, pytest.MonkeyPatch.context() as patched:
        internet = Internet(server)
        connect = aiohappyeyeballs.start_connection
        host, port = server.url.removeprefix("http://").split(":")

        async def here(addr_infos: Any, **options: Any) -> socket.socket:
            internet.connected += [info[4][0] for info in addr_infos]
            return await connect([(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, int(port)))], **options)

        patched.setattr(aiohappyeyeballs, "start_connection", here)
        patched.setattr(socket, "getaddrinfo", internet.resolve)
        yield internet


@pytest.fixture
def internet(mapped: Internet) -> Internet:
    """As nobody has asked it anything yet."""
    mapped.names, mapped.connected = {}, []
    mapped.server.answers, mapped.server.asked, mapped.server.refuses_others = {"/a.png": answer(png())}, [], True
    return mapped


@pytest.fixture(scope="module")
def remote(mapped: Internet) -> Iterator[TestClient]:
    pictures = RemotePictures(RemoteAccess(timeout_s=5))
    with app_client(remote=pictures) as client:
        yield client
    pictures.close()


def ask(client: TestClient, url: str):
    return client.post(CHAT, json={"messages": [{"role": "user", "content": [picture(url)]}]})


def test_a_public_address_is_asked(remote, internet):
    assert ask(remote, f"http://{PUBLIC}/a.png").status_code == 200
    assert internet.connected == [PUBLIC]


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_of_ours_is_never_asked_however_it_is_written(remote, internet, host):
    assert check_refused(ask(remote, f"http://{host}/a.png"))["code"] == "invalid_image"
    assert (internet.connected, internet.server.asked) == ([], [])


@pytest.mark.parametrize("url", DISGUISED)
def test_an_address_in_disguise_leads_nowhere_but_to_where_it_says(remote, internet, url):
    check_refused(ask(remote, url))
    assert set(internet.connected) <= {PUBLIC}


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"303 See", b"307 Temporary", b"308 Permanent"])
@pytest.mark.parametrize(
    "to", ["http://127.0.0.1/a.png", "//[::1]/a.png", "http://2130706433/a.png", "file:///etc/passwd", "s3://b/a.png"]
)
def test_a_redirect_into_our_network_is_not_followed(remote, internet, to, status):
    internet.server.answers["/away"] = answer(b"", b"Location: " + to.encode(), status=status)
    check_refused(ask(remote, f"http://{PUBLIC}/away"))
    assert (internet.connected, internet.server.asked) == ([PUBLIC], [b"/away"])


def test_the_last_of_several_redirects_is_looked_at_like_the_first(remote, internet):
    internet.server.answers["/1"] = answer(b"", b"Location: /2", status=b"302 Found")
    internet.server.answers["/2"] = answer(b"", b"Location: http://shop.test/a.png", status=b"302 Found")
    internet.names["shop.test"] = [["10.0.0.1"]]
    check_refused(ask(remote, f"http://{PUBLIC}/1"))
    assert internet.server.asked == [b"/1", b"/2"]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["169.254.169.254"]])
def test_a_name_that_is_an_address_of_ours_is_not_asked(remote, internet, addresses):
    internet.names["inside.test"] = [addresses]
    check_refused(ask(remote, "http://inside.test/a.png"))
    assert internet.connected == []


def test_a_name_that_becomes_another_address_is_asked_at_the_one_that_was_looked_at(remote, internet):
    internet.names["turns.test"] = [[PUBLIC], ["127.0.0.1"]]
    assert ask(remote, "http://turns.test/a.png").status_code == 200
    internet.server.answers["/b.png"] = answer(png("blue"))
    ask(remote, "http://turns.test/b.png")
    assert set(internet.connected) == {PUBLIC}


def test_what_a_stranger_hears_is_the_same_whether_or_not_something_is_there(remote):
    told = {
        check_refused(ask(remote, url))["message"]
        for url in ("http://127.0.0.1/a", "http://10.0.0.1/a", "http://nothing.test/a", f"http://{PUBLIC}/closed")
    }
    assert len(told) == 1
