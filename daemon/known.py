"""What is already known when a job is run: what its probe is told, and the parent that makes asking pointless."""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from checks.connlog.summary import LogSummary
from checks.model import CheckName, Outcome, Reason, Status
from checks.name_story import addresses_of
from checks.net.endpoint import is_loopback
from checks.net.seat import Context, Seat
from checks.runtime.model import Runtime
from daemon.jobs import Job, Result

HOST_ROW = "host:network"
CLOCK_ROW = "clock:system"
CONNECTOR_ROW = "connector:process"
RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})
OUTWARD_CHECKS = frozenset({CheckName.CONTROL_PLANE, CheckName.RELAY})
DATED = frozenset({CheckName.CONTROL_PLANE, CheckName.CONNECTOR})  # certificates and tokens: their dates need a clock
TROUBLE_CHECKS = OUTWARD_CHECKS | {CheckName.CLOCK, CheckName.NAT, CheckName.CONNECTOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the runner may ask of those who keep results: `latest(id)`, the rows of a check, what was ever up.

    - `latest` returns a row's last result while it is fresh enough to stand on, else None.
    - `user_failed` tells whether the Connector's log lately showed a user failing on the target of a job.
    - `log` is what that log has told; None: it is not read.
    - `version` returns something else than before whenever a row may have failed; never the same: ask each time.
    - `refusal` returns the outcome of a job that this host can't carry now; None: it can.
    - `connector` looks at the Connector's process; None: nobody does. `connector_seat` is where it stands, if known.
    """

    latest: Callable[[str], Result | None]
    rows: Callable[[CheckName], tuple[Result, ...]]
    ever_up: Callable[[str], bool]
    user_failed: Callable[[Job], bool] = lambda _: False
    log: Callable[[], LogSummary | None] = lambda: None
    connector: Runtime | None = None
    connector_seat: Callable[[], Seat | None] = lambda: None
    refusal: Callable[[Job], Outcome | None] = lambda _: None
    version: Callable[[], object] = object


class Contexts:
    """Makes what a run is given. `enabled` are the checks that are run: only they may silence others.

    `elsewhere`: ids of rows that were seen from a seat that was left: what they say does not hold for the next one.
    """

    def __init__(self, known: Known, enabled: frozenset[CheckName], elsewhere: AbstractSet[str] = frozenset()) -> None:
        self.known = known
        self.enabled = enabled
        self.elsewhere = elsewhere
        # Looked up for each probe: hashing a member of an enumeration takes longer than all the rest of it.
        self._dns, self._host, self._connector = (
            check in enabled for check in (CheckName.DNS, CheckName.HOST, CheckName.CONNECTOR)
        )
        self._clear_at: object = None  # the version of what is known at which our place was last seen to be well

    def of(
        self, job: Job, seat: Seat, memory: object, *, thorough: bool, confirming: bool, second: bool = False
    ) -> Context:
        """Return the context of one run; only what the job's check asks for is looked up.

        `second`: another seat than the one where rows are held looks, so it resolves names for itself.
        """
        known = self.known
        if job.check is CheckName.TCP:  # made thousands of times a minute
            return Context(
                seat=seat,
                addresses=None if second else self.addresses(job),
                confirming=confirming,
                ever_up=known.ever_up(job.id),
                user_failed=known.user_failed(job),
            )
        asks_trouble, asks_egress = job.check is CheckName.PROVIDER, job.check is CheckName.NAT
        context = Context(
            seat=seat,
            memory=memory,
            thorough=thorough,
            confirming=confirming,
            egress=self._egress() if asks_egress else None,
            clock_off=job.check in DATED and self._clock_off(),
            trouble=asks_trouble and self._trouble(),
            user_failed=job.check is CheckName.DNS and known.user_failed(job),
        )
        if job.check is CheckName.CONNECTOR:
            return replace(
                context,
                connector=known.connector,
                connector_seat=known.connector_seat(),
                log=known.log(),
                resolver_ok=self._resolver_ok(),
            )
        return context

    def failed_parent(self, job: Job) -> Outcome | None:
        """Return the outcome of a job whose parent failed: no Connector, no network, no address for its name."""
        if job.check is not CheckName.TCP and job.check is not CheckName.DNS:
            return None
        if self._clear_at != (version := self.known.version()):
            if (failed := self._failed_place(job)) is not None:
                return failed
            if not self._lonely():
                self._clear_at = version
        if job.check is CheckName.TCP and job.name is not None and self._dns:
            dns = self._here(f"dns:{job.name}")
            if dns is not None and dns.outcome.status is Status.CRITICAL:
                return dependency_failed(f"{job.name} does not resolve", dns.id)
        return None

    def _failed_place(self, job: Job) -> Outcome | None:
        """Return the outcome where the place that we look from is the matter."""
        if self._connector:
            connector = self.known.latest(CONNECTOR_ROW)
            if connector is not None and connector.outcome.facts.get("running") is False:
                return dependency_failed("the Connector is not running", CONNECTOR_ROW)
        if self._lonely() and not (job.host is not None and is_loopback(job.host)):
            return dependency_failed("this host has no network interface but loopback", HOST_ROW)
        return None

    def _lonely(self) -> bool:
        """Tell whether the host has no interface but loopback."""
        host = self._here(HOST_ROW) if self._host else None
        return host is not None and host.outcome.facts.get("loopback_only") is True

    def left_to_the_name(self, job: Job, outcome: Outcome) -> Outcome:
        """Leave it to the name's own row to tell that a name fails, also where the port was asked first."""
        dns_tells = job.name is not None and job.check is CheckName.TCP and self._dns
        if not dns_tells or "name_failed" not in outcome.facts or outcome.status is Status.UNKNOWN:
            return outcome
        return dependency_failed(f"{job.name} does not resolve", f"dns:{job.name}")

    def addresses(self, job: Job) -> tuple[str, ...] | None:
        """Return what the `dns` check last found for the name of a job; None: resolve it yourself."""
        if job.name is None or not self._dns:
            return None
        dns = self._here(f"dns:{job.name}")
        if dns is None or not dns.outcome.status.conclusive:
            return None
        return addresses_of(dns.outcome) or None

    def _here(self, row_id: str) -> Result | None:
        return None if row_id in self.elsewhere else self.known.latest(row_id)

    def _clock_off(self) -> bool:
        clock = self.known.latest(CLOCK_ROW)
        return clock is not None and clock.outcome.status is Status.CRITICAL

    def _egress(self) -> bool | None:
        outcomes = [r.outcome for check in OUTWARD_CHECKS & self.enabled for r in self.known.rows(check)]
        judged = [o for o in outcomes if o.status.conclusive]
        return any("connect_seconds" in o.measurements for o in judged) if judged else None

    def _resolver_ok(self) -> bool | None:
        judged = [r.outcome.status for r in self.known.rows(CheckName.RESOLVER) if r.outcome.status.conclusive]
        return Status.OK in judged if judged else None

    def _trouble(self) -> bool:
        rows = (r for check in TROUBLE_CHECKS & self.enabled for r in self.known.rows(check))
        return any(r.outcome.status is Status.CRITICAL for r in rows)


def dependency_failed(why: str, parent: str) -> Outcome:
    """Return the outcome of a target that was not asked, because its `parent` (the id of a row) tells why it fails."""
    facts: Mapping[str, str] = {"parent": parent}
    summary = f"not asked: {why} (see {parent})"
    return Outcome(status=Status.SKIPPED, reason=Reason.DEPENDENCY_FAILED, summary=summary, facts=facts)
