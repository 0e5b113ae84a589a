"""No picture file costs more than pictures may, whatever it claims or holds; each is refused with a reason, or read."""

import subprocess
import sys
import warnings

import pytest
from fastapi.testclient import TestClient

from tests.services.attacks.asking import check_refused
from tests.services.attacks.files import BOMBS, HARMLESS, NO_PICTURES, as_url, file_of
from tests.services.http.chatting import CHAT, picture

MOST_MIB = 100
"""That decoding any of them may add to a process."""


def ask(client: TestClient, url: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return client.post(CHAT, json={"messages": [{"role": "user", "content": [picture(url)]}]})


@pytest.mark.parametrize("name", [*BOMBS, *NO_PICTURES])
def test_a_file_that_is_a_bomb_or_no_picture_is_refused(client, name):
    error = check_refused(ask(client, as_url(file_of(name))))
    assert (error["code"], error["param"]) == ("invalid_image", "messages.0.content.0.image_url.url")


@pytest.mark.parametrize("name", HARMLESS)
def test_a_file_that_hides_something_is_read_as_the_small_picture_that_it_is(client, name):
    assert ask(client, as_url(file_of(name))).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/svg+xml,<svg/>",
        "data:image/png,plain",
        "data:image/png;base64,\x00",
        "data:image/png;base64," + "A" * 5,
        "data:;base64,",
        "data:",
        "",
        "javascript:alert(1)",
        "blob:https://shop.example/a",
        "file:///etc/passwd",
        "s3://bucket/a.png",
        "/etc/passwd",
    ],
)
def test_a_url_that_is_no_picture_is_refused(client, url):
    assert check_refused(ask(client, url))["code"] == "invalid_image"


def test_what_a_bomb_unpacks_to_never_comes_into_memory(tmp_path):
    names = sorted(BOMBS | HARMLESS)
    for number, name in enumerate(names):
        (tmp_path / str(number)).write_bytes(file_of(name))
    command = [sys.executable, "-W", "ignore", "-m", "tests.services.attacks.growth", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines()]
    grown = {names[int(number)]: int(mib) for mib, number in lines}
    assert sorted(grown) == names, done.stderr
    assert {name: mib for name, mib in grown.items() if mib > MOST_MIB} == {}
