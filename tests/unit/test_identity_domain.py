"""Addresses to sign in with, and when a refresh token counts as reused."""

from datetime import timedelta

import pytest

from tests.fakes.clock import NOON
from waypost.identity.domain import is_reused, normal_email, normal_phone, token_hash

GRACE = timedelta(seconds=30)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+263 77 123 4567", "+263771234567"),
        ("+263-77-123-4567", "+263771234567"),
        ("tel:+263771234567", "+263771234567"),
        ("\uff0b263771234567", "+263771234567"),  # a full-width plus
        ("+1 (650) 253-0000", "+16502530000"),
        ("0771234567", None),
        ("771234567", None),
        ("+263", None),
        ("+26377123456789012", None),
        ("+999123456789", None),
        ("call me", None),
        ("", None),
        ("+" * 300, None),
    ],
)
def test_a_phone_number_is_international_or_none_at_all(text: str, number: str | None):
    assert normal_phone(text) == number


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" Chipo@Example.COM ", "chipo@example.com"),
        ("a+b@mail.example.co.zw", "a+b@mail.example.co.zw"),
        ("chipo", None),
        ("@example.com", None),
        ("chipo@", None),
        ("a@b@c", None),
        ("a b@example.com", None),
        ("a@example.com\nBcc: b@example.com", None),
        ("a\x7f@example.com", None),
        ("x" * 65 + "@example.com", None),
        ("rüdo@example.com", None),
        ("\u212aofi@example.com", None),
    ],
)
def test_an_e_mail_address_has_one_at_sign_and_no_space(text: str, address: str | None):
    assert normal_email(text) == address


@pytest.mark.parametrize(
    ("exchanged_s_ago", "reused"), [(None, False), (0, False), (30, False), (30.001, True), (86_400, True), (-5, False)]
)
def test_a_second_exchange_after_the_grace_is_a_reuse(exchanged_s_ago: float | None, reused: bool):
    exchanged_at = None if exchanged_s_ago is None else NOON - timedelta(seconds=exchanged_s_ago)
    assert is_reused(exchanged_at, NOON, GRACE) is reused


def test_a_text_that_is_no_unicode_has_a_hash_like_any_other():
    assert len(token_hash("\ud800")) == 32
