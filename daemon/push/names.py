"""Names of Alertmanagers: the address that was good last is tried when the name no longer resolves.

The alert that a nameserver is down must get out while it is.
"""

import asyncio
import socket
from collections.abc import Mapping

from aiohttp.abc import AbstractResolver, ResolveResult

from checks.net.seat import Resolution, Resolver

FIRST_S = 8.0  # of the ten seconds that a request may take, when nothing else can be tried
AGAIN_S = 1.0  # when there is an address that was good last time: an alert should arrive within three seconds
MAX_ADDRESSES = 8


class RememberingResolver(AbstractResolver):
    """Resolves for aiohttp through our own resolver, which needs no thread. It serves one host."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._last: Mapping[str, tuple[str, ...]] = {}
        self._good = False

    def note(self, *, good: bool) -> None:
        """Note whether there was an answer at the address: one that moved is looked for with more patience."""
        self._good = good

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of `host`, or those that it had last. Raises: OSError."""
        del family
        last = self._last.get(host, ())
        found = await self._ask(host, AGAIN_S if last and self._good else FIRST_S)
        addresses = found.addresses[:MAX_ADDRESSES] or last
        if not addresses:
            raise OSError(None, found.evidence or "no answer within the time-out")
        self._last = {host: addresses}
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Do nothing: no connection is kept."""

    async def _ask(self, host: str, timeout_s: float) -> Resolution:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._resolver.resolve(host)
        except TimeoutError:
            return Resolution(name=host)
