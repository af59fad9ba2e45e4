"""``waypost user``: people who may sign in, by the operator."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from waypost.commands.common import BAD_USE, Data, fail, read_settings, run
from waypost.kernel.principal import Role
from waypost.platform.embedded import default_data_dir
from waypost.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="People who may sign in.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("add")(add)
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
    password = os.environ.get("WAYPOST_PASSWORD") or typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    settings = read_settings(data or default_data_dir())
    org_id = run(_add(settings, name, org, phone, email, role, password, new_org=new_org))
    typer.echo(f"{name} is {role} of {org} ({org_id})")


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
    from waypost.wiring import open_services

    async with open_services(settings) as services:
        identity = services.identity
        org_id = await identity.add_organisation(org) if new_org else await identity.organisation_named(org)
        await identity.add_user(org_id=org_id, name=name, role=role, password=password, phone=phone, email=email)
        return str(org_id)
