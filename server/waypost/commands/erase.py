"""``waypost erase``: a person's right to be forgotten, by the operator."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from waypost.commands.common import BAD_USE, Data, fail, operator_settings, run, services_of
from waypost.erasure.domain import Erased, Person, Unsettled
from waypost.erasure.service import Erasure
from waypost.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    group = typer.Typer(help="Forget a person.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("customer")(customer)
    app.add_typer(group, name="erase")


def customer(
    customer_id: Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even with an open layby, money that is owed, or a trip to come.")
    ] = False,
    data: Data = None,
) -> None:
    """Forget a customer: name, addresses, what they were told and what they said. It cannot be undone.

    Amounts, laybys and payments stay in the books, without them; what is still to be sent is cancelled; the audit log
    stays, without their name and addresses. It may be repeated: a second time finds what has come since.
    """
    try:
        wanted = UUID(customer_id)
    except ValueError:
        fail(f"{customer_id!r} is no id", BAD_USE)
    settings = operator_settings(data)
    person, unsettled = run(_look(settings, wanted))
    complaints = list(unsettled.complaints())
    typer.echo(f"{person.name}, a customer of {person.org_name}")
    for complaint in complaints:
        typer.echo(f"  still to be settled - {complaint}")
    if complaints and not force:
        fail("settle that first, or say --force")
    if not yes:
        typer.confirm("Forget this person for good?", abort=True)
    _say(run(_erase(settings, wanted, force=force)))


def _say(erased: Erased) -> None:
    for what, count in erased.counts:
        if count:
            typer.echo(f"  {what}: {count}")
    typer.echo("forgotten" if erased.total else "there was nothing left to forget")
    if erased.person.shared:
        typer.echo("An address is another's, too: what stands under it alone is kept.")
    if erased.left:
        typer.echo(f"Raw callbacks that somebody has yet to settle: {erased.left}. Settle them, then run this again.")


async def _look(settings: Settings, customer_id: UUID) -> tuple[Person, Unsettled]:
    async with services_of(settings) as services:
        return await Erasure(services.database, services.clock, services.book.forget).look(customer_id)


async def _erase(settings: Settings, customer_id: UUID, *, force: bool) -> Erased:
    async with services_of(settings) as services:
        erasure = Erasure(services.database, services.clock, services.book.forget)
        return await erasure.erase(customer_id, force=force)
