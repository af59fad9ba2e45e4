"""The only reader of the environment: one frozen object, all bad values reported at once."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from waypost.kernel.errors import AppError

PREFIX = "WAYPOST_"
# Read elsewhere: by the replay command (a client, not the server) and by the tests.
NOT_OURS = frozenset({"WAYPOST_REPLAY_PASSWORD", "WAYPOST_PASSWORD", "WAYPOST_TRACES_DIR"})


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
    pool_min: Annotated[int, Field(ge=1, le=100, description="Database connections kept open a process.")] = 5
    pool_max: Annotated[int, Field(ge=1, le=200, description="Database connections at most a process.")] = 20
    fleet_tick_ms: Annotated[
        int, Field(ge=0, le=5000, description="Positions of a fleet that come within this time leave as one event.")
    ] = 50
    revocation_poll_s: Annotated[
        float, Field(ge=0.1, le=4, description="How often a node asks which devices were withdrawn, seconds.")
    ] = 2.0
    drain_s: Annotated[
        float, Field(ge=0, le=120, description="How long running requests may take after a stop signal, seconds.")
    ] = 10.0
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
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{PREFIX}{name.upper()}` | {default} | {field.description} |")
    return "\n".join(rows)
