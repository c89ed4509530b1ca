"""The jobs of names, ports and targets that are never probed; a job that would be the same again is the same object.

So who holds something for each job can tell by identity what a new plan leaves as it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Literal, TypeAlias

from checks.model import CheckName, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.endpoint import Endpoint, is_address
from checks.policy import PortDecision, method_for
from checks.tcp_spec import TcpSpec
from daemon.config.schema import Resource
from daemon.jobs import Job
from daemon.plan import MadeFor, Plan
from daemon.wishes import Wish

MARGIN_S = 1.0  # what the runner adds to a probe's own time-outs before it calls the run unfinished
MAX_QUESTIONS = 8  # a name may stand for several (search list), each asked within dns.timeout
Asked: TypeAlias = Literal["auto", "connect", "half_open"]


class JobMaker:
    """Makes jobs for one configuration; `before` is the plan whose jobs are kept where they still hold.

    What a job holds several times, or shares with others, is one object: there are tens of thousands.
    """

    def __init__(self, made_for: MadeFor, before: Plan | None) -> None:
        self._config = config = made_for.config
        self._half_open = made_for.half_open
        self._held: Mapping[str, Job] = before.by_id if before is not None else {}
        self._unchanged = _unchanged(made_for, before)
        self._permits: dict[tuple[int, Asked], PortDecision] = {}
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._dns_timeout_s = config.dns.timeout * MAX_QUESTIONS + MARGIN_S
        self._tcp_timeout_s = 2 * config.dns.timeout + config.schedule.timeout + MARGIN_S

    def name(self, name: str, resources: Sequence[Resource], *, from_log: bool) -> Job:
        """Return the job that looks a name up."""
        job_id, names = f"dns:{name}", _unique(resources)
        held = self._same(job_id, names)
        if held is not None and isinstance(held.spec, NameSpec) and held.spec.learned_sample is from_log:
            return held
        spec = NameSpec(
            name=name,
            timeout_s=self._config.dns.timeout,
            max_addresses=self._config.probing.max_addresses_per_name,
            learned_sample=from_log,
        )
        return self.kept(
            Job(
                id=job_id,
                check=CheckName.DNS,
                target=name,
                spec=spec,
                interval_s=self._interval(resources),
                timeout_s=self._dns_timeout_s,
                resources=self._shared(names),
            )
        )

    def port(self, wished: Sequence[Wish], written: AbstractSet[str]) -> Job:
        """Return the job that probes an endpoint; `written` are the names and addresses in the configuration."""
        first = wished[0]
        target = str(Endpoint(first.address, first.port))
        job_id, names = f"tcp:{target}", _unique(w.resource for w in wished)
        held = self._same(job_id, names)
        if held is not None and not first.from_log and isinstance(held.spec, TcpSpec) and not held.spec.learned_sample:
            return held
        resources = [w.resource for w in wished]
        permit = self._permit(first.port, _gentlest(resources))
        config, literal = self._config, is_address(first.address)
        spec = TcpSpec(
            address=first.address,
            port=first.port,
            target=target,
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
        )
        job = Job(
            id=job_id,
            check=CheckName.TCP,
            target=target,
            spec=spec,
            interval_s=max(self._interval(resources), permit.min_interval_s),
            timeout_s=self._tcp_timeout_s,
            resources=self._shared(names),
            name=None if literal else first.address,
            host=first.address,
            connections=1,
            confirmable=permit.confirmable,
        )
        if permit.method is None:
            why = not_probed(permit.reason or Reason.NOT_ALLOWED, permit.why, permit.action)
            job = replace(job, fixed=why, connections=0)
        return self.kept(job)

    def never(self, address: str, resources: Sequence[Resource], why: str) -> Job:
        """Return the job of a target that is never probed."""
        job_id, names = f"tcp:{address}", _unique(resources)
        held = self._same(job_id, names)
        if held is not None and held.spec is None:
            return held
        return self.kept(
            Job(
                id=job_id,
                check=CheckName.TCP,
                target=address,
                spec=None,
                interval_s=0.0,
                timeout_s=0.0,
                resources=self._shared(names),
                fixed=not_probed(Reason.NOT_PROBEABLE, why),
            )
        )

    def kept(self, job: Job) -> Job:
        """Return the job of the plan before where it is equal, else this one."""
        held = self._held.get(job.id)
        return held if held is not None and held == job else job

    def _same(self, job_id: str, names: tuple[str, ...]) -> Job | None:
        """Return the job before, if it was made for the same Resources and all of them are as they were."""
        held = self._held.get(job_id)
        if held is None or held.resources != names or not self._unchanged.issuperset(names):
            return None
        return held

    def _permit(self, port: int, asked: Asked) -> PortDecision:
        permit = self._permits.get((port, asked))
        if permit is None:
            probing = self._config.probing
            permit = self._permits[port, asked] = method_for(
                port, method=probing.method, ports=probing.ports, probe=asked, half_open_available=self._half_open
            )
        return permit

    def _interval(self, resources: Iterable[Resource]) -> float:
        usual = self._config.schedule.interval
        return min([usual if r.interval is None else r.interval for r in resources])

    def _shared(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return self._names.setdefault(names, names)


def not_probed(reason: Reason, why: str, action: str = "") -> Outcome:
    """Return the outcome of a target that is never probed."""
    return Outcome(status=Status.SKIPPED, reason=reason, summary=f"not probed: {why}", action=action)


def _unchanged(made_for: MadeFor, before: Plan | None) -> frozenset[str]:
    """Return the names of the Resources of which every job is as it was, unless other Resources change it.

    A job is made of its Resources and of these sections of the configuration; the test of this module changes each.
    """
    old = before.made_for if before is not None else None
    if old is None or old.half_open is not made_for.half_open:
        return frozenset()
    one, other = old.config, made_for.config
    if (one.dns, one.probing, one.schedule) != (other.dns, other.probing, other.schedule):
        return frozenset()
    earlier = {resource.name: resource for resource in one.resources}
    return frozenset(r.name for r in other.resources if (held := earlier.get(r.name)) is r or held == r)


def _gentlest(resources: Sequence[Resource]) -> Asked:
    """Return how an endpoint shared by several Resources is probed: the one who asks for the least is heard."""
    asked = {r.probe for r in resources}
    if "half_open" in asked:
        return "half_open"
    return "connect" if "connect" in asked else "auto"


def _expect(wished: Sequence[Wish]) -> Literal["up", "down", "any", "learned"]:
    explicit = [w.resource.expect for w in wished if w.resource.expect != "auto"]
    if explicit:
        return explicit[0]
    return "learned" if all(w.learned for w in wished) else "up"


def _unique(resources: Iterable[Resource]) -> tuple[str, ...]:
    names = tuple([r.name for r in resources])
    return names if len(names) == 1 else tuple(dict.fromkeys(names))
