"""``waypost token``: the device tokens of an organisation, by the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from waypost.commands.common import Data, Org, operator_settings, run, services_of, table
from waypost.kernel.errors import invalid_field
from waypost.kernel.principal import Principal
from waypost.settings import Settings

if TYPE_CHECKING:
    from waypost.wiring import Services

PAGE = 200


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    group = typer.Typer(help="Tokens that drivers' phones report with.", no_args_is_help=True)
    group.command("give")(give)
    group.command("list")(list_devices)
    group.command("revoke")(revoke)
    app.add_typer(group, name="token")


def give(
    org: Org,
    driver: Annotated[str, typer.Option(help="The driver's name or id.")],
    name: Annotated[str | None, typer.Option(help="What to call the device [default: the driver's name].")] = None,
    truck: Annotated[UUID | None, typer.Option(help="Id of the truck that the device is in.")] = None,
    data: Data = None,
) -> None:
    """Add a device for a driver and print its token: this once, only a hash of it is kept."""
    device_id, token = run(_give(operator_settings(data), org, driver, name, truck))
    typer.echo(f"device {device_id}", err=True)
    typer.echo(token)


def list_devices(org: Org, data: Data = None) -> None:
    """List an organisation's devices. Their tokens cannot be shown again."""
    typer.echo(table(run(_rows(operator_settings(data), org))))


def revoke(
    org: Org,
    device: Annotated[UUID, typer.Argument(help="The device's id, as `waypost token list` says it.")],
    data: Data = None,
) -> None:
    """Withdraw a device's token for good; it stops working within five seconds."""
    run(_revoke(operator_settings(data), org, device))
    typer.echo(f"revoked {device}")


async def _give(settings: Settings, org: str, driver: str, name: str | None, truck: UUID | None) -> tuple[UUID, str]:
    async with services_of(settings) as services:
        operator = await _operator(services, org)
        driver_id, driver_name = await _driver(services, operator, driver)
        device, token = await services.directory.devices.add(
            operator, name=name or driver_name, driver_id=driver_id, truck_id=truck
        )
        return device.id, token


async def _rows(settings: Settings, org: str) -> list[tuple[str, ...]]:
    from waypost.directory.domain import DevicesWanted

    rows: list[tuple[str, ...]] = [("id", "name", "driver", "state")]
    cursor: str | None = None
    async with services_of(settings) as services:
        operator = await _operator(services, org)
        while True:
            page = await services.directory.devices.list(operator, DevicesWanted(), PAGE, cursor)
            for device in page.data:
                state = f"revoked {device.revoked_at:%Y-%m-%d}" if device.revoked_at else "in use"
                rows.append((str(device.id), device.name, str(device.driver_id), state))
            if (cursor := page.next_cursor) is None:
                return rows


async def _revoke(settings: Settings, org: str, device: UUID) -> None:
    async with services_of(settings) as services:
        await services.directory.devices.revoke(await _operator(services, org), device)


async def _operator(services: Services, org: str) -> Principal:
    from waypost.identity.operator import operator_of

    return operator_of(await services.operator.organisation(org))


async def _driver(services: Services, operator: Principal, text: str) -> tuple[UUID, str]:
    """A driver by id or name; ``Invalid`` when nobody, or more than one, is called that."""
    from waypost.directory.domain import Wanted

    try:
        driver = await services.directory.drivers.find(operator, UUID(text))
        return driver.id, driver.name
    except ValueError:
        page = await services.directory.drivers.list(operator, Wanted(text=text), PAGE, None)
    called = [driver for driver in page.data if driver.name.casefold() == text.casefold()]
    if len(called) != 1:
        raise invalid_field("--driver", f"{len(called) or 'no'} drivers are called {text!r}; give the id")
    return called[0].id, called[0].name
