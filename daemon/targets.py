"""From the configuration to what there is to probe: many Resources, one job for each distinct name and endpoint."""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

from checks.model import CheckName, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.endpoint import Endpoint, is_address
from checks.policy import method_for
from checks.tcp import TcpSpec
from daemon.config.schema import Config, PortRange, Resource
from daemon.jobs import Job
from daemon.learnable import allows
from daemon.observed import Learned, LearnedSample
from daemon.plan import Plan
from daemon.targets_static import static_jobs

MARGIN_S = 1.0  # what the runner adds to a probe's own time-outs before it calls the run unfinished
NOTHING_LEARNED = Learned()
MAX_QUESTIONS = 8  # a name may stand for several (search list), each asked within dns.timeout


@dataclass(frozen=True, slots=True)
class _Wish:
    """That a Resource wants one port of one concrete address probed."""

    resource: Resource
    address: str
    port: int
    learned: bool  # nobody wrote this very port and address: it counts only once it was up
    from_log: bool = False  # not even the address is of the configuration, or not the port: the log showed it in use


def make_plan(config: Config, enabled: frozenset[CheckName], learned: Learned = NOTHING_LEARNED) -> Plan:
    """Return every job that the configuration asks for, of the checks that are enabled.

    `learned`: its proven Relays and active samples are probed as well.
    """
    jobs = [job for job in static_jobs(config, first_name(config), learned.relays) if job.check in enabled]
    resource_jobs, rows_of = _resource_jobs(config, enabled, learned.samples)
    return Plan(jobs=(*jobs, *resource_jobs), resources=config.resources, rows_of=rows_of)


def enabled_checks(config: Config, only: frozenset[CheckName] | None = None) -> frozenset[CheckName]:
    """Return the checks that are run: those asked for, else all, less those switched off in `checks:`."""
    wanted = only if only is not None else frozenset(CheckName)
    return frozenset(c for c in wanted if config.checks.get(c.value, True))


def concrete_addresses(resource: Resource) -> tuple[str, ...]:
    """Return the addresses that can be probed for a Resource: its own, or the samples of a pattern or CIDR."""
    return resource.samples if is_wide(resource.address) else (resource.address,)


def is_wide(address: str) -> bool:
    """Tell whether an address stands for many: a pattern or a CIDR."""
    return "/" in address or "*" in address or "?" in address


def _resource_jobs(
    config: Config, enabled: frozenset[CheckName], samples: Iterable[LearnedSample]
) -> tuple[list[Job], dict[str, tuple[str, ...]]]:
    ordered = sorted(config.resources, key=lambda r: is_wide(r.address))  # an exact address takes precedence
    wishes = _all_wishes(config, ordered, samples)
    served = {wish.resource.name for wished in wishes.values() for wish in wished}
    fixed: dict[str, tuple[list[Resource], str]] = {}
    for resource in ordered:
        why = _not_probeable(resource)
        if why and resource.name not in served:
            fixed.setdefault(resource.address, ([], why))[0].append(resource)
    written = frozenset(address for resource in ordered for address in concrete_addresses(resource))
    names = _names(ordered, wishes.values())

    jobs: list[Job] = []
    if CheckName.DNS in enabled:
        jobs += [_dns_job(config, name, behind, from_log=name not in written) for name, behind in names.items()]
    if CheckName.TCP in enabled:
        jobs += [_tcp_job(config, wished, written) for wished in wishes.values()]
        jobs += [_fixed_job(address, resources, why) for address, (resources, why) in fixed.items()]
    rows_of: dict[str, list[str]] = {r.name: [] for r in config.resources}
    for job in jobs:
        for name in job.resources:
            rows_of[name].append(job.id)
    return jobs, {name: tuple(ids) for name, ids in rows_of.items()}


def _all_wishes(
    config: Config, ordered: Iterable[Resource], samples: Iterable[LearnedSample]
) -> dict[tuple[str, int], list[_Wish]]:
    """Return who wants which endpoint probed: what the configuration names, then what the log showed beyond it."""
    wishes: dict[tuple[str, int], list[_Wish]] = {}
    for resource in ordered:
        if not _not_probeable(resource):
            for wish in _wishes(resource, config.probing.max_ports_per_resource):
                wishes.setdefault((wish.address, wish.port), []).append(wish)
    for wish in _learned_wishes(config, samples, frozenset(wishes)):
        wishes.setdefault((wish.address, wish.port), []).append(wish)
    return wishes


def _names(ordered: Iterable[Resource], wishes: Iterable[list[_Wish]]) -> dict[str, list[Resource]]:
    """Return the names to look up, and for whom."""
    names: dict[str, list[Resource]] = {}
    for resource in ordered:
        if resource.probe != "never":
            for address in concrete_addresses(resource):
                if not is_address(address):
                    names.setdefault(address, []).append(resource)
    for wish in (wish for wished in wishes for wish in wished if wish.from_log and not is_address(wish.address)):
        names.setdefault(wish.address, []).append(wish.resource)  # doubles are taken out where a job is made
    return names


def _learned_wishes(
    config: Config, samples: Iterable[LearnedSample], taken: frozenset[tuple[str, int]]
) -> Iterator[_Wish]:
    """Yield what the log showed in use behind Resources, less what the configuration names itself.

    An address gets no more than `max_ports_per_resource` ports of a Resource, those of the configuration first.
    """
    behind: dict[str, list[Resource]] = {}
    for resource in config.resources:
        if resource.probe not in ("never", "dns"):
            behind.setdefault(resource.address, []).append(resource)
    left: dict[tuple[str, str], int] = {}
    for sample in samples:
        if not sample.active or (sample.address, sample.port) in taken:
            continue
        for resource in behind.get(sample.rule, ()):
            key = (resource.name, sample.address)
            if key not in left:
                own = _wishes(resource, config.probing.max_ports_per_resource)
                left[key] = config.probing.max_ports_per_resource - sum(w.address == sample.address for w in own)
            if left[key] > 0 and allows(resource, sample.port):
                left[key] -= 1
                yield _Wish(resource, sample.address, sample.port, learned=True, from_log=True)


def _not_probeable(resource: Resource) -> str:
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


def _wishes(resource: Resource, limit: int) -> Iterator[_Wish]:
    ports = [(port, False) for port in resource.probe_ports] if resource.tcp is None else list(_ports(resource.tcp))
    sample = is_wide(resource.address)
    for address in concrete_addresses(resource):
        for port, ranged in ports[:limit]:
            yield _Wish(resource, address, port, learned=ranged or sample)


def _ports(ranges: Iterable[PortRange]) -> Iterator[tuple[int, bool]]:
    """Yield ports written one by one, then the ranges' in turns so that each range gets its share of the budget."""
    ranges = tuple(ranges)
    yield from ((r.first, False) for r in ranges if r.single)
    walks = [iter(range(r.first, r.last + 1)) for r in ranges if not r.single]
    while walks:
        for walk in tuple(walks):
            port = next(walk, None)
            if port is None:
                walks.remove(walk)
            else:
                yield port, True


def _dns_job(config: Config, name: str, resources: list[Resource], *, from_log: bool) -> Job:
    return Job(
        id=f"dns:{name}",
        check=CheckName.DNS,
        target=name,
        spec=NameSpec(
            name=name,
            timeout_s=config.dns.timeout,
            max_addresses=config.probing.max_addresses_per_name,
            learned_sample=from_log,
        ),
        interval_s=_interval(config, resources),
        timeout_s=config.dns.timeout * MAX_QUESTIONS + MARGIN_S,
        resources=_unique(resources),
    )


def _tcp_job(config: Config, wished: list[_Wish], written: AbstractSet[str]) -> Job:
    first = wished[0]
    resources = [w.resource for w in wished]
    endpoint = Endpoint(first.address, first.port)
    permit = method_for(
        first.port, method=config.probing.method, ports=config.probing.ports, probe=_gentlest(resources)
    )
    literal = is_address(first.address)
    job = Job(
        id=f"tcp:{endpoint}",
        check=CheckName.TCP,
        target=str(endpoint),
        spec=TcpSpec(
            address=first.address,
            port=first.port,
            target=str(endpoint),
            method=permit.method or "connect",
            expect=_expect(wished),
            require_all=any(r.addresses == "all" for r in resources),
            deny=config.probing.deny,
            allow=config.probing.allow,
            literal_allowed=literal and first.address in written,
            has_policy=not permit.confirmable,
            max_addresses=config.probing.max_addresses_per_name,
            timeout_s=config.schedule.timeout,
            learned_sample=all(w.from_log for w in wished),
        ),
        interval_s=max(_interval(config, resources), permit.min_interval_s),
        timeout_s=2 * config.dns.timeout + config.schedule.timeout + MARGIN_S,
        resources=_unique(resources),
        name=None if literal else first.address,
        host=first.address,
        connections=1,
        confirmable=permit.confirmable,
    )
    if permit.method is None:
        return replace(job, fixed=_not_probed(permit.reason or Reason.NOT_ALLOWED, permit.why), connections=0)
    return job


def _fixed_job(address: str, resources: list[Resource], why: str) -> Job:
    return Job(
        id=f"tcp:{address}",
        check=CheckName.TCP,
        target=address,
        spec=None,
        interval_s=0.0,
        timeout_s=0.0,
        resources=_unique(resources),
        fixed=_not_probed(Reason.NOT_PROBEABLE, why),
    )


def _not_probed(reason: Reason, why: str) -> Outcome:
    return Outcome(status=Status.SKIPPED, reason=reason, summary=f"not probed: {why}")


def _gentlest(resources: list[Resource]) -> Literal["auto", "connect", "half_open"]:
    """Return how an endpoint shared by several Resources is probed: the one who asks for the least is heard."""
    asked = {r.probe for r in resources}
    if "half_open" in asked:
        return "half_open"
    return "connect" if "connect" in asked else "auto"


def _expect(wished: list[_Wish]) -> Literal["up", "down", "any", "learned"]:
    explicit = [w.resource.expect for w in wished if w.resource.expect != "auto"]
    if explicit:
        return explicit[0]
    return "learned" if all(w.learned for w in wished) else "up"


def _interval(config: Config, resources: list[Resource]) -> float:
    return min(config.schedule.interval if r.interval is None else r.interval for r in resources)


def _unique(resources: list[Resource]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.name for r in resources))


def first_name(config: Config) -> str | None:
    """Return the first name among the addresses of Resources that may be asked for."""
    asked = (r for r in config.resources if r.probe != "never")
    found = (a for r in asked for a in concrete_addresses(r) if not is_address(a))
    return next(found, None)
