"""Calls to addresses that strangers named: never to what is inside. The address is judged on the very connection that
is then used, so a name that means one thing when it is looked at and another when it is called gains nothing.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from waypost.platform.addresses import Address, Network

LOOKUPS_AT_ONCE: Final = 64  # a name server that never answers holds one each
LONGEST_URL: Final = 2000
# Public by the registry or by Python's word, yet inside: the machines that serve metadata in Azure and in Oracle's
# cloud, and IPv4 in IPv6's clothes that somebody's gateway undresses (6to4, Teredo, local NAT64).
INSIDE: Final[tuple[Network, ...]] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "2002::/16",
        "2001::/32",
        "64:ff9b:1::/48",
        "fec0::/10",
    )
)
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRefused(OSError):
    """It is not an address of the outside, and not in a network that the operator named."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "this address may not be called")


@dataclass(frozen=True, slots=True)
class Guard:
    """Which addresses may be called: those outside, and those in the networks ``allowed``."""

    allowed: tuple[Network, ...] = ()

    @classmethod
    def of(cls, text: str) -> Guard:
        """From networks divided by commas. ``ValueError`` names the one that is none."""
        return cls(tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip()))

    def allows(self, host: str) -> bool:
        """``host``: an address as digits; anything else is refused."""
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        address = _undressed(address)
        return self.names(address) or is_outside(address)

    def names(self, address: Address) -> bool:
        """Is it in one of the operator's networks?"""
        return any(address in network for network in self.allowed)

    def without_outside(self) -> Named:
        """A guard that lets only the operator's networks through: for what goes there in the clear."""
        return Named(self.allowed)

    def complaint(self, url: str) -> str | None:
        """Why ``url`` cannot be called, as far as it says so itself: a name is looked up when it is called."""
        try:
            parts = urlsplit(url)
            host, _port = parts.hostname or "", parts.port
        except ValueError:
            return "an address such as https://example.com/hooks"
        if complaint := _malformed(url, parts.scheme, host, named=parts.username is not None):
            return complaint
        if parts.scheme == "http" and not self.allowed:
            return "must begin with https://"
        literal = _literal(host)
        if literal is None:
            return "a host that is found everywhere" if "." not in host and not self.allowed else None
        allowed = self.names(literal) or (parts.scheme == "https" and is_outside(literal))
        return None if allowed else "an address that may be called from here; this one is inside"


@dataclass(frozen=True, slots=True)
class Named(Guard):
    """The operator's networks, nothing else."""

    def allows(self, host: str) -> bool:
        """``host``: an address as digits."""
        literal = _literal(host.partition("%")[0])
        return literal is not None and self.names(literal)


def is_outside(address: Address) -> bool:
    """Is it a public address of a single machine? Not a private, shared, link-local, looped, reserved or group one."""
    if any(address in network for network in INSIDE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved and not address.is_unspecified


def _undressed(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _literal(host: str) -> Address | None:
    try:
        return _undressed(ipaddress.ip_address(host))
    except ValueError:
        return None


def _malformed(url: str, scheme: str, host: str, *, named: bool) -> str | None:
    if len(url) > LONGEST_URL or not url.isascii() or any(not "!" <= each <= "~" for each in url):
        return f"at most {LONGEST_URL} printable ASCII characters without spaces"
    if scheme not in {"https", "http"} or not host:
        return "an address such as https://example.com/hooks"
    return "no user name or password" if named else None


@dataclass(frozen=True, slots=True)
class Names(AbstractResolver):
    """Names become addresses in threads of their own, so that a name server which never answers delays nobody else."""

    threads: ThreadPoolExecutor

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """All addresses of ``host``, by the machine's own rules."""
        found = await asyncio.get_running_loop().run_in_executor(
            self.threads, lambda: socket.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        )
        flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=str(to[0]), port=port, family=each, proto=proto, flags=flags)
            for each, _type, proto, _name, to in found
        ]

    async def close(self) -> None:
        """Those that still look up are left alone."""
        self.threads.shutdown(wait=False, cancel_futures=True)


def connector(guard: Guard, resolver: AbstractResolver, kept_s: float = 15.0) -> aiohttp.TCPConnector:
    """Connects only where ``guard`` allows it. The caller bounds how many calls are under way. ``kept_s``: how long an
    idle connection is kept.
    """

    def guarded_socket(to: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]) -> socket.socket:
        family, kind, proto, _name, where = to
        if not guard.allows(where[0]):
            raise AddressRefused
        return socket.socket(family=family, type=kind, proto=proto)

    return aiohttp.TCPConnector(resolver=resolver, socket_factory=guarded_socket, limit=0, keepalive_timeout=kept_s)


@dataclass(frozen=True, slots=True)
class Outside:
    """Two ways out: encrypted, to what the guard allows; in the clear, to the operator's networks alone."""

    secure: aiohttp.ClientSession
    plain: aiohttp.ClientSession

    def to(self, url: str) -> aiohttp.ClientSession:
        """The session that ``url`` is to be called by; ask it for no redirects. It takes no cookies."""
        return self.plain if url.lower().startswith("http:") else self.secure


@asynccontextmanager
async def outside(guard: Guard, resolver: AbstractResolver | None = None) -> AsyncIterator[Outside]:
    """For as long as the block runs. ``resolver``: in tests."""
    names = resolver or Names(ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="names"))
    try:
        async with _session(guard, names) as secure, _session(guard.without_outside(), names) as plain:
            yield Outside(secure, plain)
    finally:
        await names.close()


def _session(guard: Guard, names: AbstractResolver) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector(guard, names),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )
