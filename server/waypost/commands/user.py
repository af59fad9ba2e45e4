"""``waypost user``: people who may sign in, by the operator."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from waypost.commands.common import BAD_USE, Data, Org, fail, operator_settings, run, services_of, table
from waypost.kernel.principal import Role
from waypost.settings import Settings

Who = Annotated[str, typer.Argument(help="The person's phone number, e-mail address or id.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="People who may sign in.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_people)
    group.command("disable")(disable)
    group.command("enable")(enable)
    group.command("password")(password)
    group.command("role")(role)
    app.add_typer(group, name="user")


def add(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    org: Annotated[str, typer.Option(help="The organisation's name.")],
    phone: Annotated[str | None, typer.Option(help="Phone number to sign in with, in international form.")] = None,
    email: Annotated[str | None, typer.Option(help="E-mail address to sign in with.")] = None,
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.OWNER,
    data: Data = None,
    new_org: Annotated[bool, typer.Option("--new-org", help="Make the organisation first.")] = False,
) -> None:
    """Add a person to an organisation. The password is asked for, or taken from WAYPOST_PASSWORD."""
    if phone is None and email is None:
        fail("give --phone or --email to sign in with", BAD_USE)
    secret = _password()
    org_id = run(_add(operator_settings(data), name, org, phone, email, role, secret, new_org=new_org))
    typer.echo(f"{name} is {role} of {org} ({org_id})")


def list_people(
    org: Annotated[str | None, typer.Option(help="Only of this organisation, by name or id.")] = None,
    data: Data = None,
) -> None:
    """List who may sign in, and as what."""
    typer.echo(table(run(_rows(operator_settings(data), org))))


def disable(who: Who, data: Data = None) -> None:
    """Shut a person out of every organisation; their sessions end within five seconds."""
    changed = run(_call(operator_settings(data), "disable", who))
    typer.echo(f"{who} is shut out" if changed else f"{who} was shut out already")


def enable(who: Who, data: Data = None) -> None:
    """Let a person in again."""
    changed = run(_call(operator_settings(data), "enable", who))
    typer.echo(f"{who} may sign in again" if changed else f"{who} was not shut out")


def password(who: Who, data: Data = None) -> None:
    """Give a person a new password, asked for or taken from WAYPOST_PASSWORD; whoever is signed in as them is not."""
    run(_call(operator_settings(data), "set_password", who, _password()))
    typer.echo(f"{who} has the new password")


def role(
    who: Who,
    new: Annotated[Role, typer.Argument(metavar="ROLE", help="What the person may do from now on.")],
    org: Org,
    data: Data = None,
) -> None:
    """Give a person another role in an organisation."""
    run(_give_role(operator_settings(data), org, who, new))
    typer.echo(f"{who} is {new} of {org}")


def _password() -> str:
    given = os.environ.get("WAYPOST_PASSWORD")
    return given or str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


async def _add(
    settings: Settings,
    name: str,
    org: str,
    phone: str | None,
    email: str | None,
    role: Role,
    password: str,
    *,
    new_org: bool,
) -> str:
    async with services_of(settings) as services:
        identity = services.identity
        org_id = await identity.add_organisation(org) if new_org else await services.operator.organisation(org)
        await identity.add_user(org_id=org_id, name=name, role=role, password=password, phone=phone, email=email)
        return str(org_id)


async def _rows(settings: Settings, org: str | None) -> list[tuple[str, ...]]:
    async with services_of(settings) as services:
        org_id = await services.operator.organisation(org) if org is not None else None
        people = await services.operator.people(org_id)
    rows: list[tuple[str, ...]] = [("id", "name", "signs in with", "organisation", "role", "state")]
    for person in people:
        address = " ".join(filter(None, (person.phone, person.email)))
        state = f"shut out {person.disabled_at:%Y-%m-%d}" if person.disabled_at else ""
        rows.append((str(person.id), person.name, address, person.org_name or "-", person.role or "-", state))
    return rows


async def _call(settings: Settings, what: str, *words: str) -> object:
    """One of the operator's doings, by its name."""
    async with services_of(settings) as services:
        return await getattr(services.operator, what)(*words)


async def _give_role(settings: Settings, org: str, who: str, new: Role) -> None:
    async with services_of(settings) as services:
        await services.operator.give_role(await services.operator.organisation(org), who, new)
