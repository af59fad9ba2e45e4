"""Double entry: lines that sum to zero, accounts whose ids follow from what they are."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waypost.ledger.domain import KINDS, Account, Line, Unbalanced, account_id, moved, settled

ORG, OTHER = UUID(int=1), UUID(int=2)
PLACES = st.tuples(st.sampled_from(Account), st.sampled_from([None, ORG, OTHER]))
AMOUNTS = st.integers(-(10**15), 10**15)


@st.composite
def balanced(draw: st.DrawFn) -> list[Line]:
    """Lines of an entry: the last makes it come to zero."""
    lines = [Line(account, draw(AMOUNTS), party) for account, party in draw(st.lists(PLACES, max_size=8))]
    account, party = draw(PLACES)
    return [*lines, Line(account, -sum(line.amount_minor for line in lines), party)]


@given(balanced())
def test_settled_lines_say_the_same_once_for_each_account(lines: list[Line]):
    kept = settled(lines)
    places = [(line.account, line.counterparty_org_id) for line in kept]
    assert len(places) == len(set(places))
    assert sum(line.amount_minor for line in kept) == 0
    assert all(line.amount_minor for line in kept)
    for account, party in {(line.account, line.counterparty_org_id) for line in lines}:
        before, after = (
            sum(each.amount_minor for each in some if (each.account, each.counterparty_org_id) == (account, party))
            for some in (lines, kept)
        )
        assert before == after


@given(balanced(), AMOUNTS.filter(bool))
def test_lines_that_do_not_sum_to_zero_are_a_mistake(lines: list[Line], too_much: int):
    with pytest.raises(Unbalanced):
        settled([*lines, Line(Account.BANK, too_much)])


def test_an_amount_is_moved_from_the_credited_to_the_debited_account():
    assert moved(500, debit=Account.CASH, credit=Account.DEPOSITS_HELD) == [
        Line(Account.CASH, 500),
        Line(Account.DEPOSITS_HELD, -500),
    ]


def test_every_account_has_a_kind():
    assert set(KINDS) == set(Account)


def test_an_accounts_id_follows_from_what_it_is():
    same = {account_id(ORG, Account.CASH, "KES") for _ in range(3)}
    others = {
        account_id(ORG, account, currency, party)
        for account in Account
        for currency in ("KES", "USD")
        for party in (None, OTHER)
    }
    assert len(same) == 1
    assert len(others) == len(Account) * 4
    assert account_id(OTHER, Account.CASH, "KES") not in others
    assert account_id(UUID(int=1), Account.CASH, "KES") == UUID("76904fc5-d170-51f8-9015-86108b2cf78b")
