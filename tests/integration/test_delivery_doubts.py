"""Doubt: what may have been sent is repeated only where that does no harm, never called unsent; what persons decide."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.fakes.mail import Fault
from tests.notices import ALL_DUE, World, changed, telling
from waypost.notifications.render import TEMPLATES, renderer
from waypost.notifications.words.service import Words

DATABASE_TIMEOUT_S = 5


@pytest.fixture
async def world(environment: dict[str, str]) -> AsyncIterator[World]:
    async with telling(environment) as opened:
        yield opened


async def test_what_is_in_doubt_is_repeated_with_the_same_message_id_and_the_same_words(world: World):
    world.mail.faults.append(Fault.ACCEPT_THEN_DROP)
    delivery = await world.told()
    await world.attempt(delivery)
    await world.relay.sweep()
    assert (await world.row(delivery))["state"] == "in_doubt"  # not before its time
    await world.query(ALL_DUE)
    await world.relay.sweep()
    assert (await world.row(delivery))["state"] == "pending"
    await world.attempt(delivery)
    first, second = world.mail.accepted
    assert first.reference == second.reference == f"<{delivery}@jacaranda.example>"
    assert first.message.get_content_type() == second.message.get_content_type() == "multipart/alternative"
    assert [part.get_content() for part in first.message.iter_parts()] == [
        part.get_content() for part in second.message.iter_parts()
    ]
    assert (await world.row(delivery))["state"] == "sent"


async def test_a_repeat_says_the_same_words_though_the_template_has_changed_meanwhile(world: World, tmp_path: Path):
    world.mail.faults.append(Fault.ACCEPT_THEN_DROP)
    delivery = await world.told()
    await world.attempt(delivery)
    shutil.copytree(TEMPLATES, tmp_path / "new")
    (tmp_path / "new/en/trip_started.txt").write_text("Quite another subject\n\nAnd another text.\n")
    await world.query(ALL_DUE)
    await world.relay.sweep()
    await changed(world.deliveries, words=Words(renderer(tmp_path / "new"))).attempt(world.org.org_id, delivery)
    first, second = world.mail.accepted
    assert first.message["Subject"] == second.message["Subject"]
    assert [part.get_content() for part in first.message.iter_parts()] == [
        part.get_content() for part in second.message.iter_parts()
    ]
    world.mail.faults.append(Fault.NEVER)
    other = await world.told()
    await world.attempt(other)
    await world.services.stuck.replay(world.org.owner, other, "the template was at fault")
    await changed(world.deliveries, words=Words(renderer(tmp_path / "new"))).attempt(world.org.org_id, other)
    assert world.mail.accepted[-1].message["Subject"] == "Quite another subject"  # the first surely did not go out


async def test_what_is_in_doubt_on_a_channel_that_may_not_repeat_waits_for_a_person(world: World):
    world.mail.faults.append(Fault.ACCEPT_THEN_DROP)
    delivery = await world.told()
    await world.attempt(delivery)
    await world.query("UPDATE deliveries SET channel = 'sms' WHERE id = $1", delivery)
    await world.query(ALL_DUE)
    await world.relay.sweep()
    assert (await world.row(delivery))["state"] == "in_doubt"


async def test_what_is_in_doubt_after_its_last_try_waits_for_a_person(world: World):
    world.mail.faults.extend([Fault.ACCEPT_THEN_DROP] * 9)
    delivery = await world.told()
    for _ in range(10):
        await world.query(ALL_DUE)
        await world.relay.sweep()
        await world.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["attempt"], row["budget"]) == ("in_doubt", 8, 8)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("UPDATE notifications SET valid_until = now() - interval '1 minute'", "valid_until"),
        ("UPDATE trips SET status = 'cancelled', cancelled_at = now()", "trip_cancelled"),
    ],
)
async def test_what_may_have_been_sent_is_never_called_expired_or_cancelled(world: World, spoil: str, reason: str):
    world.mail.faults.append(Fault.ACCEPT_THEN_DROP)
    delivery = await world.told()
    await world.attempt(delivery)
    await world.query(spoil)
    await world.query(ALL_DUE)
    await world.relay.sweep()
    await world.attempt(delivery)
    await world.relay.sweep()  # it does not go round and round either
    row = await world.row(delivery)
    assert (row["state"], row["reason"], row["attempt"], len(world.mail.accepted)) == ("in_doubt", reason, 1, 1)


@pytest.mark.parametrize(("fault", "attempts"), [(Fault.NOT_NOW, 8), (Fault.NEVER, 2)])
async def test_what_may_have_been_sent_is_never_called_dead_or_refused(world: World, fault: Fault, attempts: int):
    world.mail.faults.extend([Fault.ACCEPT_THEN_DROP, *[fault] * 8])
    delivery = await world.told()
    await world.attempt(delivery)
    await world.query(ALL_DUE)
    await world.relay.sweep()
    for _ in range(7):
        await world.attempt(delivery)
        await world.query("UPDATE deliveries SET due_at = now() WHERE state = 'pending'")
    row = await world.row(delivery)
    assert (row["state"], row["reason"], row["attempt"]) == ("in_doubt", "smtp_data", attempts)
    again = await world.services.stuck.resolve(world.org.owner, delivery, "not in their log", send_again=True)
    assert again.state == "pending"
    world.mail.faults.clear()
    await world.attempt(delivery)
    assert (await world.row(delivery))["state"] == "sent"


@pytest.mark.parametrize(("fault", "state"), [(Fault.NEVER, "failed"), (Fault.ACCEPT_THEN_DROP, "in_doubt")])
async def test_what_a_person_sends_again_after_its_time_does_go_out(world: World, fault: Fault, state: str):
    world.mail.faults.append(fault)
    delivery = await world.told()
    await world.attempt(delivery)
    assert (await world.row(delivery))["state"] == state
    await world.query("UPDATE notifications SET valid_until = now() - interval '1 minute'")
    notifications, owner = world.services.stuck, world.org.owner
    if state == "failed":
        await notifications.replay(owner, delivery, "they said they had nothing")
    else:
        await notifications.resolve(owner, delivery, "they said they had nothing", send_again=True)
    await world.attempt(delivery)
    assert (await world.row(delivery))["state"] == "sent"
    (valid,) = await world.query("SELECT valid_until - now() AS left FROM notifications")
    assert timedelta(hours=5) < valid["left"] < timedelta(hours=7)


@pytest.mark.parametrize(
    "newer",
    ["UPDATE notifications SET kind = 'trip_teleported'", "UPDATE deliveries SET channel = 'pigeon'"],
)
async def test_what_a_newer_version_has_made_is_left_to_a_newer_worker(world: World, newer: str):
    delivery = await world.told()
    await world.query(newer)
    await world.attempt(delivery)
    row = await world.row(delivery)
    assert (row["state"], row["reason"], row["attempt"], await world.attempts()) == ("pending", None, 0, [])


async def test_what_was_let_be_and_is_sent_after_all_says_what_it_may_have_said_before(world: World, tmp_path: Path):
    world.mail.faults.append(Fault.ACCEPT_THEN_DROP)
    delivery = await world.told()
    await world.attempt(delivery)
    notifications, owner = world.services.stuck, world.org.owner
    await notifications.resolve(owner, delivery, "they will have it", send_again=False)
    await notifications.replay(owner, delivery, "they have not")
    shutil.copytree(TEMPLATES, tmp_path / "new")
    (tmp_path / "new/en/trip_started.txt").write_text("Quite another subject\n\nAnd another text.\n")
    await changed(world.deliveries, words=Words(renderer(tmp_path / "new"))).attempt(world.org.org_id, delivery)
    first, second = world.mail.accepted
    assert first.message["Subject"] == second.message["Subject"]
