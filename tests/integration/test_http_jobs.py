"""Exports and jobs over HTTP: what is refused and how, the file and its headers, what breaks off."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import aiohttp
import pytest

from tests.conftest import Api
from tests.factories import Org, organisation
from tests.integration.test_jobs import seed
from waypost.jobs.domain import Asked, Job
from waypost.kernel.principal import Role
from waypost.platform.database import SYSTEM
from waypost.trips.export import ROWS_A_STEP
from waypost.wiring import Services
from waypost.wiring_work import job_runner_over

EXPORTS, JOBS = "/api/v1/exports", "/api/v1/jobs"


async def run(services: Services, org: Org, job_id: str) -> None:
    await job_runner_over(services).run(org.org_id, UUID(job_id))


async def test_an_export_is_accepted_done_by_a_worker_and_its_file_is_had_with_its_headers(
    services: Services, org: Org, api: Api
):
    await org.phone()
    api = api.as_(await org.token())
    asked = await api("POST", EXPORTS, {"kind": "trips", "bom": True, "reason": "for the books"})
    assert asked.status == 202
    assert (
        asked.json.items() >= {"kind": "export.trips", "state": "queued", "done": 0, "reason": "for the books"}.items()
    )
    early = await api("GET", f"{JOBS}/{asked.json['id']}/file")
    assert (early.status, early.json["code"], early.json["jobState"]) == (409, "job-not-done", "queued")
    await run(services, org, asked.json["id"])
    job = (await api("GET", f"{JOBS}/{asked.json['id']}")).json
    assert (job["state"], job["done"], job["total"], job["userName"]) == ("done", 1, 1, "Owner")
    file = await api("GET", f"{JOBS}/{job['id']}/file")
    assert file.status == 200
    assert file.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert file.headers["Content-Disposition"] == f'attachment; filename="{job["file"]["name"]}"'
    assert (file.headers["Cache-Control"], file.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
    assert len(file.json) == job["file"]["size"] == int(file.headers["Content-Length"])
    assert file.json.startswith(b"\xef\xbb\xbfid,reference,")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "kind"),
        ({"kind": "planets"}, "kind"),
        ({"kind": "trips", "format": "pdf"}, "format"),
        ({"kind": "trips", "status": "lost"}, "status"),
        ({"kind": "trips", "from": "2026-11-22T00:00:00"}, "from"),
        ({"kind": "trips", "from": "2026-11-22T00:00:00Z", "to": "2026-11-22T00:00:00Z"}, "to"),
        ({"kind": "trips", "from": "2500-01-01T00:00:00Z"}, "from"),
        ({"kind": "trips", "colour": "red"}, "colour"),
    ],
)
async def test_what_cannot_be_exported_is_refused_by_its_field(org: Org, api: Api, body: object, field: str):
    answer = await api.as_(await org.token())("POST", EXPORTS, body)
    assert (answer.status, answer.json["errors"][0]["field"]) == (422, field)


async def test_one_key_makes_one_job(org: Org, api: Api):
    api, headers = api.as_(await org.token()), {"Idempotency-Key": str(uuid4())}
    first = await api("POST", EXPORTS, {"kind": "trips"}, headers=headers)
    again = await api("POST", EXPORTS, {"kind": "trips"}, headers=headers)
    assert first.json == again.json
    assert len((await api("GET", JOBS)).json["data"]) == 1


async def test_more_jobs_than_the_organisations_share_are_refused_with_a_word_when_to_come_again(org: Org, api: Api):
    api = api.as_(await org.token())
    answers = [await api("POST", EXPORTS, {"kind": "trips"}) for _ in range(6)]
    assert [answer.status for answer in answers] == [202] * 5 + [429]
    assert (answers[-1].json["code"], answers[-1].json["limit"]) == ("too-many-jobs", 5)
    assert int(answers[-1].headers["Retry-After"]) > 0
    cancelled = await api("POST", f"{JOBS}/{answers[0].json['id']}/cancel")
    assert (cancelled.status, cancelled.json["state"]) == (200, "cancelled")
    assert (await api("POST", EXPORTS, {"kind": "trips"})).status == 202
    listed = (await api("GET", f"{JOBS}?state=cancelled&fields=id,state")).json["data"]
    assert listed == [{"id": answers[0].json["id"], "state": "cancelled"}]


async def test_a_list_is_paged_newest_first(org: Org, api: Api):
    api = api.as_(await org.token())
    ids = [(await api("POST", EXPORTS, {"kind": "trips"})).json["id"] for _ in range(4)]
    first = (await api("GET", f"{JOBS}?limit=3")).json
    rest = (await api("GET", f"{JOBS}?limit=3&cursor={first['nextCursor']}")).json
    assert [job["id"] for job in first["data"] + rest["data"]] == ids[::-1]
    assert (first["hasMore"], rest["hasMore"]) == (True, False)


async def test_to_others_a_job_does_not_exist_and_some_may_ask_for_none(services: Services, org: Org, api: Api):
    _, dispatcher = await org.person(Role.DISPATCHER)
    _, viewer = await org.person(Role.VIEWER)
    stranger = await organisation(services, "Mutare Movers")
    job = (await api.as_(await org.token())("POST", EXPORTS, {"kind": "trips"})).json["id"]
    for token in (await org.token(dispatcher), await stranger.token()):
        for method, path in (("GET", ""), ("GET", "/file"), ("POST", "/cancel")):
            answer = await api.as_(token)(method, f"{JOBS}/{job}{path}")
            assert (answer.status, answer.json["code"]) == (404, "job-not-found")
    for token in (await org.token(viewer), (await org.phone()).token):
        assert (await api.as_(token)("POST", EXPORTS, {"kind": "trips"})).status == 403
        assert (await api.as_(token)("GET", JOBS)).status == 403


async def test_a_file_whose_days_are_over_says_so(services: Services, org: Org, api: Api):
    api = api.as_(await org.token())
    job = (await api("POST", EXPORTS, {"kind": "trips"})).json["id"]
    runner = job_runner_over(services)
    await replace(runner, rules=replace(runner.rules, file_kept=timedelta(0))).run(org.org_id, UUID(job))
    answer = await api("GET", f"{JOBS}/{job}/file")
    assert (answer.status, answer.json["code"]) == (404, "job-file-expired")
    over = await api("POST", f"{JOBS}/{job}/cancel")
    assert (over.status, over.json["code"], over.json["jobState"]) == (409, "job-over", "done")


async def big_job(services: Services, org: Org) -> Job:
    """A job that is done, of six chunks."""
    other = await organisation(services, "Mutare Movers")
    await seed(services, org.org_id, other.org_id, 6 * ROWS_A_STEP)
    job = await services.jobs.export(org.owner, Asked("trips"))
    await job_runner_over(services).run(org.org_id, job.id)
    return job


async def test_a_file_that_is_deleted_while_it_is_read_breaks_off_and_is_never_something_else(
    services: Services, org: Org, api: Api
):
    job = await big_job(services, org)
    async with services.database.transaction(SYSTEM) as conn:
        await conn.execute("DELETE FROM job_chunks WHERE n = 5")
    headers = {"Authorization": f"Bearer {await org.token()}"}
    async with aiohttp.ClientSession() as session:
        answer = await session.get(f"{api.url}{JOBS}/{job.id}/file", headers=headers)
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await answer.read()
        async with session.get(f"{api.url}{JOBS}/{job.id}", headers=headers) as answer:
            assert answer.status == 200  # the server goes on


async def test_who_leaves_in_the_middle_of_a_file_does_no_harm(services: Services, org: Org, api: Api):
    job = await big_job(services, org)
    headers = {"Authorization": f"Bearer {await org.token()}"}
    for _ in range(3):
        async with aiohttp.ClientSession() as session:
            answer = await session.get(f"{api.url}{JOBS}/{job.id}/file", headers=headers)
            await answer.content.readexactly(100)
            answer.close()
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{api.url}{JOBS}/{job.id}/file", headers=headers) as answer,
    ):
        assert (await answer.read()).count(b"\r\n") == 6 * ROWS_A_STEP + 1
