"""An address is seen as what it is, however a URL writes it."""

import pytest

from fromage_model.catalogue.pictures.addresses import AddressError, check_host, sendable

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
