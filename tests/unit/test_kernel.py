"""Ids, pages, errors, settings."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON, FakeClock
from waypost.identity.domain import normal_phone
from waypost.kernel.errors import Malformed
from waypost.kernel.ids import new_id, uuid7
from waypost.kernel.paging import BadCursor, decode_cursor, encode_cursor, page_of
from waypost.settings import BadSettings, Settings


def test_uuid7_is_the_example_of_rfc_9562():
    at = datetime(2022, 2, 22, 19, 22, 22, tzinfo=UTC)
    assert uuid7(at, 0xCC3 << 62 | 0x18C4DC0C0C07398F) == UUID("017F22E2-79B0-7CC3-98C4-DC0C0C07398F")


def test_ids_are_ordered_by_their_millisecond_and_well_formed():
    ids = [uuid7(NOON + timedelta(milliseconds=n), 2**74 - 1 - n) for n in range(5)]
    assert ids == sorted(ids)
    assert {(i.version, i.variant) for i in ids} == {(7, "specified in RFC 4122")}


def test_ids_of_one_millisecond_are_in_the_order_in_which_they_were_made():
    clock = FakeClock()
    made = [new_id(clock) for _ in range(1000)]
    assert made == sorted(set(made))
    assert new_id(clock, lambda _bits: 0) > made[-1]


@given(st.tuples(st.datetimes(timezones=st.just(UTC)), st.integers(0, 2**63 - 1)))
def test_a_cursor_comes_back_as_it_went(key: tuple[datetime, int]):
    assert decode_cursor(encode_cursor(key), tuple[datetime, int]) == key


@given(st.text(max_size=60))
def test_a_forged_cursor_is_refused_or_is_of_the_right_kind(text: str):
    with suppress(BadCursor):
        assert isinstance(decode_cursor(text, UUID), UUID)


def test_a_cursor_of_another_list_is_refused():
    with pytest.raises(Malformed):
        decode_cursor(encode_cursor("a name"), UUID)


ODD = {
    "nul": ("a\0b", str),
    "beyond a bigint": (2**63, int),
    "no zone": ("2026-11-22T10:00:00", datetime),
    "before the calendar": ("0001-01-01T00:00:00+14:00", datetime),
}


@pytest.mark.parametrize(("key", "kind"), ODD.values(), ids=ODD)
def test_a_cursor_of_what_no_row_can_have_is_refused(key: object, kind: type[object]):
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor(key), kind)
    with pytest.raises(BadCursor):
        decode_cursor(encode_cursor((key, UUID(int=1))), tuple[kind, UUID])  # type: ignore[valid-type]


def test_the_exact_last_page_has_no_more():
    assert page_of([1, 2, 3], 3, str).next_cursor is None
    page = page_of([1, 2, 3, 4], 3, str)
    assert list(page.data) == [1, 2, 3]
    assert page.next_cursor == encode_cursor("3")


@pytest.mark.parametrize(
    ("text", "number"),
    [("+263 77 100 0001", "+263771000001"), ("0771000001", None), ("", None), ("+", None), ("+1" * 50, None)],
)
def test_a_phone_number_is_international_or_none(text: str, number: str | None):
    assert normal_phone(text) == number


def test_all_bad_settings_are_told_at_once_each_in_a_line():
    with pytest.raises(BadSettings) as caught:
        Settings.from_env(
            {"WAYPOST_PORT": "99999", "WAYPOST_PROT": "1", "WAYPOST_LOG_LEVEL": "LOUD", "WAYPOST_SIGNING_KEY": "short"}
        )
    lines = caught.value.detail.splitlines()[1:]
    assert len(lines) == 4
    assert any("WAYPOST_PROT: there is no such setting; did you mean WAYPOST_PORT?" in line for line in lines)
    assert "short" not in caught.value.detail.replace("shorter", "").replace("should", "")


def test_a_secret_may_come_from_a_file_and_is_hidden(tmp_path: Path):
    secret = "postgres://u:very-secret@h/db"
    (tmp_path / "url").write_text(secret + "\n")
    settings = Settings.from_env({"WAYPOST_DATABASE_URL_FILE": str(tmp_path / "url")})
    assert settings.database_url is not None
    assert settings.database_url.get_secret_value() == secret
    assert "very-secret" not in repr(settings)
    with pytest.raises(BadSettings, match="WAYPOST_REDIS_URL_FILE: cannot read"):
        Settings.from_env({"WAYPOST_REDIS_URL_FILE": str(tmp_path / "absent")})


async def test_a_fake_clock_wakes_sleepers_in_their_order():
    import asyncio

    clock, woken = FakeClock(), []

    async def sleeper(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(seconds)

    tasks = [asyncio.create_task(sleeper(s)) for s in (3, 1, 2)]
    await asyncio.sleep(0)
    await clock.advance(2.5)
    await asyncio.sleep(0)
    assert woken == [1, 2]
    await clock.advance(1)
    await asyncio.gather(*tasks)
    assert woken == [1, 2, 3]
