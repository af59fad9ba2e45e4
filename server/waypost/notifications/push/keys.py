"""The key that this installation pushes with: made once, kept sealed, the same for all processes.

Browsers subscribe to it: were it lost, every one of them would have to subscribe anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from waypost.kernel.clock import Clock
from waypost.notifications.push import storage
from waypost.notifications.push.sealing import Vapid, key_of, new_secret
from waypost.platform.database import SYSTEM, Database
from waypost.platform.secretbox import SecretBox

NAME: Final = "vapid"


@dataclass(slots=True)
class VapidKeys:
    """``subject``: where push services reach the operator, a mailto: or https: address."""

    database: Database
    clock: Clock
    box: SecretBox
    subject: str
    known: Vapid | None = field(default=None, repr=False)

    async def get(self) -> Vapid:
        """Read once a process. Two that make one at the same time agree on one."""
        if self.known is None:
            async with self.database.transaction(SYSTEM) as conn:
                sealed = await storage.key(conn, NAME)
                if sealed is None:
                    await storage.add_key(conn, NAME, self.box.seal(new_secret()), self.clock.now())
                    sealed = await storage.key(conn, NAME)
            if sealed is None:
                raise LookupError(NAME)
            self.known = Vapid(key_of(self.box.open(sealed)), self.subject)
        return self.known
