"""Which facts each kind's words may use, with an ordinary, a bare and a longest example of each. Pure.

The one list that the builders of notices, the check of templates, the preview and the tests go by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

from waypost.notifications import kinds
from waypost.notifications.words import sample_rows as rows

Facts = Mapping[str, str]


class Sample(StrEnum):
    """How much an example says."""

    ORDINARY = "ordinary"
    BARE = "bare"  # nothing in what may be empty
    LONGEST = "longest"  # as much as can well be


class Sort(StrEnum):
    """What a fact holds; each but ``TEXT``, ``CODE`` and ``LINK`` has a filter that prints it."""

    MONEY = "money"  # minor units, for the filter "money" with the fact "currency"
    DAY = "day"  # an ISO date, for "day" or "date"
    COUNT = "count"  # a whole number, for "plural"
    ROWS = "rows"  # JSON, for "rows"
    CODE = "code"  # one of a few words, to be compared with
    LINK = "link"
    TEXT = "text"


# What every notice says of its recipient and the business: ``addresses.facts_of``.
SHARED: Facts = MappingProxyType(
    {
        "name": "Chipo Dube",
        "business": "Jacaranda Stores",
        "shopPhone": "+254 700 000 001",
        "shopAddress": "12 Moi Avenue, Nairobi",
        "collectAt": "12 Moi Avenue, Nairobi",
    }
)
_LAYBY: Facts = MappingProxyType(
    {
        "reference": "7K3MQ96",
        "currency": "KES",
        "balanceMinor": "75000",
        "nextDueMinor": "25000",
        "nextDueDate": "2026-12-06",
        "finalDate": "2027-01-03",
        "status": "active",
    }
)
_PAYMENT: Facts = MappingProxyType(
    {"amountMinor": "25000", "receipt": "NLJ7RT61SV", "method": "mobile", "paidAt": "2026-11-22T09:00:00+00:00"}
)
_INSTALMENT: Facts = MappingProxyType(
    {"n": "1", "of": "3", "dueDate": "2026-12-06", "amountMinor": "25000", "openMinor": "25000"}
)
_TRIP: Facts = MappingProxyType({"reference": "T-000123", "destination": "12 Jason Moyo Avenue"})
_INVOICE: Facts = MappingProxyType(
    {
        "number": "INV-000042",
        "issuer": "Baobab Freight",
        "currency": "KES",
        "totalMinor": "1250000",
        "openMinor": "1250000",
        "issueDate": "2026-11-22",
        "dueDate": "2026-12-22",
        "days": "",
        "link": "https://way.example/invoices",
    }
)
_TRIP_LINK = "https://way.example/t/Zk3v9QmT"
_SCHEDULE = {"schedule": rows.SCHEDULE}
_PLAN = {"startDate": "2026-12-06", "startTime": "14:05"}

_ORDINARY: Mapping[str, Facts] = {
    kinds.TRIP_SCHEDULED: {**_TRIP, "origin": "Depot 4", **_PLAN},
    kinds.TRIP_STARTED: {**_TRIP, "origin": "Depot 4", "link": _TRIP_LINK},
    kinds.TRIP_NEAR: {**_TRIP, "minutes": "10", "link": _TRIP_LINK},
    kinds.TRIP_ARRIVED: {**_TRIP},
    kinds.TRIP_COMPLETED: {**_TRIP, "origin": "Depot 4", "link": _TRIP_LINK},
    kinds.TRIP_DELAYED: {**_TRIP, **_PLAN, "arriveDate": "2026-12-06", "arriveTime": "16:30", "link": _TRIP_LINK},
    kinds.TRIP_FAILED: {**_TRIP, "reason": "failed"},
    kinds.LAYBY_CREATED: {
        **_LAYBY,
        **_SCHEDULE,
        "goods": rows.GOODS,
        "payableMinor": "100000",
        "itemsMinor": "100000",
        "feesMinor": "0",
        "depositMinor": "25000",
        "receipt": "NLJ7RT61SV",
        "cancelling": rows.CANCELLING,
    },
    kinds.PAYMENT_RECEIVED: {**_LAYBY, **_PAYMENT, "creditMinor": "0", "appliedMinor": "25000"},
    kinds.PAYMENT_RECEIVED_CREDIT: {**_LAYBY, **_PAYMENT, "status": "cancelled", "creditMinor": "25000"},
    kinds.PAYMENT_FAILED: {**_LAYBY, "amountMinor": "25000", "reason": "no_funds"},
    kinds.PAYMENT_REMINDER: {**_LAYBY, **_INSTALMENT, "days": "3"},
    kinds.PAYMENT_OVERDUE: {**_LAYBY, **_INSTALMENT, "days": "7", "lateFeeMinor": "500"},
    kinds.LATE_FEE_APPLIED: {**_LAYBY, **_INSTALMENT, "feeMinor": "500"},
    kinds.COMPLETION_REMINDER: {**_LAYBY},
    kinds.LAYBY_COMPLETED: {**_LAYBY, "status": "completed", "order": "L-000017", "collectBy": "2026-12-06"},
    kinds.COLLECTION_REMINDER: {**_LAYBY, "status": "completed", "order": "L-000017", "collectBy": "2026-12-06"},
    kinds.LAYBY_ON_HOLD: {**_LAYBY, "status": "on_hold"},
    kinds.LAYBY_REACTIVATED: {**_LAYBY, **_SCHEDULE},
    kinds.LAYBY_EXTENDED: {**_LAYBY, **_SCHEDULE},
    kinds.LAYBY_REINSTATED: {**_LAYBY, **_SCHEDULE},
    kinds.LAYBY_CANCELLED: {
        **_LAYBY,
        "status": "cancelled",
        "by": "customer",
        "paidMinor": "25000",
        "feeMinor": "2500",
        "refundMinor": "22500",
        "working": rows.WORKING,
    },
    kinds.LAYBY_DEFAULTED: {**_LAYBY, "status": "defaulted", "missed": "2", "reinstateUntil": "2026-12-20"},
    kinds.REFUND_ISSUED: {**_LAYBY, **_PAYMENT},
    kinds.PAYMENT_REVERSED: {**_LAYBY, **_PAYMENT, "originalReceipt": "NLJ7RT61SV"},
    kinds.INVOICE_ISSUED: {**_INVOICE},
    kinds.INVOICE_OVERDUE: {**_INVOICE, "days": "7"},
    kinds.INVOICE_VOIDED: {**_INVOICE},
    kinds.ALERT_RAISED: {"alert": "provider_down", "about": "Twilio", "link": "https://way.example/alerts"},
    kinds.ALERT_DIGEST: {"count": "4", "alerts": rows.ALERTS, "link": "https://way.example/alerts"},
    kinds.EXPORT_READY: {
        "export": "trips-2026-11.xlsx",
        "until": "2026-11-29",
        "link": "https://way.example/jobs",
    },
    kinds.PROVIDER_TEST: {"provider": "Africa's Talking"},
    kinds.HELP_ANSWER: {"contact": "+254 700 000 001"},
}

# What a notice may lack, as those of an older version do: it is empty then.
MAY_LACK = frozenset({"link", "brandColour", "brandLogo", "brandLogoWidth", "brandLogoHeight"})
_LONG_LINK = "https://waypost.jacaranda-stores.example/t/Zk3v9QmTt0a1b2c3d4e5f6g7h8i9j0kl"
_LONG_PLACE = "Unit 14, Second Floor, Avondale Shopping Centre, King George Road, Harare"
_LONGEST: Facts = {
    "name": "Tatenda Nyasha Makoni-Chidzikwe",
    "business": "Jacaranda Stores and Household Goods",
    "issuer": "Baobab Freight and Logistics Services",
    "shopPhone": "+254 700 000 001",
    "shopAddress": _LONG_PLACE,
    "collectAt": _LONG_PLACE,
    "destination": _LONG_PLACE,
    "origin": "Msasa Industrial Depot, Harare",
    "reference": "7K3MQ96",
    "receipt": "PAY-2026-0000012345",
    "originalReceipt": "PAY-2026-0000012345",
    "number": "INV-2026-000042",
    "about": "Twilio, +263 77 000 0000",
    "contact": "customer.service@jacaranda-stores-and-household-goods.example",
    "export": "payments-2026-01-01-to-2026-12-31.xlsx",
    "link": _LONG_LINK,
    "n": "12",
    "of": "24",
    "missed": "12",
    "days": "28",
    "minutes": "25",
    "count": "120",
    "goods": rows.LONG_GOODS,
    "schedule": rows.LONG_SCHEDULE,
    "creditMinor": "123456789",
    "feesMinor": "123456789",
}
# What may be empty, or nought.
_BARE: Facts = {
    "shopPhone": "",
    "shopAddress": "",
    "collectAt": "",
    "destination": "",
    "origin": "",
    "link": "",
    "about": "",
    "contact": "",
    "startDate": "",
    "startTime": "",
    "arriveDate": "",
    "arriveTime": "",
    "minutes": "",
    "until": "",
    "collectBy": "",
    "reinstateUntil": "",
    "nextDueMinor": "",
    "nextDueDate": "",
    "balanceMinor": "0",
    "creditMinor": "0",
    "feesMinor": "0",
    "lateFeeMinor": "0",
    "refundMinor": "0",
    "depositMinor": "0",
    "missed": "0",
    "schedule": "[]",
}
_NO_LAYBY: Facts = dict.fromkeys(
    ("reference", "balanceMinor", "nextDueMinor", "nextDueDate", "finalDate", "status"), ""
)
# The words that a code may be: what a template must have an answer to.
CODES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    kinds.PAYMENT_FAILED: {
        "reason": ("cancelled", "no_funds", "no_answer", "wrong_pin", "limit", "busy", "expired", "other")
    },
    kinds.PAYMENT_RECEIVED_CREDIT: {"status": ("active", "on_hold", "completed", "cancelled", "defaulted")},
    kinds.LAYBY_CANCELLED: {"by": ("customer", "shop", "goods_gone")},
    kinds.REFUND_ISSUED: {"method": ("cash", "card", "bank", "mobile", "other")},
    kinds.PAYMENT_REMINDER: {"days": ("0", "1", "3")},
    kinds.LAYBY_DEFAULTED: {"missed": ("0", "1", "2")},
    kinds.TRIP_FAILED: {"reason": ("cancelled", "failed")},
    kinds.TRIP_NEAR: {"minutes": ("", "1", "10")},
    kinds.ALERT_DIGEST: {"count": ("1", "4")},
    kinds.INVOICE_OVERDUE: {"days": ("1", "7")},
    kinds.ALERT_RAISED: {"alert": rows.ALERT_CODES},
}
_AMOUNTS = ("Minor",)
_DAYS = frozenset({"collectBy", "reinstateUntil", "until"})
_COUNTS = frozenset({"n", "of", "days", "missed", "minutes", "count"})
_ROWS = frozenset({"goods", "schedule", "cancelling", "working", "alerts"})
_CODES = frozenset({"status", "reason", "method", "by", "alert"})


def fields(kind: str) -> dict[str, str]:
    """The facts that words of ``kind`` may use, each with an ordinary value."""
    return {**SHARED, **_ORDINARY[kind]}


def sort_of(field: str) -> Sort:
    """What a fact of that name holds."""
    if field.endswith(_AMOUNTS):
        return Sort.MONEY
    if field.endswith("Date") or field in _DAYS:
        return Sort.DAY
    for names, sort in ((_COUNTS, Sort.COUNT), (_ROWS, Sort.ROWS), (_CODES, Sort.CODE)):
        if field in names:
            return sort
    return Sort.LINK if field == "link" else Sort.TEXT


def sample(kind: str, which: Sample) -> dict[str, str]:
    """An example of a notice of ``kind``."""
    ordinary = fields(kind)
    if which is Sample.BARE:
        about_a_layby = kind not in {kinds.REFUND_ISSUED, kinds.PAYMENT_REVERSED}
        return _with(_with(ordinary, _BARE), {} if about_a_layby else _NO_LAYBY)
    return _with(ordinary, _long(ordinary)) if which is Sample.LONGEST else ordinary


def variants(kind: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Every example: the three, and the ordinary one with each word that a code may be."""
    for which in Sample:
        yield str(which), sample(kind, which)
    for field, codes in CODES.get(kind, {}).items():
        for code in codes:
            yield f"{field}={code}", {**fields(kind), field: code}


def _with(facts: Facts, others: Facts) -> dict[str, str]:
    return {name: others.get(name, value) for name, value in facts.items()}


def _long(facts: Facts) -> dict[str, str]:
    """Millions, where there is an amount; the longest that is known of all else."""
    amounts = {name: "123456789" for name, value in facts.items() if name.endswith(_AMOUNTS) and value}
    return {**amounts, **_LONGEST}
