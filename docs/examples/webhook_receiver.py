"""A receiver of Waypost's webhooks: ``python webhook_receiver.py whsec_… [PORT]``.

Needs ``pip install aiohttp standardwebhooks``. What matters: check the signature over the bytes as they came, drop what
was seen, answer at once and work afterwards.
"""

from __future__ import annotations

import json
import sys
from collections import OrderedDict

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

REMEMBERED = 10_000  # in a real one: a unique key in your database, written with what the event changes


def build(secret: str) -> web.Application:
    """The receiver as an aiohttp application; ``seen`` holds the ids of what it has taken."""
    verifier, seen = Webhook(secret), OrderedDict[str, None]()

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        try:
            verifier.verify(body, dict(request.headers), json_parse=False)
        except (WebhookVerificationError, ValueError):
            return web.Response(status=401)
        event = json.loads(body)
        if event["id"] not in seen:
            seen[event["id"]] = None
            if len(seen) > REMEMBERED:
                seen.popitem(last=False)
            print(event["sequence"], event["type"], json.dumps(event["data"]), flush=True)
        return web.Response(status=204)

    app = web.Application()
    app.add_routes([web.post("/waypost", take)])
    return app


if __name__ == "__main__":
    web.run_app(build(sys.argv[1]), port=int(sys.argv[2]) if sys.argv[2:] else 9000)
