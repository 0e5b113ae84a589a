"""Who may be asked, how often, and when again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fromage_model.catalogue.pictures.addresses import is_public
from fromage_model.catalogue.pictures.hosts import LONGEST_ASKED_S, Patience, retry_after_s

DATES = st.from_regex(
    r"([A-Z][a-z]{2}, )?\d{1,20} (Jan|Nov|Foo) -?\d{1,20}"
    r"( \d{1,20}:\d{1,20}(:\d{1,20})?)?( [+-]?\w{0,9})?"
)


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


def test_pauses_double_up_to_a_limit_and_are_never_all_alike():
    patience = Patience(attempts=6, first_pause_s=1.0, longest_pause_s=5.0)
    for attempt, whole_s in [(1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (5, 5.0)]:
        drawn = {patience.pause_s(attempt) for _ in range(50)}
        assert whole_s / 2 <= min(drawn) < max(drawn) <= whole_s
    assert patience.pause_s(6) is None


def test_a_pause_that_is_asked_for_is_kept_unless_it_is_too_long():
    patience = Patience(attempts=3, first_pause_s=0.1, longest_pause_s=5.0)
    assert patience.pause_s(1, asked_s=4.0) == 4.0
    assert patience.pause_s(1, asked_s=0.0) >= 0.05
    assert patience.pause_s(1, asked_s=5.1) is None
    assert patience.pause_s(3, asked_s=1.0) is None


def test_retry_after_is_seconds_or_a_date():
    soon = datetime.now(UTC) + timedelta(seconds=100)
    assert retry_after_s("120") == 120.0
    assert retry_after_s(format_datetime(soon, usegmt=True)) == pytest.approx(100, abs=2)
    assert retry_after_s("Sat, 01 Jan 2000 00:00:00 GMT") == 0.0
    assert [retry_after_s(value) for value in (None, "", "tomorrow", "-5")] == [None] * 4


@pytest.mark.parametrize(
    "value",
    ["Sunday, 06-Nov-2094 08:49:37 GMT", "Tue Nov  6 08:49:37 2094", "Sat, 06 Nov 2094 08:49:37 +0100", "9" * 5000],
)
def test_what_lies_far_ahead_is_a_year(value):
    """The three forms of dates that RFC 9110 has, a zone of another clock, and any number."""
    assert retry_after_s(value) == LONGEST_ASKED_S


@given(st.text() | DATES | st.from_regex(r"[-+]?\d{1,400}(\.\d)?"))
@example("Sun, 06 Nov 99999999999999999999 08:49:37 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
@example("\u00b2")
@example(",")
def test_no_retry_after_is_more_than_a_year_or_an_exception(value):
    asked_s = retry_after_s(value)
    assert asked_s is None or 0 <= asked_s <= LONGEST_ASKED_S
