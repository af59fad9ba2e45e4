"""Why a delivery is where it is, in words: whatever code the source can write, staff read a sentence."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from waypost.notifications.consent.domain import PREFERENCE_OFF, REFUSALS
from waypost.notifications.providers import africastalking, dsn, mail, twilio_codes
from waypost.notifications.providers.accounts import ProviderName
from waypost.notifications.reasons import WORDS, in_words, is_known
from waypost_workers.channels import email

ROOT = Path(__file__).parents[2]
# Where deliveries get their reasons from; webhooks have reasons of their own.
PLACES = [
    *sorted((ROOT / "server/waypost/notifications").rglob("*.py")),
    *[ROOT / f"server/waypost/{room}/notices.py" for room in ("trips", "laybys", "invoices", "payments")],
    *[ROOT / f"workers/waypost_workers/channels/{name}.py"
      for name in ("apprise", "console", "email", "gateways", "push", "sms")],
]  # fmt: skip
SAYS = frozenset({"Outcome", "Stop", "Hold", "Planned", "Settled", "Meaning", "_ours", "_later", "_refused"})
RETURNS = frozenset({"unwanted", "refusal", "refusal_of"})
IN_SQL = re.compile(r"\breason = '([a-z_]+)'")
CODE = re.compile(r"[a-z]+(_[a-z0-9]+)*")
GATEWAYS = [str(name) for name in (ProviderName.TWILIO, ProviderName.AFRICASTALKING, ProviderName.HTTP)]
PARTS = {
    "provider": GATEWAYS,
    "status": ["418", "503"],
    "answer.status": ["418", "503"],
    "code": ["21999"],
    "answer.word": ["connect", "timeout", "cut_off", "host_refused"],
    "_word(error)": [word for _, word in email._WORDS] + ["failed"],
}


def codes_in(path: Path) -> Iterator[str]:
    """Every reason code that a file can write, as far as it stands there in letters."""
    tree = ast.parse(path.read_text())
    yield from (code for code in IN_SQL.findall(path.read_text()))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAYS:
            yield from said_in(path, node)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in RETURNS:
            for each in ast.walk(node):
                if isinstance(each, ast.Return) and isinstance(each.value, ast.Constant) and each.value.value:
                    yield str(each.value.value)


def said_in(path: Path, call: ast.Call) -> Iterator[str]:
    arguments = call.args + [word.value for word in call.keywords if word.arg == "reason"]
    for argument in arguments:
        for part in ast.walk(argument) if isinstance(argument, ast.IfExp) else [argument]:
            if isinstance(part, ast.Constant) and isinstance(part.value, str) and CODE.fullmatch(part.value):
                yield part.value
            elif isinstance(part, ast.JoinedStr):
                yield from filled(part)
            elif isinstance(part, ast.Name) and part.id.isupper():
                value = getattr(importlib.import_module(module_of(path)), part.id)
                if isinstance(value, str):
                    yield value


def filled(text: ast.JoinedStr) -> Iterator[str]:
    """A code with parts that only a run knows, filled with what they can be."""
    choices = [
        [str(part.value)] if isinstance(part, ast.Constant) else PARTS[ast.unparse(part.value)]  # type: ignore[attr-defined]
        for part in text.values
    ]
    yield from ("".join(parts) for parts in product(*choices))


def module_of(path: Path) -> str:
    base = ROOT / ("server" if "server" in path.parts else "workers")
    return ".".join(path.relative_to(base).with_suffix("").parts)


@pytest.mark.parametrize("path", PLACES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_code_in_the_source_has_words(path: Path):
    assert [code for code in codes_in(path) if not is_known(code)] == []


def test_the_search_finds_codes_in_every_form_in_which_they_are_written():
    found = {code for path in PLACES for code in codes_in(path)}
    assert {"no_address", "held_spend_cap", "lease_ran_out", "twilio_21999", "smtp_login", "push_http_503"} <= found
    assert {"africastalking_timeout", "trip_cancelled", "http_418", "twilio_bad_number", "not_found"} <= found


def test_codes_of_tables_have_words():
    tables = [
        *REFUSALS.values(),
        PREFERENCE_OFF,
        *(meaning.reason for meaning in twilio_codes.CODES.values()),
        *(one.reason for table in (africastalking.CODES, africastalking.TEXTS) for one in table.values() if one.reason),
        *(reason for reason, _, _ in africastalking._FAILURES.values()),
        dsn.BOUNCED,
        mail.BLOCKED_WORD,
    ]
    assert [code for code in tables if not is_known(code)] == []


def test_words_are_whole_sentences():
    for code, text in WORDS.items():
        assert text[0].isupper(), code
        assert text.endswith("."), code
        assert len(text) <= 130, code


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (None, None),
        ("twilio_30099", "Twilio refused it with its error 30099: see its list of errors."),
        ("http_500", "The SMS gateway answered HTTP 500."),
        ("africastalking_http_400", "Africa's Talking answered HTTP 400."),
        ("push_http_404", "The push service answered HTTP 404."),
        ("of_tomorrow", "The reason is 'of_tomorrow', which this version does not know."),
    ],
)
def test_numbers_and_strangers_are_put_in_words(code: str | None, words: str | None):
    assert in_words(code) == words
