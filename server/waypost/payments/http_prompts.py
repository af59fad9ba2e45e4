"""HTTP edge of prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from waypost.kernel.principal import TELLERS, WATCHERS
from waypost.laybys.domain import LaybyMoveRefused, LaybyNotFound
from waypost.payments import wire_prompts as wire
from waypost.payments.domain import TooMuch
from waypost.payments.prompt_domain import NoPhone, NoPromptProvider, NothingOwed, PromptNotFound, PromptOpen
from waypost.payments.prompts import Prompts
from waypost.platform.routes import Route
from waypost.platform.web import PRINCIPAL, path_id, read_body, read_query, reply, reply_page

PATH: Final = "/api/v1/payments/prompts"
REFUSALS: Final = (LaybyNotFound, LaybyMoveRefused, NoPromptProvider, NothingOwed, PromptOpen, NoPhone, TooMuch)


@dataclass(frozen=True, slots=True)
class PromptRoutes:
    """Asking customers' phones."""

    prompts: Prompts

    def routes(self) -> list[Route]:
        return [
            Route("POST", PATH, self.create, status=202, answer=wire.Prompt, body=wire.NewPrompt, roles=TELLERS,
                  idempotent=True, errors=REFUSALS),
            Route("GET", PATH, self.list_prompts, answer=wire.Prompt, listing=True, query=wire.PromptsQuery,
                  roles=WATCHERS),
            Route("GET", PATH + "/{prompt_id}", self.get, answer=wire.Prompt, roles=WATCHERS, errors=(PromptNotFound,)),
        ]  # fmt: skip

    async def create(self, request: web.Request) -> web.Response:
        """Ask the customer's phone for money. A worker asks the provider; its state is in the prompt."""
        body = await read_body(request, wire.NewPrompt)
        prompt = await self.prompts.create(request[PRINCIPAL], body.to_domain())
        return reply(wire.Prompt.from_domain(prompt), status=202)

    async def list_prompts(self, request: web.Request) -> web.Response:
        """Prompts, newest first."""
        query = read_query(request, wire.PromptsQuery)
        page = await self.prompts.list(request[PRINCIPAL], query.to_domain(), query.limit, query.cursor)
        return reply_page(request, page, wire.Prompt.from_domain)

    async def get(self, request: web.Request) -> web.Response:
        """One prompt."""
        prompt_id = path_id(request, "prompt_id", PromptNotFound)
        return reply(wire.Prompt.from_domain(await self.prompts.find(request[PRINCIPAL], prompt_id)))
