"""Expected errors. A leaf carries a stable code; only the kinds below are mapped to answers, at the edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType


class AppError(Exception):
    """An expected failure. The class docstring of a leaf is its default detail."""

    code = "internal-error"
    retry = False  # may the very same request succeed later?

    def __init__(self, detail: str | None = None, **extra: object) -> None:
        self.detail = (detail or (self.__doc__ or "").strip()).replace("``", "`")
        self.extra: Mapping[str, object] = extra
        super().__init__(self.detail)


class Malformed(AppError):
    """The request could not be read."""

    code = "malformed"


class Unauthenticated(AppError):
    """Sign in, or give a valid token."""

    code = "unauthenticated"


class Denied(AppError):
    """Your role does not allow this."""

    code = "denied"


class NotFound(AppError):
    """No such thing, or none that you may see."""

    code = "not-found"


class Conflict(AppError):
    """The present state does not allow this."""

    code = "conflict"


class Stale(AppError):
    """It was changed by somebody else meanwhile; read it again, then decide (`If-Match` names an older version)."""

    code = "stale"


class TooLarge(AppError):
    """The request is larger than allowed."""

    code = "too-large"


class TooMany(AppError):
    """Too many requests; slow down."""

    code = "too-many"
    retry = True

    def __init__(
        self,
        detail: str | None = None,
        *,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        **extra: object,
    ) -> None:
        """``retry_after_s``: when the same request may succeed; ``headers``: `RateLimit-*`, where they are known."""
        super().__init__(detail, **extra)
        self.retry_after_s, self.headers = retry_after_s, headers


class Unavailable(AppError):
    """Something we depend on is away; send it again shortly."""

    code = "unavailable"
    retry = True


class Unsupported(AppError):
    """The body is of a kind that is not read here."""

    code = "unsupported"


class Invalid(AppError):
    """The request was read but its content is not acceptable.

    ``errors`` names each field: a sequence of {"field", "detail"}.
    """

    code = "invalid"

    def __init__(self, detail: str | None = None, errors: Sequence[Mapping[str, str]] = (), **extra: object) -> None:
        super().__init__(detail or "Some fields are not acceptable.", errors=list(errors), **extra)


def invalid_field(field: str, detail: str) -> Invalid:
    """One unacceptable field, named by its path in the request's body."""
    return Invalid(f"{field}: {detail}", [{"field": field, "detail": detail}])
