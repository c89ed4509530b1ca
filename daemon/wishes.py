"""What is to be probed behind each Resource: which ports of which addresses, by the configuration and by the log."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from checks.net.endpoint import is_address
from daemon.config.schema import Config, PortRange, Resource
from daemon.learnable import allows, is_wide, written_addresses
from daemon.observed import LearnedSample
from daemon.slices import Steps, batches


class Wish(NamedTuple):
    """That a Resource wants one port of one concrete address probed. A tuple: there are tens of thousands.

    - `learned`: nobody wrote this very port and address: it counts only once it was up.
    - `from_log`: not even the address is of the configuration, or not the port: the log showed it in use.
    """

    resource: Resource
    address: str
    port: int
    learned: bool
    from_log: bool = False


Wishes: TypeAlias = dict[tuple[str, int], list[Wish]]
"""Who wants each endpoint probed, by precedence. What the log showed has endpoints of its own."""


def all_wishes(config: Config, ordered: Sequence[Resource], samples: Iterable[LearnedSample]) -> Steps[Wishes]:
    """Return who wants which endpoint probed: what the configuration names, then what the log showed beyond it."""
    wishes: Wishes = {}
    for batch in batches(ordered):
        for resource in batch:
            if not not_probeable(resource):
                for wish in _wishes(resource, config.probing.max_ports_per_resource):
                    wishes.setdefault((wish.address, wish.port), []).append(wish)
        yield
    active = [sample for sample in samples if sample.active and (sample.address, sample.port) not in wishes]
    for wish in _learned_wishes(config, active):
        wishes.setdefault((wish.address, wish.port), []).append(wish)
    return wishes


def all_names(
    ordered: Sequence[Resource], wishes: Mapping[tuple[str, int], Sequence[Wish]]
) -> Steps[dict[str, list[Resource]]]:
    """Return the names to look up, and for whom."""
    names: dict[str, list[Resource]] = {}
    for batch in batches(ordered):
        for resource in batch:
            if resource.probe != "never":
                for address in written_addresses(resource):
                    if not is_address(address):
                        names.setdefault(address, []).append(resource)
        yield
    from_log = [wish for wished in wishes.values() if wished[0].from_log for wish in wished]
    for wish in from_log:
        if not is_address(wish.address):
            names.setdefault(wish.address, []).append(wish.resource)  # doubles are taken out where a job is made
    return names


def not_probeable(resource: Resource) -> str:
    """Return why no port of this Resource can be probed; empty if one can."""
    if resource.probe == "never":
        return "switched off (probe: never)"
    if is_wide(resource.address) and not resource.samples:
        kind = "a network" if "/" in resource.address else "a pattern"
        return f"{kind} has no address of its own; name some in `samples`"
    if resource.probe == "dns":
        return "only its name is looked up (probe: dns)"
    if resource.tcp is None and not resource.probe_ports:
        return "all ports are allowed; name some in `probe_ports`"
    if resource.tcp is not None and not resource.tcp:
        return "no TCP port is allowed, and UDP can't be probed without a payload that the service understands"
    return ""


def _learned_wishes(config: Config, samples: Sequence[LearnedSample]) -> Iterator[Wish]:
    """Yield what the log showed in use behind Resources, where the configuration does not name it itself.

    An address gets no more than `max_ports_per_resource` ports of a Resource, those of the configuration first.
    """
    rules = {sample.rule for sample in samples}
    behind: dict[str, list[Resource]] = {}
    for resource in config.resources if rules else ():
        if resource.address in rules and resource.probe not in ("never", "dns"):
            behind.setdefault(resource.address, []).append(resource)
    left: dict[tuple[str, str], int] = {}
    for sample in samples:
        for resource in behind.get(sample.rule, ()):
            key = (resource.name, sample.address)
            if key not in left:
                own = _wishes(resource, config.probing.max_ports_per_resource)
                left[key] = config.probing.max_ports_per_resource - sum(w.address == sample.address for w in own)
            if left[key] > 0 and allows(resource, sample.port):
                left[key] -= 1
                yield Wish(resource, sample.address, sample.port, learned=True, from_log=True)


def _wishes(resource: Resource, limit: int) -> Iterator[Wish]:
    ports = [(port, False) for port in resource.probe_ports] if resource.tcp is None else list(_ports(resource.tcp))
    sample = is_wide(resource.address)
    for address in written_addresses(resource):
        for port, ranged in ports[:limit]:
            yield Wish(resource, address, port, ranged or sample)


def _ports(ranges: tuple[PortRange, ...]) -> Iterator[tuple[int, bool]]:
    """Yield ports written one by one, then the ranges' in turns so that each range gets its share of the budget."""
    yield from ((r.first, False) for r in ranges if r.single)
    walks = [iter(range(r.first, r.last + 1)) for r in ranges if not r.single]
    while walks:
        for walk in tuple(walks):
            port = next(walk, None)
            if port is None:
                walks.remove(walk)
            else:
                yield port, True
