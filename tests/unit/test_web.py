"""The HTTP edge's tools: queries, addresses behind proxies, secrets at rest."""

import base64

import pytest
from aiohttp.test_utils import make_mocked_request

from waypost.kernel.errors import Stale
from waypost.platform.addresses import Proxies
from waypost.platform.queries import PageQuery
from waypost.platform.secretbox import BadKeys, SecretBox, Unreadable, new_key
from waypost.platform.web import BadQuery, if_match, read_query


@pytest.mark.parametrize(("text", "limit"), [("", 50), ("?limit=1", 1), ("?limit=200", 200)])
def test_a_limit_has_a_default_and_bounds(text: str, limit: int):
    assert read_query(make_mocked_request("GET", f"/x{text}"), PageQuery).limit == limit


@pytest.mark.parametrize("text", ["0", "201", "-1", "1.5", "", "ten", "%D9%A3", "9" * 5000])
def test_a_limit_out_of_bounds_is_refused(text: str):
    with pytest.raises(BadQuery):
        read_query(make_mocked_request("GET", f"/x?limit={text}"), PageQuery)


@pytest.mark.parametrize("text", ["limti=1", "limit=1&limit=2", "cursor="])
def test_a_parameter_that_is_unknown_or_twice_there_is_refused_by_name(text: str):
    with pytest.raises(BadQuery):
        read_query(make_mocked_request("GET", f"/x?{text}"), PageQuery)


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),  # nobody's proxy: its word counts for nothing
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what stands left of it anybody may have written
        ("10.0.0.1", ["198.51.100.1, 10.0.0.2"], "198.51.100.1"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["nonsense"], "10.0.0.1"),
        ("::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", [], "198.51.100.1"),
        (None, ["198.51.100.1"], "unknown"),
        ("10.0.0.1", ["203.0.113.9:4711"], "203.0.113.9"),  # as some proxies write it
        ("10.0.0.1", ["[2001:db8::1]:99"], "2001:db8::/64"),
        ("10.0.0.1", ["unknown, 10.0.0.7"], "10.0.0.7"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
    ],
)
def test_an_address_is_the_first_from_the_right_that_is_no_proxy_of_ours(
    peer: str | None, forwarded: list[str], client: str
):
    assert Proxies.of("10.0.0.0/8, ::1").client(peer, forwarded) == client


def test_a_secret_is_read_with_any_key_and_renewed_under_the_newest():
    old, new = new_key(), new_key()
    sealed = SecretBox.of(old).seal(b"hunter2")
    assert b"hunter2" not in base64.urlsafe_b64decode(sealed)
    both = SecretBox.of(f"{new},{old}")
    assert both.open(sealed) == b"hunter2"
    renewed = both.renew(sealed)
    assert SecretBox.of(new).open(renewed) == b"hunter2"
    with pytest.raises(Unreadable):
        SecretBox.of(new).open(sealed)


@pytest.mark.parametrize(
    "keys", ["", "short", "a,b", base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 32).decode() + ","]
)
def test_a_key_that_is_none_is_refused_as_the_server_starts(keys: str):
    with pytest.raises(BadKeys):
        SecretBox.of(keys)


@pytest.mark.parametrize(("header", "version"), [(None, None), ("*", None), ('"7-ab"', 7), ('"7-ab-gzip"', 7)])
def test_if_match_gives_the_version_that_the_caller_saw(header: str | None, version: int | None):
    assert if_match(make_mocked_request("PATCH", "/x", {"If-Match": header} if header else {})) == version


@pytest.mark.parametrize("header", ['W/"7-ab"', "7", '"x"', '"7-ab", "8-cd"', ""])
def test_an_etag_that_is_not_ours_is_not_the_present_one(header: str):
    with pytest.raises(Stale):
        if_match(make_mocked_request("PATCH", "/x", {"If-Match": header}))
