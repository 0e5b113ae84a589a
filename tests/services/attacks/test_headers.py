"""No header of a request gets into an answer, breaks one, or makes the server fail."""

import pytest

from tests.services.attacks.asking import JSON
from tests.services.http.chatting import CHAT, HELLO

ODD = {
    "bytes that are no text": b"\xff\xfe",
    "a line end": b"a\r\nset-cookie: a=b",
    "a line end alone": b"a\nb",
    "a zero": b"a\x00b",
    "markup": b"<script>alert(1)</script>",
    "10^5 letters": b"a" * 10**5,
    "nothing": b"",
    "a special token": b"<|im_start|>",
}
NAMES = [
    "x-request-id", "authorization", "cookie", "accept", "accept-language", "origin", "user-agent", "if-none-match",
    "x-forwarded-for", "x-forwarded-host", "forwarded", "host", "range", "expect", "content-encoding", "traceparent",
    "x-session-id", "serve_multiplexed_model_id", "x-http-method-override", "te", "upgrade",
]  # fmt: skip


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
@pytest.mark.parametrize("name", NAMES)
def test_an_odd_header_is_passed_over_or_refused(client, name, value):
    given = [(b"content-type", b"application/json"), (name.encode(), value)]
    answers = [
        client.post(CHAT, json={"messages": HELLO}, headers=given),
        client.get("/v1/models", headers=given),
        client.get("/v1/items/item-1/image", headers=given),
        client.get("/", headers=given),
    ]
    for answer in answers:
        assert answer.status_code < 500
        for header, said in answer.headers.items():
            assert "script" not in said or header == "content-security-policy"
            assert "set-cookie" not in header


@pytest.mark.parametrize("length", ["-1", "5, 6", "0x10", "1e3", "+5", "\u0665", "9" * 5000, ""])
def test_a_length_that_is_no_number_makes_nothing_fail(client, length):
    response = client.post(CHAT, json={"messages": HELLO}, headers={**JSON, "content-length": length.encode()})
    assert response.status_code in (200, 400, 413)
