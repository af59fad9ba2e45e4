"""Whose word counts, what a suppression stops, what a keyword means, and what a token keeps."""

from __future__ import annotations

import string
from itertools import product
from uuid import UUID

import pytest

from waypost.notifications.addresses import ChannelName
from waypost.notifications.consent import domain
from waypost.notifications.consent.domain import ANY, Choice, Meant, Told, Why, meaning, refusal_of, same_form, wanted
from waypost.notifications.consent.page_words import WORDS, words_of
from waypost.notifications.consent.tokens import ReportTo, Stop, Tokens
from waypost.notifications.kinds import KINDS, LAYBY_CREATED, PAYMENT_REMINDER, TRIP_STARTED, Group, Kind

SMS, EMAIL = ChannelName.SMS, ChannelName.EMAIL
REMINDER, REQUIRED = KINDS[PAYMENT_REMINDER], KINDS[LAYBY_CREATED]
STOPS = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"]
STARTS = ["START", "UNSTOP", "YES"]
KEYS = [(PAYMENT_REMINDER, SMS), (PAYMENT_REMINDER, ANY), (ANY, SMS), (ANY, ANY)]


def test_the_first_of_eight_places_that_says_anything_decides() -> None:
    """The customer's four before the organisation's four, each from the most exact to everything: all 6,561 cases."""
    for said in product([None, True, False], repeat=len(KEYS) * 2):
        theirs = [Choice(*key, yes) for key, yes in zip(KEYS, said[:4], strict=True) if yes is not None]
        ours = [Choice(*key, yes) for key, yes in zip(KEYS, said[4:], strict=True) if yes is not None]
        expected = next((yes for yes in said if yes is not None), True)
        assert wanted(REMINDER, SMS, theirs, ours) is expected, said


def test_what_is_said_of_another_kind_or_channel_says_nothing_of_this_one() -> None:
    keys = (TRIP_STARTED, SMS), (PAYMENT_REMINDER, EMAIL), (ANY, EMAIL)
    others = [Choice(*key, wanted=False) for key in keys]
    assert wanted(REMINDER, SMS, others, others)


def test_what_is_required_cannot_be_switched_off() -> None:
    assert wanted(REQUIRED, SMS, [Choice(ANY, ANY, wanted=False)], [Choice(LAYBY_CREATED, SMS, wanted=False)])


@pytest.mark.parametrize("why", list(Why))
@pytest.mark.parametrize("kind", [REMINDER, REQUIRED], ids=["reminder", "required"])
def test_a_suppression_stops_everything_but_required_kinds_where_only_less_was_asked_for(why: Why, kind: Kind) -> None:
    fewer = why in {Why.UNSUBSCRIBED, Why.COMPLAINT}
    expected = None if fewer and kind is REQUIRED else f"suppressed_{why}"
    assert refusal_of(kind, [(why, "")], ()) == expected


@pytest.mark.parametrize(
    ("stopped", "senders", "refused"),
    [
        (["+1"], ["+1"], True),
        (["+1"], ["+1", "+2"], False),
        (["+1", "+2"], ["+1", "+2"], True),
        (["+3"], ["+1"], False),
        (["+3"], [], True),
        ([""], ["+1", "+2"], True),
        ([], ["+1"], False),
    ],
    ids=["its only sender", "one of two", "both", "another", "no sender known", "all senders", "none"],
)
def test_stop_is_said_to_a_sender_and_silences_that_one_only(
    stopped: list[str], senders: list[str], refused: bool
) -> None:
    said = refusal_of(REMINDER, [(Why.STOP, sender) for sender in stopped], senders)
    assert said == ("suppressed_stop" if refused else None)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        *((word, Meant.STOP) for word in STOPS),
        *((word, Meant.START) for word in STARTS),
        *((word, Meant.HELP) for word in ("HELP", "info", "Ayuda", "AJUDA", "aide!")),
        ("stop", Meant.STOP),
        (" Stop. ", Meant.STOP),
        ("«STOP!»", Meant.STOP),
        ("stop all", Meant.STOP),
        ("arrêt", Meant.STOP),
        ("please stop the truck at the gate", None),
        ("stopped", None),
        ("", None),
        ("?", None),
    ],
)
def test_a_message_is_a_keyword_only_if_it_is_nothing_else(text: str, meant: Meant | None) -> None:
    assert meaning(text) is meant


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("+263 77 123-4567", "+263771234567"),
        ("263771234567", "+263771234567"),
        ("00263771234567", "+263771234567"),
        ("22384", "22384"),
        ("SHOP", "shop"),
        (" Chipo@Example.com ", "chipo@example.com"),
        ("", ""),
    ],
)
def test_an_address_has_one_form_however_a_provider_writes_it(said: str, kept: str) -> None:
    assert same_form(said) == kept
    assert same_form(kept) == kept


@pytest.mark.parametrize(
    ("kind", "channel", "told", "wrong"),
    [
        (PAYMENT_REMINDER, "sms", Told.CUSTOMER, None),
        (ANY, ANY, Told.STAFF, None),
        (LAYBY_CREATED, "sms", Told.CUSTOMER, "kind"),
        ("alert_raised", "email", Told.CUSTOMER, "kind"),
        ("alert_raised", "email", Told.STAFF, None),
        ("alert_raised", "email", Told.EVERYBODY, None),
        (PAYMENT_REMINDER, "email", Told.STAFF, "kind"),
        ("no_such_kind", "email", Told.EVERYBODY, "kind"),
        (ANY, "in_app", Told.STAFF, None),
        (ANY, "pigeon", Told.STAFF, "channel"),
    ],
)
def test_only_what_can_be_switched_off_can_be_chosen(kind: str, channel: str, told: Told, wrong: str | None) -> None:
    said = domain.may_choose(kind, channel, told)
    assert (said and said[0]) == wrong


def test_no_more_of_these_means_the_kinds_of_the_group_that_are_not_required() -> None:
    for group in Group:
        kinds = [KINDS[name] for name in domain.switched_off(group, EMAIL)]
        assert all(kind.group is group and not kind.required for kind in kinds)
    assert PAYMENT_REMINDER in domain.switched_off(Group.REMINDER, EMAIL)


TOKENS = Tokens.of("https://waypost.example.com/", "a signing key that is long enough")
STOP = Stop(UUID(int=1), UUID(int=2), None, Group.REMINDER, EMAIL, "chipo@example.com")
REPORT = ReportTo(UUID(int=1), UUID(int=3), UUID(int=4))


def test_a_token_gives_back_what_was_put_in_and_is_the_same_each_time() -> None:
    url = TOKENS.stop_url(STOP)
    assert url == TOKENS.stop_url(STOP)
    assert url is not None
    assert url.startswith("https://waypost.example.com/unsubscribe/")
    assert TOKENS.read_stop(url.rpartition("/")[2]) == STOP
    report = TOKENS.report_url(REPORT)
    assert report is not None
    assert TOKENS.read_report(report.split("/")[-2]) == REPORT


def test_a_token_shows_nothing_and_is_good_for_one_use_under_one_key() -> None:
    token = TOKENS.stop_token(STOP)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert "chipo" not in token
    assert TOKENS.read_report(token) is None
    assert not TOKENS.is_house(token)
    assert Tokens.of(None, "another key").read_stop(token) is None
    assert TOKENS.is_house(TOKENS.house_token())
    assert TOKENS.read_stop(TOKENS.house_token()) is None


def test_a_token_with_any_character_changed_is_none_of_ours() -> None:
    token = TOKENS.stop_token(STOP)
    for at in range(len(token)):
        other = "A" if token[at] != "A" else "B"
        changed = TOKENS.read_stop(token[:at] + other + token[at + 1 :])
        assert changed is None or changed == STOP, at  # the last character's spare bits are not read


@pytest.mark.parametrize("token", ["", "x", "ü" * 40, "A" * 5_000, "====", "\x00" * 20])
def test_what_is_no_token_is_none_of_ours(token: str) -> None:
    assert TOKENS.read_stop(token) is None
    assert TOKENS.read_report(token) is None


def test_without_a_public_address_there_is_no_link() -> None:
    assert Tokens.of(None, "key").stop_url(STOP) is None
    assert Tokens.of(None, "key").report_url(REPORT) is None


def test_the_page_says_the_same_in_every_language() -> None:
    assert {"en", "fr", "es", "pt"} <= set(WORDS)
    names = set(WORDS["en"])
    fields = {name: [part[1] for part in string.Formatter().parse(text)] for name, text in WORDS["en"].items()}
    for words in WORDS.values():
        assert set(words) == names
        for name, text in words.items():
            said = [part[1] for part in string.Formatter().parse(text) if part[1]]
            assert set(said) == {field for field in fields[name] if field}, name


@pytest.mark.parametrize(
    ("locale", "language"), [("fr-CD", "fr"), ("pt_MZ", "pt"), ("sn-ZW", "en"), ("", "en"), ("EN", "en")]
)
def test_the_page_speaks_the_language_of_the_recipient_or_english(locale: str, language: str) -> None:
    assert words_of(locale)[0] == language
