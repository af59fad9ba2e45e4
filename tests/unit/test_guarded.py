"""Which addresses may be called, and what an address says of itself."""

from __future__ import annotations

import pytest

from waypost.platform.guarded import Guard

INSIDE = (
    "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # noqa: S104
    "169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "192.88.99.1", "198.18.0.1",
    "203.0.113.9", "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "2002:7f00:1::1", "2001:0:53aa:64c:0:5efe:7f00:1", "::127.0.0.1",
)  # fmt: skip
OUTSIDE = ("8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808")


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_refused(address: str):
    assert not Guard().allows(address)


@pytest.mark.parametrize("address", OUTSIDE)
def test_what_is_outside_is_allowed(address: str):
    assert Guard().allows(address)


@pytest.mark.parametrize("text", ["localhost", "", "example.com", "2130706433", "0x7f.1", "127.1"])
def test_what_is_no_address_in_digits_is_refused(text: str):
    assert not Guard.of("127.0.0.0/8").allows(text)


def test_a_network_that_the_operator_names_is_allowed_and_its_neighbour_is_not():
    guard = Guard.of("10.1.0.0/16, ::1/128")
    assert guard.allows("10.1.2.3")
    assert guard.allows("::ffff:10.1.2.3")
    assert guard.allows("::1")
    assert not guard.allows("10.2.0.1")
    assert not guard.allows("127.0.0.1")


def test_in_the_clear_only_the_operators_networks_are_allowed():
    guard = Guard.of("10.1.0.0/16").without_outside()
    assert guard.allows("10.1.2.3")
    assert not guard.allows("8.8.8.8")
    assert not Guard().without_outside().allows("8.8.8.8")


@pytest.mark.parametrize(
    "url", ["https://example.com/hooks", "https://8.8.8.8/x", "https://example.com:8443/a?b=c", "https://[2606::1]/"]
)
def test_an_address_of_the_world_is_taken(url: str):
    assert Guard().complaint(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/latest", "https://localhost/", "https://intranet/", "https://user:word@example.com/",
        "https://user@example.com/", "ftp://example.com/", "https://", "https:///x", "example.com", "https://[::1",
        "https://example.com:99999/", "https://exa mple.com/", "https://exämple.com/", "https://example.com/\n",
        "https://example.com/" + "x" * 2000, "file:///etc/passwd", "gopher://8.8.8.8/",
    ],
)  # fmt: skip
def test_an_address_that_cannot_be_called_is_refused_when_it_is_saved(url: str):
    assert Guard().complaint(url) is not None


def test_in_the_clear_is_taken_only_towards_networks_that_were_named():
    guard = Guard.of("10.1.0.0/16")
    assert guard.complaint("http://10.1.2.3:8080/hooks") is None
    assert guard.complaint("https://10.1.2.3/hooks") is None
    assert guard.complaint("http://8.8.8.8/hooks") is not None
    assert guard.complaint("http://10.2.0.1/hooks") is not None
    assert guard.complaint("http://receiver/hooks") is None, "a name is judged when it is called"
