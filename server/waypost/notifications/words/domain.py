"""What words are made of, and the errors that they raise. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from waypost.kernel.errors import Conflict, NotFound
from waypost.notifications.addresses import ChannelName


class TemplateNotFound(NotFound):
    """No such template: no such kind, form, language or version."""

    code = "template-not-found"


class TooManyTemplates(Conflict):
    """The organisation has as many versions of its own words as are kept."""

    code = "too-many-templates"


class Form(StrEnum):
    """Of what shape the words are; several channels may share one."""

    EMAIL = "email"
    SMS = "sms"
    PUSH = "push"  # and of an inbox


_FORMS = {ChannelName.SMS: Form.SMS, ChannelName.EMAIL: Form.EMAIL}


def form_of(channel: ChannelName, address: str = "") -> Form:
    """What ``channel`` carries. The console shows what would have gone to the address."""
    if channel is ChannelName.CONSOLE:
        return Form.EMAIL if "@" in address else Form.SMS
    return _FORMS.get(channel, Form.PUSH)


@dataclass(frozen=True, slots=True)
class OwnWords:
    """An organisation's own template; a version is never changed. ``subject``: empty for an SMS."""

    kind: str
    form: Form
    locale: str
    version: int
    subject: str
    body: str
    note: str | None = None
    created_at: datetime | None = None
    created_by: UUID | None = None


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which words are used for a kind, form and language. ``version`` None: Waypost's."""

    kind: str
    form: Form
    locale: str
    version: int | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """The words that are used now, as staff see them. ``version`` None: ours, in ``language``, the nearest to
    ``locale`` that we have.

    ``versions``: how many of the organisation's own there are.
    """

    kind: str
    form: Form
    locale: str
    language: str
    subject: str
    body: str
    version: int | None
    versions: int
    changed_at: datetime | None = None
    note: str | None = None
