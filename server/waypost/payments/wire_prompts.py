"""Bodies of prompts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from waypost.payments import prompt_domain
from waypost.payments.prompt_domain import PromptFilter, PromptState
from waypost.payments.prompts import Asked
from waypost.payments.wire import Amount
from waypost.platform.codec import SOME_TEXT, Instant, instant
from waypost.platform.queries import PageQuery

PhoneText = Annotated[str, Meta(min_length=1, max_length=40, pattern=SOME_TEXT)]


class PromptsQuery(PageQuery):
    """Which prompts a list shows."""

    state: PromptState | None = None
    layby_id: UUID | None = None

    def to_domain(self) -> PromptFilter:
        return PromptFilter(self.state, self.layby_id)


class NewPrompt(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Ask the customer's phone. ``phone``: the customer's own if it is left out; ``amountMinor``: what is due next. It
    is rounded up to whole units of the currency.
    """

    layby_id: UUID
    phone: PhoneText | None = None
    amount_minor: Amount | None = None

    def to_domain(self) -> Asked:
        return Asked(self.layby_id, self.phone, self.amount_minor)


class Prompt(msgspec.Struct, rename="camel", omit_defaults=True):
    """A prompt. ``resultCode``, ``resultText``: what the provider said of it last; ``phone``: its end."""

    id: UUID
    layby_id: UUID
    provider_id: UUID
    state: str
    phone: str
    currency: str
    amount_minor: int
    created_at: Instant
    updated_at: Instant
    asked_at: Instant | None = None
    result_code: str | None = None
    result_text: str | None = None
    payment_id: UUID | None = None

    @classmethod
    def from_domain(cls, prompt: prompt_domain.Prompt) -> Prompt:
        values: dict[str, Any] = {name: getattr(prompt, name) for name in cls.__struct_fields__}
        values |= {name: instant(value) for name, value in values.items() if isinstance(value, datetime)}
        return cls(**values | {"phone": prompt.masked_phone})
