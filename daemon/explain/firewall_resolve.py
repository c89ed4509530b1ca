"""The addresses behind the names of ways out, as the Connector's resolver gives them, and this host's where it differs.

Names are asked through the seats that the configuration gives us, as `healthctl check` would; nothing else is sent.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from checks.net.endpoint import Endpoint
from checks.net.seat import Resolver
from daemon.config.schema import Config
from daemon.explain.firewall import ways_out
from daemon.explain.firewall_model import Local, Way
from daemon.vantage.own_helper import with_own_helper
from daemon.vantage.watch import ConnectorWatch

WHOLE_S = 60.0  # 1,000 names take some two seconds; what is unfinished then stays a name
AT_ONCE = 32  # names in flight: no more than a small office's nameserver is used to


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """The ways with addresses, and the names that had none."""

    ways: list[Way]
    missing: tuple[str, ...]


async def resolved(config: Config, local: Local, *, whole_s: float = WHOLE_S) -> Resolved:
    """Return the ways out with the addresses behind their names; takes `whole_s` seconds at most for the names.

    Where the nameservers are the system's, they are the Connector's own as well. Raises: AmbiguousError when several
    Connectors run here and none was chosen.
    """
    watch = ConnectorWatch(config)
    try:
        await watch.begin()
        await with_own_helper(watch)
        resolvers = tuple(seat.resolver for seat in watch.seats.all)
        ways = ways_out(config, replace(local, nameservers=_nameservers(resolvers) or local.nameservers))
        found = await _look_up(tuple(dict.fromkeys(w.to for w in ways if w.kind == "name")), resolvers, whole_s)
    finally:
        await watch.close()
    return Resolved(
        ways=[replace(way, addresses=found[way.to]) if way.kind == "name" else way for way in ways],
        missing=tuple(name for name, addresses in found.items() if not addresses),
    )


async def _look_up(names: Sequence[str], resolvers: Sequence[Resolver], whole_s: float) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = dict.fromkeys(names, ())
    room = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> None:
        async with room:
            for resolver in resolvers:
                answer = await resolver.resolve(name)
                found[name] = tuple(dict.fromkeys((*found[name], *answer.addresses)))

    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(whole_s), asyncio.TaskGroup() as group:
            for name in names:
                group.create_task(one(name))
    return found


def _nameservers(resolvers: Sequence[Resolver]) -> tuple[Endpoint, ...]:
    return tuple(dict.fromkeys(server for resolver in resolvers for server in resolver.nameservers))
