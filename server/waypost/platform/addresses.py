"""From where a request comes, past the proxies that we trust and no further."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
ADDRESS: web.RequestKey[str] = web.RequestKey("address", str)
_WITH_PORT = re.compile(r"\[([^\]]*)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+):\d+")
UNKNOWN = "unknown"  # a Unix socket's peer
PROXIED = ("X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Forwarded", "Via")  # what a proxy adds
HOME_BITS = 64  # one subscriber has a whole IPv6 network of this size: it counts as one address


@dataclass(frozen=True, slots=True)
class Proxies:
    """The networks of our own proxies: their word on where a request came from is taken, nobody else's."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, text: str) -> Proxies:
        """From addresses and networks divided by commas. ``ValueError`` names the one that is neither."""
        return cls(tuple(ipaddress.ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip()))

    def client(self, peer: str | None, forwarded: Iterable[str]) -> str:
        """The first address, from the right of `X-Forwarded-For`, that is no proxy of ours."""
        hops = [hop.strip() for line in forwarded for hop in line.split(",")]
        address = _read(peer or "")
        while hops and address is not None and self._trusts(address):
            before = _read(hops.pop())
            if before is None:  # not an address: the last hop that is one stands for it
                break
            address = before
        return _counted(address)

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self.networks)


def _read(text: str) -> Address | None:
    """An address, also with a port, in brackets, with a zone, or an IPv4 one in IPv6's clothes."""
    match = _WITH_PORT.fullmatch(text)
    try:
        parsed = ipaddress.ip_address((match[1] or match[2] if match else text).partition("%")[0])
    except ValueError:
        return None
    return parsed.ipv4_mapped or parsed if isinstance(parsed, ipaddress.IPv6Address) else parsed


def _counted(address: Address | None) -> str:
    if address is None:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, HOME_BITS), strict=False))


def is_from_here(request: web.Request) -> bool:
    """Did it come from this very machine, and directly? Not through a proxy, nor by a name that somebody else may have
    pointed at us.
    """
    name = request.url.host or ""
    here = _is_loopback(request.remote or "") and (name == "localhost" or _is_loopback(name))
    return here and not any(header in request.headers for header in PROXIED)


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=4096)
def _client(proxies: Proxies, peer: str | None, forwarded: tuple[str, ...]) -> str:
    return proxies.client(peer, forwarded)


def addresses(proxies: Proxies) -> Middleware:
    """Every request learns where it came from."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        request[ADDRESS] = _client(proxies, request.remote, tuple(forwarded))
        return await handler(request)

    return middleware


def client_address(request: web.Request) -> str:
    """Where the request came from: an IPv4 address, or the /64 of an IPv6 one; "unknown" for a Unix socket."""
    return request.get(ADDRESS) or _counted(_read(request.remote or ""))


def public_root(request: web.Request) -> str:
    """Where this request reached us, such as https://waypost.example.com: for links, when no setting says it."""
    return f"{request.scheme}://{request.host}"
