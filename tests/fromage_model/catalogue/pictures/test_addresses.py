"""An address is seen as what it is, however a URL writes it."""

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fromage_model.catalogue.pictures.addresses import AddressError, check_host, redirected, sendable

FULL_WIDTH = "2130706433".translate({ord(digit): ord(digit) + 0xFEE0 for digit in "0123456789"})


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1.", "127.0.0.1"),
        ("0x7f.1.", "127.0.0.1"),
        ("①②⑦.⓪.⓪.①", "127.0.0.1"),
        ("127。0。0。1", "127.0.0.1"),
        (FULL_WIDTH, "127.0.0.1"),
        ("[fec0::1]", "fec0::1"),
    ],
)
def test_a_private_address_is_refused_before_any_resolver_is_asked(host, address):
    with pytest.raises(AddressError, match=f"private address {address};"):
        check_host(sendable(f"http://{host}:80/a.png"), allow_private=False)
    check_host(sendable(f"http://{host}:80/a.png"), allow_private=True)


@pytest.mark.parametrize(
    ("host", "sent"),
    [("Bücher.example", "xn--bcher-kva.example"), ("shop.example.", "shop.example."), ("8.8", "8.0.0.8")],
)
def test_a_host_is_sent_as_idna_and_a_number_as_its_address(host, sent):
    assert sendable(f"http://{host}/a.png") == f"http://{sent}/a.png"
    check_host(sendable(f"http://{host}/a.png"), allow_private=False)


@given(
    st.sampled_from(["", "/", "//", "http://", "https://", "file://", "\\\\"]),
    st.binary(max_size=30) | st.lists(st.sampled_from(b"[]@:/\\?#%.0123456789\xc3\xa9 "), max_size=30).map(bytes),
)
@example("http://", b"[bad/")
@example("/", b"\xe9")
def test_a_redirect_leads_to_what_can_be_sent_or_is_refused(start, rest):
    location = start + rest.decode("utf-8", "surrogateescape")
    with suppress(AddressError):
        address = redirected("https://shop.example/a.png", location)
        assert address.isascii()
        assert address.startswith(("http://", "https://"))
        assert sendable(address) == address
        check_host(address, allow_private=False)
