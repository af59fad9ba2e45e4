"""A push message sealed as RFC 8291 has it, and who sends it as RFC 8292 has it."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import http_ece
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from waypost.notifications.push.domain import Keys, of_base64url, unpadded
from waypost.notifications.push.sealing import (
    LIFE,
    MOST_BYTES,
    MOST_PLAIN,
    Vapid,
    fitting,
    is_point,
    key_of,
    new_secret,
    point_of,
    seal,
)

# RFC 8291, section 5 and appendix A.
PLAIN = b"When I grow up, I want to be a watermelon"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
RECEIVER = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
RECEIVER_SECRET = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
SENDER_SECRET = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SEALED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_y"
    "l95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_the_standard_s_own_example():
    keys = Keys(of_base64url(RECEIVER), of_base64url(AUTH))
    sealed = seal(PLAIN, keys, salt=of_base64url(SALT), own=key_of(of_base64url(SENDER_SECRET)))
    assert unpadded(sealed) == SEALED


def test_the_standard_s_keys_go_together():
    assert point_of(key_of(of_base64url(RECEIVER_SECRET)).public_key()) == of_base64url(RECEIVER)


@given(st.binary(max_size=MOST_PLAIN))
@settings(max_examples=30, deadline=None)
def test_another_implementation_opens_what_we_seal(plain: bytes):
    receiver = ec.generate_private_key(ec.SECP256R1())
    keys = Keys(point_of(receiver.public_key()), b"0123456789abcdef")
    sealed = seal(plain, keys, salt=b"x" * 16, own=ec.generate_private_key(ec.SECP256R1()))
    assert len(sealed) <= MOST_BYTES
    assert http_ece.decrypt(sealed, private_key=receiver, auth_secret=keys.auth, version="aes128gcm") == plain


def test_the_longest_message_is_as_long_as_may_be_and_a_longer_one_is_refused():
    keys = Keys(of_base64url(RECEIVER), of_base64url(AUTH))
    own = key_of(of_base64url(SENDER_SECRET))
    assert len(seal(b"x" * MOST_PLAIN, keys, salt=b"x" * 16, own=own)) == MOST_BYTES
    with pytest.raises(ValueError, match="at most"):
        seal(b"x" * (MOST_PLAIN + 1), keys, salt=b"x" * 16, own=own)


def test_the_token_is_for_the_push_service_alone_and_ends():
    vapid = Vapid(key_of(new_secret()), "mailto:us@way.example")
    header = vapid.authorization("https://push.example:8443/send/abc?d=1", NOON)
    token, key = header.removeprefix("vapid t=").split(", k=")
    raw = of_base64url(key)
    public = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": unpadded(raw[1:33]), "y": unpadded(raw[33:])})
    read = jwt.decode(token, public, algorithms=["ES256"])
    assert read.header == {"typ": "JWT", "alg": "ES256"}
    assert read.claims == {
        "aud": "https://push.example:8443",
        "exp": int((NOON + LIFE).timestamp()),
        "sub": "mailto:us@way.example",
    }
    assert timedelta(hours=24) >= LIFE
    assert key == vapid.public_key


@pytest.mark.parametrize("raw", [b"", b"\x04" + b"\x00" * 64, b"\x04" + b"\x01" * 64, of_base64url(RECEIVER)[:-1]])
def test_a_key_that_is_no_point_of_the_curve_is_none(raw: bytes):
    assert not is_point(raw)


@pytest.mark.parametrize("text", ["a", "*", "äöü", "a b"])
def test_what_is_no_base64url_is_refused(text: str):
    with pytest.raises(ValueError, match="base64url"):
        of_base64url(text)


@given(st.text(max_size=4000), st.integers(100, 3000))
@settings(max_examples=100, deadline=None)
def test_a_text_that_is_too_long_is_cut_where_it_must_be(text: str, most: int):
    def render(part: str) -> bytes:
        return json.dumps({"body": part}, ensure_ascii=False).encode("utf-8", "surrogatepass")

    made = fitting(render, text, most)
    assert len(made) <= most
    shown = json.loads(made.decode("utf-8", "surrogatepass"))["body"]
    assert shown == text or (shown.endswith("…") and text.startswith(shown[:-1]))


def test_base64url_needs_no_padding():
    assert [of_base64url(text) for text in ("AAE", "AAE=")] == [b"\x00\x01"] * 2
    assert base64.urlsafe_b64encode(b"\xff\xfe").decode() == "__4="
    assert unpadded(b"\xff\xfe") == "__4"
