"""What becomes of a job that failed; who may see one; what an export's cells may hold."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.clock import NOON
from waypost.jobs.domain import (
    MAX_TRIES,
    Job,
    JobFileExpired,
    JobNotDone,
    JobOver,
    State,
    after_failure,
    check_cancellable,
    check_file,
    may_see,
)
from waypost.kernel import csv_text
from waypost.kernel.errors import Invalid
from waypost.kernel.principal import Principal, Role
from waypost.platform.database import DatabaseAway

ORG, OTHER_ORG, ASKER, OTHER = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
JOB = Job(ORG, UUID(int=9), "export.trips", State.DONE, ASKER, NOON, {}, expires_at=NOON, file_sha256=b"x")


def test_waits_double_and_then_the_job_is_given_up():
    waits = [after_failure(tries, RuntimeError()) for tries in range(1, MAX_TRIES + 1)]
    assert [v.wait.total_seconds() for v in waits if v.wait] == [2, 4, 8, 16]
    assert waits[-1].error == "job-kept-failing"


def test_a_refusal_is_final_at_once_and_what_is_away_is_not():
    assert after_failure(1, Invalid()).error == "invalid"
    assert after_failure(1, DatabaseAway()).wait == timedelta(seconds=2)


@pytest.mark.parametrize(
    ("principal", "sees"),
    [
        (Principal(ORG, Role.DISPATCHER, user_id=ASKER), True),
        (Principal(ORG, Role.DISPATCHER, user_id=OTHER), False),
        (Principal(ORG, Role.OWNER, user_id=OTHER), True),
        (Principal(OTHER_ORG, Role.OWNER, user_id=ASKER), False),
    ],
)
def test_a_job_is_seen_by_who_asked_for_it_and_by_owners(principal: Principal, *, sees: bool):
    assert may_see(principal, JOB) is sees


@pytest.mark.parametrize("state", State)
def test_only_a_job_that_ended_otherwise_cannot_be_cancelled(state: State):
    if state in {State.QUEUED, State.RUNNING, State.CANCELLED}:
        check_cancellable(state)
    else:
        with pytest.raises(JobOver, match=state):
            check_cancellable(state)


def test_a_file_can_be_had_when_it_is_done_and_until_it_expires():
    check_file(JOB, NOON - timedelta(seconds=1))
    with pytest.raises(JobFileExpired):
        check_file(JOB, NOON)
    with pytest.raises(JobNotDone):
        check_file(Job(ORG, JOB.id, "export.trips", State.RUNNING, ASKER, NOON, {}), NOON)


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d"])
def test_a_cell_that_a_spreadsheet_would_run_is_made_harmless(first: str):
    text = csv_text.line([f"{first}1+1", "a"])
    assert next(csv.reader(io.StringIO(text, newline="")))[0] == f"'{first}1+1"


def test_a_cell_is_quoted_only_where_it_must_be():
    assert csv_text.line(["a", 'b"c', "d,e", "f\r\ng", None, "h-=+"]) == 'a,"b""c","d,e","f\r\ng",,h-=+\r\n'


@given(st.lists(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=2)))
def test_what_is_written_reads_back_but_for_the_harmless_mark(rows: list[list[str]]):
    text = "".join(csv_text.line(row) for row in rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [[csv_text.harmless(c) for c in row] for row in rows]
