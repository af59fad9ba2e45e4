"""``waypost provider``: by whom an organisation's messages go out, by the operator."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from waypost.commands.common import BAD_USE, Data, Org, fail, operator_settings, run, services_of, table
from waypost.kernel.errors import AppError
from waypost.settings import Settings

if TYPE_CHECKING:
    from waypost.notifications.wire_providers import NewMessageProvider
    from waypost.notifications.wire_providers_shown import MessageProviderWithAddresses

STDIN = Path("-")
POLL_S = 0.5
UNDER_WAY = frozenset({"pending", "sending"})
Id = Annotated[UUID, typer.Argument(help="The provider's id, as `waypost provider list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="By whom an organisation's messages go out.", no_args_is_help=True)
    group.command("add")(add)
    group.command("list")(list_providers)
    group.command("test")(try_out)
    group.command("bounces")(bounces)
    app.add_typer(group, name="provider")


def add(
    org: Org,
    file: Annotated[
        Path, typer.Option(help="JSON as `POST /api/v1/message-providers` takes it; - for standard input.")
    ],
    data: Data = None,
) -> None:
    """Add a provider. It prints the addresses for its reports, which are shown this once.

    The settings come from a file, since they hold secrets, which would stay in the shell's history.
    """
    try:
        text = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
    except OSError as error:
        fail(f"--file {file}: {error.strerror or error}", BAD_USE)
    added = run(_add(operator_settings(data), org, _read(text)))
    typer.echo(f"{added.name} is {added.id}")
    for address in added.callbacks:
        typer.echo(f"  {address.road}: {address.url}")


def list_providers(org: Org, data: Data = None) -> None:
    """List the providers in use, and how they do."""
    typer.echo(table(run(_rows(operator_settings(data), org))))


def try_out(
    provider: Id,
    org: Org,
    to: Annotated[str | None, typer.Option(help="A phone number or an e-mail address; of Apprise, none.")] = None,
    wait_s: Annotated[float, typer.Option("--wait", help="How long to wait for what becomes of it, seconds.")] = 20.0,
    data: Data = None,
) -> None:
    """Send a test message by one provider, as a delivery: a relay and a worker must be running."""
    state, reason = run(_test(operator_settings(data), org, provider, to, wait_s))
    words = f"{state}: {reason}" if reason else state
    if state in UNDER_WAY:
        fail(f"after {wait_s:g} s it is {words}; are a relay and a worker running?")
    if state not in {"sent", "delivered"}:
        fail(words)
    typer.echo(words)


def bounces(data: Data = None) -> None:
    """Print where the installation's own mail server hands on what comes back: POST each message as it is."""
    from waypost.notifications.consent.tokens import Tokens
    from waypost.wiring_ground import needed

    settings = operator_settings(data)
    root = settings.public_url or "https://YOUR-PUBLIC-ADDRESS"
    typer.echo(Tokens.of(root, needed(settings).signing_key).house_url())


def _read(text: bytes) -> NewMessageProvider:
    from waypost.notifications.wire_providers import NewMessageProvider
    from waypost.platform.codec import decode

    try:
        return decode(text, NewMessageProvider)
    except AppError as error:
        wrong = error.extra.get("errors")
        fail(f"{error.detail} {wrong if wrong else ''}".strip(), BAD_USE)


async def _add(settings: Settings, org: str, body: NewMessageProvider) -> MessageProviderWithAddresses:
    from waypost.identity.operator import operator_of
    from waypost.notifications.wire_providers_shown import MessageProviderWithAddresses

    async with services_of(settings) as services:
        principal = operator_of(await services.operator.organisation(org))
        try:
            found, token = await services.telling.providers.add(principal, body.to_domain())
        except AppError as error:
            fail(f"{error.detail} {error.extra.get('errors', '')}".strip(), BAD_USE)
    return MessageProviderWithAddresses.of(found, token, settings.public_url or "https://YOUR-PUBLIC-ADDRESS")


async def _rows(settings: Settings, org: str) -> list[tuple[str, ...]]:
    from waypost.identity.operator import operator_of

    rows: list[tuple[str, ...]] = [("id", "name", "channel", "provider", "sender", "weight", "state")]
    async with services_of(settings) as services:
        principal = operator_of(await services.operator.organisation(org))
        page = await services.telling.providers.list(principal, 100, None, archived=False)
    for each in page.data:
        account, state = each.account, each.health.state if each.health else "closed"
        how = {"closed": "well", "open": "out", "half_open": "being tried"}[state]
        rows.append((
            str(account.id), account.name, str(account.channel), str(account.provider), account.sender or "-",
            str(account.weight), how if account.is_readable else "unreadable",
        ))  # fmt: skip
    return rows


async def _test(settings: Settings, org: str, provider: UUID, to: str | None, wait_s: float) -> tuple[str, str | None]:
    from waypost.identity.operator import operator_of

    async with services_of(settings) as services:
        principal = operator_of(await services.operator.organisation(org))
        trials, clock = services.telling.provider_trials, services.clock
        try:
            trial = await trials.send(principal, provider, to)
        except AppError as error:
            fail(f"{error.detail} {error.extra.get('errors', '')}".strip(), BAD_USE)
        until = clock.monotonic() + wait_s
        while (ended := await trials.outcome(principal, trial))[0] in UNDER_WAY and clock.monotonic() < until:
            await clock.sleep(POLL_S)
        return ended
