"""The written agreement: what was agreed at the start, whatever has happened since."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from waypost.identity.domain import Selling
from waypost.identity.letterhead import letterhead
from waypost.laybys.cancellation import WorkingLine
from waypost.laybys.domain import Item, Layby
from waypost.laybys.rule_lines import rule_lines
from waypost.platform.papers.model import Block, Column, Field, Paper, Signatures, Table, Text
from waypost.platform.papers.pen import Pen


@dataclass(frozen=True, slots=True)
class Parties:
    """Who agrees with whom. ``locale``: of the customer, a BCP 47 tag."""

    org_name: str
    customer_name: str
    customer_phone: str | None
    customer_email: str | None
    locale: str | None


def agreement(layby: Layby, items: Sequence[Item], parties: Parties, selling: Selling, pen: Pen) -> Paper:
    """As a paper to sign, or to keep."""
    shop = letterhead(parties.org_name, selling, pen.say)
    facts = [
        Field(pen.say("reference"), layby.reference),
        Field(pen.say("date"), pen.day(layby.start_date)),
        Field(pen.say("last_day"), pen.day(_agreed_end(layby))),
    ]
    blocks: list[Block] = [
        _goods(layby, items, pen),
        *_schedule(layby, pen),
        _paying(layby, pen),
        _late(layby, pen),
        _cancelling(layby, pen),
        _collecting(layby, selling, pen),
        *_law(layby, pen),
        Signatures([pen.say("sign_customer", name=parties.customer_name), pen.say("sign_shop", name=shop.name)]),
    ]
    to = to_lines(parties)
    return Paper(pen.how.language, pen.say("agreement"), layby.reference, shop, to, facts, blocks, pen.words["page"])


def to_lines(parties: Parties) -> list[str]:
    """The customer, as a paper names them."""
    return [line for line in (parties.customer_name, parties.customer_phone, parties.customer_email) if line]


def _agreed_end(layby: Layby) -> date:
    return max((each.agreed_date for each in layby.instalments), default=layby.final_date)


def _goods(layby: Layby, items: Sequence[Item], pen: Pen) -> Table:
    columns = [
        Column(pen.say("code"), share=1),
        Column(pen.say("item"), share=3),
        Column(pen.say("quantity"), "right"),
        Column(pen.say("unit_price", currency=layby.currency), "right"),
        Column(pen.say("amount", currency=layby.currency), "right"),
    ]
    rows = [
        [item.product, item.name, str(item.quantity), pen.number(item.unit_price_minor), pen.number(item.total_minor)]
        for item in items
    ]
    fees = [("service_fee", layby.service_fee_minor), ("admin_fee", layby.admin_fee_minor)]
    charged = [(name, minor) for name, minor in fees if minor]
    sums = [("goods_total", layby.items_minor), *charged] if charged else []
    sums += [
        ("price", layby.payable_minor),
        ("deposit", -layby.deposit_minor),
        ("left", layby.payable_minor - layby.deposit_minor),
    ]
    return Table(columns, rows, [Field(pen.say(name), pen.number(minor)) for name, minor in sums], pen.say("goods"))


def _schedule(layby: Layby, pen: Pen) -> list[Block]:
    if not layby.instalments:
        return []
    columns = [
        Column(pen.say("n")),
        Column(pen.say("due_by"), share=3),
        Column(pen.say("amount", currency=layby.currency), "right"),
    ]
    rows = [[str(each.n), pen.day(each.agreed_date), pen.number(each.amount_minor)] for each in layby.instalments]
    total = sum(each.amount_minor for each in layby.instalments)
    return [Table(columns, rows, [Field(pen.say("left"), pen.number(total))], pen.say("schedule"))]


def _paying(layby: Layby, pen: Pen) -> Text:
    words = [pen.say("pay_words", reference=layby.reference), pen.say("pay_early"), pen.say("pay_goods")]
    return Text(words, pen.say("paying"), listed=True)


def _late(layby: Layby, pen: Pen) -> Text:
    rules = layby.terms.rules
    days, missed = rules.late_fee_after_days, rules.default_after_missed
    words = [
        pen.count("late_fee", days, days=str(days), fee=pen.money(rules.late_fee_minor))
        if rules.late_fee_minor
        else pen.say("late_no_fee"),
        pen.count("default", missed, count=str(missed)),
    ]
    if rules.reinstate_days:
        words.append(pen.count("reinstate", rules.reinstate_days, days=str(rules.reinstate_days)))
    if rules.extensions:
        words.append(pen.count("extensions", rules.extensions, count=str(rules.extensions)))
    return Text(words, pen.say("late"), listed=True)


def _cancelling(layby: Layby, pen: Pen) -> Text:
    rule = [_rule(line, pen) for line in rule_lines(layby)]
    return Text([pen.say("cancel_right"), *rule, pen.say("we_cancel")], pen.say("cancelling"), listed=True)


def _rule(line: WorkingLine, pen: Pen) -> str:
    """A line of the rule in words."""
    values = line.params
    if line.code == "no_fee_exemption":
        return pen.say(f"exempt_{values['exemption']}")
    said = {name: values[name] for name in ("text", "days") if name in values}
    if "amountMinor" in values:
        said["amount"] = pen.money(int(values["amountMinor"]))
    if "basisPoints" in values:
        said["percent"] = pen.how.percent(int(values["basisPoints"]))
    return pen.say(line.code, **said)


def _collecting(layby: Layby, selling: Selling, pen: Pen) -> Text:
    days, place = layby.terms.rules.collect_days, selling.collection_place or selling.shop_address
    words = [pen.count("collect", days, days=str(days))]
    if place:
        words.append(
            pen.say("collect_at", place=", ".join(line.strip() for line in place.splitlines() if line.strip()))
        )
    return Text([*words, pen.say("collect_bring")], pen.say("collecting"), listed=True)


def _law(layby: Layby, pen: Pen) -> list[Block]:
    law, words = layby.terms.jurisdiction, []
    if law.code != "NONE":
        place = pen.how.country(law.code)
        is_law = any(letter.isdigit() for letter in law.source)  # practice alone has no number to cite
        words.append(pen.say("law_of", place=place, source=law.source) if is_law else pen.say("law_place", place=place))
    if layby.told_before_at is not None:
        words.append(pen.say("told_before", day=pen.day(pen.day_of(layby.told_before_at))))
    return [Text(words, pen.say("law"))] if words else []
