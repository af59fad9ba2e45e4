"""The only reader of the environment: one frozen object, all bad values reported at once."""

from __future__ import annotations

import difflib
import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from waypost.kernel.errors import AppError
from waypost.kernel.principal import Role
from waypost.notifications.addresses import ChannelName, is_address

PREFIX = "WAYPOST_"
# Read elsewhere: by the replay command (a client, not the server) and by the tests.
NOT_OURS = frozenset({"WAYPOST_REPLAY_PASSWORD", "WAYPOST_PASSWORD", "WAYPOST_TRACES_DIR"})


def _networks(text: str) -> str:
    for part in text.split(","):
        if part.strip():
            ipaddress.ip_network(part.strip(), strict=False)
    return text


def _origins(text: str) -> str:
    for origin in (part.strip() for part in text.split(",")):
        if origin and origin != "*" and not re.fullmatch(r"https?://[^\s/?#]+", origin):
            raise ValueError("give each as https://name, without a path")
    return text


def _roles(value: object) -> object:
    return frozenset(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _longer_than_a_try(value: float, info: ValidationInfo) -> float:
    if value < 2 * info.data.get("delivery_send_timeout_s", 0):
        raise ValueError("a lease lasts twice as long as WAYPOST_DELIVERY_SEND_TIMEOUT_S, or longer")
    return value


def _only_here_in_the_clear(value: str, info: ValidationInfo) -> str:
    if value == "none" and info.data.get("smtp_host") not in (None, "localhost", "127.0.0.1", "::1"):
        raise ValueError("none is only for a mail server on this very machine; use starttls or tls")
    return value


def _an_address(value: str | None, info: ValidationInfo) -> str | None:
    if value is None and info.data.get("smtp_host") is not None:
        raise ValueError("with WAYPOST_SMTP_HOST an address that e-mail comes from is needed")
    if value is not None and not is_address(ChannelName.EMAIL, value):
        raise ValueError("an e-mail address, such as notices@example.com")
    return value


def _a_root(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", value):
        raise ValueError("give it as https://name, without a query")
    return value.rstrip("/") if value is not None else None


class BadSettings(AppError):
    """The settings are not usable."""

    code = "bad-settings"


class Settings(BaseSettings):
    """Every setting: its name is ``WAYPOST_`` and the field's in capitals; ``…_FILE`` names a file that holds it."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    database_url: Annotated[SecretStr | None, Field(description="PostgreSQL to use in place of the embedded one.")] = (
        None
    )
    database_system_url: Annotated[
        SecretStr | None,
        Field(description="Another login for sign-in, ingest and sweeps (a member of `waypost_system` only)."),
    ] = None
    database_owner_url: Annotated[
        SecretStr | None, Field(description="The login that migrations run as, if not `WAYPOST_DATABASE_URL`.")
    ] = None
    redis_url: Annotated[
        SecretStr | None, Field(description="Valkey or Redis to use in place of the embedded one.")
    ] = None
    signing_key: Annotated[
        SecretStr | None,
        Field(
            min_length=32,
            description="Signs access tokens; at least 32 characters, the same on every node. `waypost up` makes one.",
        ),
    ] = None
    encryption_keys: Annotated[
        SecretStr | None,
        Field(
            description="Encrypt secrets at rest: 32 random bytes in base64 each, divided by commas, the newest first."
            " `waypost up` makes one."
        ),
    ] = None
    host: Annotated[str, Field(min_length=1, description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8080
    access_token_s: Annotated[int, Field(ge=10, le=86400, description="How long a sign-in lasts, seconds.")] = 900
    refresh_token_days: Annotated[
        int, Field(ge=1, le=365, description="How long a browser that is not used stays signed in, days.")
    ] = 30
    refresh_grace_s: Annotated[
        float, Field(ge=0, le=300, description="A refresh token may be used again for so long (two tabs), seconds.")
    ] = 30.0
    sign_ins_per_account: Annotated[
        int, Field(ge=1, description="Tries to sign in a minute to one phone number or e-mail address.")
    ] = 10
    sign_ins_per_address: Annotated[
        int, Field(ge=1, description="Tries to sign in a minute from one network address; the same for refreshing.")
    ] = 60
    public_url: Annotated[
        str | None,
        AfterValidator(_a_root),
        Field(description="Where people reach this server, such as https://waypost.example.com: for links."),
    ] = None
    pool_min: Annotated[int, Field(ge=1, le=100, description="Database connections kept open a process.")] = 5
    pool_max: Annotated[int, Field(ge=1, le=200, description="Database connections at most a process.")] = 20
    pool_wait_s: Annotated[
        float, Field(gt=0, le=30, description="How long a request may wait for a database connection, seconds.")
    ] = 2.0
    database_pooler: Annotated[
        bool, Field(description="The database is reached through PgBouncer or the like, in transaction mode.")
    ] = False
    trusted_proxies: Annotated[
        str,
        AfterValidator(_networks),
        Field(description="Your own proxies' addresses and networks, divided by commas: `X-Forwarded-For` is theirs."),
    ] = ""
    payment_roots: Annotated[
        str,
        AfterValidator(_origins),
        Field(
            description="Where payment providers may be reached, besides Daraja's own addresses: such as"
            " https://gateway.example.com, divided by commas."
        ),
    ] = ""
    cache_rules_s: Annotated[
        float, Field(gt=0, le=86400, description="How long organisations' settings stay in the caches, seconds.")
    ] = 3600.0
    cache_rules: Annotated[int, Field(ge=1, le=100000, description="How many of them a process keeps, the newest.")] = (
        1000
    )
    cache_customers_s: Annotated[
        float, Field(gt=0, le=86400, description="How long customers' names and addresses stay in the caches, seconds.")
    ] = 300.0
    cache_customers: Annotated[
        int, Field(ge=1, le=1000000, description="How many of them a process, and an organisation in Redis, keeps.")
    ] = 5000
    cache_device_apps_s: Annotated[
        float,
        Field(gt=0, le=86400, description="How long settings of phones' own apps stay in the caches, seconds."),
    ] = 300.0
    cache_device_apps: Annotated[
        int, Field(ge=1, le=1000000, description="How many of them a process, and an organisation in Redis, keeps.")
    ] = 5000
    owntracks_grace: Annotated[
        bool,
        Field(
            description="Answer OwnTracks 503 in place of 401 when its token is no good: on iOS it throws away what is"
            " refused with 401, and keeps what is answered with 503."
        ),
    ] = False
    metrics_token: Annotated[
        SecretStr | None,
        Field(min_length=16, description="Who reads `/metrics` from another machine sends it as a bearer token."),
    ] = None
    rate_person: Annotated[int, Field(ge=0, description="Requests a person may send a minute; 0: any number.")] = 1000
    rate_organisation: Annotated[
        int, Field(ge=0, description="Requests an organisation's people may send a minute; 0: any number.")
    ] = 10000
    rate_address: Annotated[
        int, Field(ge=0, description="Requests without a sign-in a minute and network address; 0: any number.")
    ] = 300
    rate_costly: Annotated[
        int, Field(ge=0, description="Requests a person may send a minute to one costly route; 0: any number.")
    ] = 10
    rate_free_roles: Annotated[
        frozenset[Role],
        NoDecode,
        BeforeValidator(_roles),
        Field(description="Roles that no rate limit holds, divided by commas; each pass is logged."),
    ] = frozenset()
    fleet_tick_ms: Annotated[
        int, Field(ge=0, le=5000, description="Positions of a fleet that come within this time leave as one event.")
    ] = 50
    crowd: Annotated[
        int, Field(ge=1, description="A trip that so many watch on one process is told in ticks, as fleets are.")
    ] = 50
    crowd_tick_ms: Annotated[
        int, Field(ge=0, le=5000, description="Events of such a trip that come within this time leave together.")
    ] = 50
    socket_tick_ms: Annotated[
        int,
        Field(ge=0, le=5000, description="What one connection is told within this time, by any room, leaves together."),
    ] = 20
    history_events: Annotated[
        int, Field(ge=10, le=100_000, description="A room's last events that are kept for those who come back.")
    ] = 1000
    history_bytes: Annotated[
        int,
        Field(ge=1024, le=1 << 30, description="So many bytes of them at most; a fleet of thousands fills it first."),
    ] = 4_194_304
    history_s: Annotated[
        int, Field(ge=10, le=86400, description="How long they are kept after the room's last event, seconds.")
    ] = 900
    bus_url: Annotated[
        SecretStr | None,
        Field(
            description="Another Valkey or Redis for live events: an address, or"
            " `redis+cluster://host:port,host:port` for a cluster."
        ),
    ] = None
    sockets_per_person: Annotated[
        int, Field(ge=0, description="Sockets that a person or device may hold to one process; 0: any number.")
    ] = 50
    sockets_per_organisation: Annotated[int, Field(ge=0, description="The same of an organisation; 0: any number.")] = (
        20_000
    )
    sockets_per_address: Annotated[int, Field(ge=0, description="The same of a network address; 0: any number.")] = (
        2_000
    )
    socket_origins: Annotated[
        str,
        AfterValidator(_origins),
        Field(
            description="Pages that may open sockets, besides this server's own: such as https://shop.example.com,"
            " divided by commas; `*`: any."
        ),
    ] = ""
    socket_join_s: Annotated[
        float, Field(gt=0, le=300, description="A socket that has not signed in after this time is closed, seconds.")
    ] = 10.0
    ingest_window_ms: Annotated[
        float,
        Field(ge=0, le=1000, description="Reports that come within this time are stored together; 0: each alone."),
    ] = 1
    ingest_waiting: Annotated[
        int,
        Field(
            ge=5_000, le=5_000_000, description="Fixes that may wait to be stored; beyond it phones are told to wait."
        ),
    ] = 50_000
    revocation_poll_s: Annotated[
        float, Field(ge=0.1, le=2.5, description="How often a node asks which devices were withdrawn, seconds.")
    ] = 2.0
    job_lease_s: Annotated[
        float, Field(ge=1, le=3600, description="A worker that says nothing for so long has lost its job, seconds.")
    ] = 60.0
    jobs_at_once: Annotated[
        int, Field(ge=1, le=1000, description="Jobs (exports) that an organisation may have under way.")
    ] = 5
    schedule_poll_s: Annotated[
        float, Field(ge=0.1, le=600, description="How often a worker asks which timed runs are due, seconds.")
    ] = 10.0
    keep_job_files_days: Annotated[
        int, Field(ge=1, le=3650, description="How long the file of an export can be had, days.")
    ] = 7
    keep_jobs_days: Annotated[
        int, Field(ge=1, le=3650, description="How long ended jobs and timed runs are listed, days.")
    ] = 30
    keep_notifications_days: Annotated[
        int, Field(ge=1, le=3650, description="How long notifications that were settled are kept, days.")
    ] = 30
    keep_audit_days: Annotated[int, Field(ge=30, le=36500, description="How long it is kept who did what, days.")] = 90
    keep_callbacks_days: Annotated[
        int,
        Field(
            ge=1,
            le=3650,
            description="How long what payment providers sent, and phones that were asked, are kept once settled.",
        ),
    ] = 90
    keep_rejections_days: Annotated[
        int, Field(ge=1, le=3650, description="How long locations that were refused are kept, days.")
    ] = 14
    keep_quality_days: Annotated[
        int, Field(ge=1, le=3650, description="How long each device's daily counters are kept, days.")
    ] = 400
    drain_notice_s: Annotated[
        float,
        Field(
            ge=0,
            le=120,
            description="After a stop signal `/readyz` says no for so long before anything is closed: your balancer's"
            " time to notice, seconds.",
        ),
    ] = 0.0
    drain_sockets_s: Annotated[
        float, Field(ge=0, le=300, description="Then sockets are sent away, spread over at most this time, seconds.")
    ] = 10.0
    drain_s: Annotated[
        float, Field(ge=0, le=120, description="How long running requests may take after a stop signal, seconds.")
    ] = 10.0
    database_listen_url: Annotated[
        SecretStr | None,
        Field(
            description="PostgreSQL itself, for the relay's LISTEN, where `WAYPOST_DATABASE_URL` is a pooler in"
            " transaction mode. Without it the relay only polls there."
        ),
    ] = None
    relay_poll_s: Annotated[
        float, Field(ge=0.05, le=1, description="How often the relay looks for work when nothing wakes it, seconds.")
    ] = 1.0
    relay_repoke_s: Annotated[
        float,
        Field(ge=0.1, le=600, description="A due delivery that no worker has taken is given out again after, seconds."),
    ] = 10.0
    delivery_send_timeout_s: Annotated[
        float, Field(gt=0, le=120, description="How long one try to send may take, seconds.")
    ] = 15.0
    delivery_lease_s: Annotated[
        float,
        Field(le=600, description="A try of which nothing is known after that is in doubt, seconds."),
        AfterValidator(_longer_than_a_try),
    ] = 60.0
    delivery_retry_base_s: Annotated[
        float, Field(gt=0, le=600, description="Wait before the second try, seconds; then doubling, to an hour.")
    ] = 30.0
    webhook_allowed_networks: Annotated[
        str,
        AfterValidator(_networks),
        Field(
            description="Networks of your own, divided by commas, that webhooks may be sent to although they are not"
            " public, and in the clear: such as 10.1.0.0/16."
        ),
    ] = ""
    heartbeat_s: Annotated[
        float, Field(ge=0.1, le=60, description="How often a worker or relay says that it is at work, seconds.")
    ] = 5.0
    console_channel: Annotated[
        bool | None,
        Field(
            description="For development: every notice is shown at `/dev/outbox`, to this machine only. Off, if not"
            " set; `waypost up` turns it on with `--demo`, and where there is no mail server."
        ),
    ] = None
    smtp_host: Annotated[
        str | None, Field(min_length=1, description="Your mail server; without one no e-mail is sent.")
    ] = None
    smtp_port: Annotated[
        int | None, Field(ge=1, le=65535, description="Its port, if not the usual one (587, with `tls` 465).")
    ] = None
    smtp_tls: Annotated[
        Literal["starttls", "tls", "none"],
        Field(description="How the way to it is encrypted; `none` only to this very machine."),
        AfterValidator(_only_here_in_the_clear),
    ] = "starttls"
    smtp_ca_file: Annotated[
        Path | None, Field(description="Certificates that it is checked with, if not the machine's own (PEM).")
    ] = None
    smtp_user: Annotated[str | None, Field(min_length=1, description="Login at the mail server.")] = None
    smtp_password: Annotated[SecretStr | None, Field(description="Its password.")] = None
    smtp_from: Annotated[
        str | None,
        Field(min_length=3, description="The address that e-mail comes from; needed with `WAYPOST_SMTP_HOST`."),
        AfterValidator(_an_address),
    ] = None
    smtp_dkim_domain: Annotated[
        str | None,
        Field(min_length=3, description="Sign e-mail with DKIM (needs the extra `dkim`): the domain that vouches."),
    ] = None
    smtp_dkim_selector: Annotated[
        str | None, Field(min_length=1, description="Under which selector its public key stands in the DNS.")
    ] = None
    smtp_dkim_key: Annotated[
        SecretStr | None, Field(description="The private key: RSA (PEM), or Ed25519 (base64).")
    ] = None
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], Field(description="What is logged.")] = "INFO"
    log_format: Annotated[Literal["console", "json"], Field(description="For people, or for machines.")] = "console"
    postgres_bin: Annotated[Path | None, Field(description="Folder with the `postgres` that `waypost up` starts.")] = (
        None
    )
    valkey_bin: Annotated[Path | None, Field(description="The `valkey-server` that `waypost up` starts.")] = None

    @classmethod
    def settings_customise_sources(  # type: ignore[override]  # the other sources arrive by keyword, unused
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library passes it
        init_settings: PydanticBaseSettingsSource,
        **_: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what ``from_env`` read: nothing is taken from the process's environment behind our back."""
        return (init_settings,)

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """The settings in ``env``. ``BadSettings`` lists every bad value and unknown name, a line each."""
        values, complaints = _collect(env, set(cls.model_fields))
        settings = None
        try:
            settings = cls(**values)  # type: ignore[arg-type]  # text: pydantic reads it
        except ValidationError as error:
            complaints += [
                f"{PREFIX}{str(e['loc'][0]).upper()}: {e['msg'][:1].lower()}{e['msg'][1:]}" for e in error.errors()
            ]
        if settings is None or complaints:
            raise BadSettings(
                "\n".join(["these settings are not usable:", *(f"  {line}" for line in sorted(complaints))])
            )
        return settings


def _collect(env: Mapping[str, str], known: set[str]) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    complaints = []
    for name, text in env.items():
        if not name.startswith(PREFIX) or name in NOT_OURS:
            continue
        field = name.removeprefix(PREFIX).lower()
        if field in known:
            values[field] = text
        elif field.endswith("_file") and field.removesuffix("_file") in known:
            try:
                values[field.removesuffix("_file")] = Path(text).read_text().strip()
            except (OSError, UnicodeDecodeError) as error:
                complaints.append(f"{name}: cannot read {text}: {getattr(error, 'strerror', None) or 'not text'}")
        else:
            near = difflib.get_close_matches(field, known, n=1)
            hint = f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
            complaints.append(f"{name}: there is no such setting{hint}")
    return values, complaints


def reveal(secret: SecretStr | None) -> str | None:
    """The text of a secret setting."""
    return secret.get_secret_value() if secret is not None else None


def table() -> str:
    """The settings as the Markdown table of the docs; a test compares the two."""
    rows = ["| setting | default | means |", "| --- | --- | --- |"]
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if field.default not in (None, "", frozenset()) else ""
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)
