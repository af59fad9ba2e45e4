"""Many members in a process of their own: the receivers where the yardstick's ``sioflood`` is not at hand.

``python -m loadtest.crowd URL COUNT SECONDS EVENT TOKEN``: connects them, has each send EVENT (JSON, may be empty) and
wait for its ack, says ``joined`` on stderr, then counts for so many seconds and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from loadtest.sockets import Socket
from waypost.commands.common import loop_factory

AT_ONCE = 50


async def crowd(url: str, count: int, seconds: float, event: str, token: str) -> dict[str, object]:
    """What they heard."""
    members: list[Socket] = []
    wanted = json.loads(event) if event else None
    for at in range(0, count, AT_ONCE):
        some = await asyncio.gather(*(Socket.to(url, token) for _ in range(min(AT_ONCE, count - at))))
        if wanted:
            await asyncio.gather(*(member.call(*wanted) for member in some))
        members += some
    print(f"joined {count}", file=sys.stderr, flush=True)
    await asyncio.sleep(seconds)
    return heard(members)


def heard(members: Sequence[Socket]) -> dict[str, object]:
    """The fields of ``sioflood``'s answer that a scenario reads."""
    return {
        "connections": len(members),
        "joined": len(members),
        "closed": sum(member.closed.done() for member in members),
        "messages": sum(member.events for member in members),
        "bytes": sum(member.bytes_in for member in members),
    }


def main() -> None:
    url, count, seconds, event, token = sys.argv[1:]
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        print(json.dumps(runner.run(crowd(url, int(count), float(seconds), event, token))))


if __name__ == "__main__":
    main()
