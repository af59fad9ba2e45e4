"""Bodies of the registers."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, UnsetType

from waypost.directory import domain
from waypost.platform.codec import NO_NUL, SOME_TEXT, Instant, instant
from waypost.platform.queries import PageQuery

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=SOME_TEXT)]
PhoneText = Annotated[str, Meta(min_length=1, max_length=40, pattern=NO_NUL)]
EmailText = Annotated[str, Meta(min_length=3, max_length=254, pattern=NO_NUL)]
Plate = Annotated[str, Meta(min_length=1, max_length=40, pattern=SOME_TEXT)]
Locale = Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z")]
ZoneName = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL)]
RootName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r'^[^\x00-\x1f"\\]*\Z')]
FieldPath = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00.]+(\.[^\x00.]+)*\Z")]
OwntracksSecret = Annotated[str, Meta(min_length=1, max_length=32, pattern=NO_NUL)]  # the app takes no longer one
FieldName = Literal[
    "latitude", "longitude", "timestamp", "accuracy", "speed", "heading", "altitude", "battery", "mock", "id", "event"
]
SearchText = Annotated[str, Meta(min_length=1, max_length=100, pattern=NO_NUL)]


def given(body: msgspec.Struct) -> dict[str, Any]:
    """The columns that a body names: null empties one, what is left out stays."""
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}


class Shown(msgspec.Struct, rename="camel", omit_defaults=True):
    """What is shown of something: its fields of the same names, moments as JSON has them."""

    @classmethod
    def from_domain(cls, thing: object) -> Self:
        values = {name: getattr(thing, name) for name in cls.__struct_fields__ if hasattr(thing, name)}
        return cls(**{name: instant(v) if isinstance(v, datetime) else v for name, v in values.items()})


class RegisterQuery(PageQuery):
    """``q``: with this text in its name (or plate, phone, e-mail); ``archived``: those put away instead."""

    q: SearchText | None = None
    archived: bool = False

    def wanted(self) -> domain.Wanted:
        return domain.Wanted(self.q, self.archived)


class NewDriver(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A driver to be. ``user_id``: the member they sign in as."""

    name: Name
    phone: PhoneText | None = None
    user_id: UUID | None = None


class DriverChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    name: Name | UnsetType = UNSET
    phone: PhoneText | None | UnsetType = UNSET
    user_id: UUID | None | UnsetType = UNSET


class Driver(Shown):
    """A person who drives. Viewers see no phone number."""

    id: UUID
    name: str
    created_at: Instant
    version: int
    phone: str | None = None
    user_id: UUID | None = None
    archived_at: Instant | None = None


class NewTruck(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A truck to be."""

    name: Name
    plate: Plate | None = None


class TruckChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    name: Name | UnsetType = UNSET
    plate: Plate | None | UnsetType = UNSET


class Truck(Shown):
    """A vehicle of the organisation."""

    id: UUID
    name: str
    created_at: Instant
    version: int
    plate: str | None = None
    archived_at: Instant | None = None


class NewCustomer(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A customer to be. ``locale``: a BCP 47 tag such as ``en``; ``time_zone``: a name such as ``Africa/Harare``."""

    name: Name
    phone: PhoneText | None = None
    email: EmailText | None = None
    locale: Locale | None = None
    time_zone: ZoneName | None = None


class CustomerChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null empties a field, one that is left out stays."""

    name: Name | UnsetType = UNSET
    phone: PhoneText | None | UnsetType = UNSET
    email: EmailText | None | UnsetType = UNSET
    locale: Locale | None | UnsetType = UNSET
    time_zone: ZoneName | None | UnsetType = UNSET


class Customer(Shown):
    """Who is delivered to."""

    id: UUID
    name: str
    created_at: Instant
    version: int
    phone: str | None = None
    email: str | None = None
    locale: str | None = None
    time_zone: str | None = None
    archived_at: Instant | None = None


class DeviceState(StrEnum):
    """Does its token open anything?"""

    ACTIVE = "active"
    REVOKED = "revoked"


class DevicesQuery(PageQuery):
    """Which devices a list shows."""

    driver_id: UUID | None = None
    truck_id: UUID | None = None
    state: DeviceState | None = None

    def wanted(self) -> domain.DevicesWanted:
        revoked = None if self.state is None else self.state is DeviceState.REVOKED
        return domain.DevicesWanted(self.driver_id, self.truck_id, revoked)


class NewDevice(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A phone for a driver, in a truck or not."""

    name: Name
    driver_id: UUID
    truck_id: UUID | None = None


class TransistorApp(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How the app's background-geolocation SDK was told to write: ``root`` is its ``httpRootProperty``; ``fields`` says
    where its ``locationTemplate`` puts each of ours, as a path such as ``coords.latitude`` or ``0``.
    """

    root: RootName | None = None
    fields: dict[FieldName, FieldPath] = {}


class AppsChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How the phone's tracking app is set; null takes a setting away, what is left out stays."""

    transistor: TransistorApp | None | UnsetType = UNSET
    owntracks_secret: OwntracksSecret | None | UnsetType = UNSET

    def values(self) -> dict[str, Any]:
        values = given(self)
        if isinstance(self.transistor, TransistorApp):
            fields = {str(name): path for name, path in self.transistor.fields.items()}
            values["transistor"] = domain.Transistor(self.transistor.root, fields)
        return values


class DeviceChange(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What is to change; null takes the phone out of its truck, what is left out stays."""

    name: Name | UnsetType = UNSET
    driver_id: UUID | UnsetType = UNSET
    truck_id: UUID | None | UnsetType = UNSET
    apps: AppsChange | UnsetType = UNSET

    def values(self) -> dict[str, Any]:
        values = given(self)
        return values | {"apps": self.apps.values()} if isinstance(self.apps, AppsChange) else values


class Device(Shown):
    """A phone that reports. ``old_token_until``: so long the token before the present one goes on."""

    id: UUID
    name: str
    driver_id: UUID
    driver_name: str
    created_at: Instant
    version: int
    truck_id: UUID | None = None
    truck_name: str | None = None
    revoked_at: Instant | None = None
    last_seen_at: Instant | None = None
    old_token_until: Instant | None = None
    transistor: TransistorApp | None = None
    has_owntracks_secret: bool = False

    @classmethod
    def from_domain(cls, thing: object) -> Self:
        shown = super().from_domain(thing)
        if isinstance(thing, domain.Device) and thing.transistor is not None:
            app = msgspec.convert(msgspec.to_builtins(thing.transistor), TransistorApp)
            shown = msgspec.structs.replace(shown, transistor=app)
        return shown


class SetUp(msgspec.Struct, rename="camel"):
    """What the driver types where: the server's address, and words to read out or send on."""

    url: str
    text: str


class DeviceWithToken(msgspec.Struct, rename="camel", omit_defaults=True):
    """A phone and its new token, which is in this answer and in no later one."""

    id: UUID
    name: str
    driver_id: UUID
    driver_name: str
    created_at: Instant
    version: int
    token: str
    setup: SetUp
    truck_id: UUID | None = None
    truck_name: str | None = None
    last_seen_at: Instant | None = None
    old_token_until: Instant | None = None
    transistor: TransistorApp | None = None
    has_owntracks_secret: bool = False

    @classmethod
    def of(cls, device: domain.Device, token: str, url: str) -> DeviceWithToken:
        shown = msgspec.structs.asdict(Device.from_domain(device))
        shown.pop("revoked_at")
        return cls(**shown, token=token, setup=SetUp(url, domain.set_up_text(url, token)))
