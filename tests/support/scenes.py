"""Scenes made by hand: rows as the checks would leave them, in few words, for everything that explains them."""

import ipaddress
from collections.abc import Mapping
from dataclasses import replace

from checks.connlog.summary import LogSummary
from checks.hostnet import Route
from checks.model import CheckName, Json, Outcome, Reason, Status
from checks.names import NameSpec
from checks.net.endpoint import is_address, parse_endpoint
from checks.relay import RelaySpec
from checks.runtime.model import Sighting
from daemon.causes import CauseSeverity, Change, Diagnosis
from daemon.diagnosis.diagnostician import diagnose_once
from daemon.diagnosis.scene import Scene
from daemon.jobs import Job, Result
from daemon.state import Policy, TargetState, advance
from tests.support.views import STARTED_AT, plain_job, tcp_job

GATEWAY = "192.168.0.1"
LAN = "192.168.0.0/24"
CRITICAL = "critical"


def route(network: str, gateway: str = "", *, interface: str = "eth0", metric: int = 0) -> Route:
    """Make a route; without a gateway its network is on the link."""
    return Route(network=ipaddress.ip_network(network), interface=interface, gateway=gateway, metric=metric)


HOME = (route("0.0.0.0/0", GATEWAY), route(LAN))
"""A host in its LAN behind one router."""


class Place:
    """A host and what its checks see. Each method records one look at `at`; `confirmed` says that it was confirmed."""

    def __init__(self, routes: tuple[Route, ...] = HOME, *, failures: int = 1) -> None:
        self.at = STARTED_AT
        self.routes = routes
        self.dead: frozenset[str] = frozenset()
        self.rows: dict[str, TargetState] = {}
        self.jobs: dict[str, Job] = {}
        self.severities: dict[str, CauseSeverity] = {}
        self.log: LogSummary | None = None
        self.sighting: Sighting | None = None
        self.changes: tuple[Change, ...] = ()
        self.in_connector = False
        self.stale: set[str] = set()
        self._policy = Policy(failures=failures, successes=failures)

    def see(
        self,
        row_id: str,
        status: str = "ok",
        reason: Reason | str | None = None,
        *,
        facts: Mapping[str, Json] | None = None,
        measurements: Mapping[str, float] | None = None,
        job: Job | None = None,
        resources: tuple[str, ...] = (),
        summary: str = "",
        action: str = "",
    ) -> str:
        """Record one outcome of a row; return its id."""
        check, _, target = row_id.partition(":")
        job = job or self.jobs.get(row_id) or plain_job(row_id, resources=resources)
        self.jobs[job.id] = job
        outcome = Outcome(
            status=Status(status), reason=None if reason is None else Reason(reason),
            summary=summary or f"{target} seen {reason or 'ok'}", action=action,
            measurements=measurements or {}, facts=facts or {},
        )  # fmt: skip
        result = Result(
            id=row_id, job=job.id, check=CheckName(check), target=target, outcome=outcome,
            started_at=self.at, duration_s=0.01, resources=job.resources or resources,
        )  # fmt: skip
        self.rows[row_id], _ = advance(self.rows.get(row_id), result, self._policy)
        return row_id

    def tcp(
        self,
        address: str,
        port: int,
        reason: str | None = None,
        *,
        ips: tuple[str, ...] = (),
        failed: Mapping[str, str] | None = None,
        resource: str = "",
        severity: CauseSeverity | None = None,
        **facts: Json,
    ) -> str:
        """Look at a port: `reason` None accepts. `ips` are the addresses of a name; `failed` says it for each."""
        ips = ips or (address,)
        resource = resource or f"{address}:{port}"
        if severity is not None:
            self.severities[resource] = severity
        job = replace(tcp_job(address, port, resource), name=None if is_address(address) else address)
        broken = dict(failed) if failed is not None else {} if reason is None else dict.fromkeys(ips, reason)
        shown: dict[str, Json] = {
            "addresses": ips, "accepted": tuple(a for a in ips if a not in broken), "failed": broken, **facts,
        }  # fmt: skip
        return self.see(job.id, "ok" if reason is None else CRITICAL, reason, facts=shown, job=job)

    def skip(self, row_id: str, parent: str, *, resources: tuple[str, ...] = ()) -> str:
        """Leave a row unasked because of another."""
        return self.see(row_id, "skipped", "dependency_failed", facts={"parent": parent}, resources=resources)

    def dns(self, name: str, reason: str | None = None, *, status: str = "", resource: str = "", **matrix: str) -> str:
        """Look a name up: `reason` None resolves. `matrix`: what each nameserver said, its name with _ for dots."""
        address = "10.9.9.9"
        cells: dict[str, Json] = {}
        for by, word in matrix.items():
            answered = word == "address"
            klass = word if word in ("address", "nxdomain", "no_address", "timeout") else "error"
            cells[by.removeprefix("ns_").replace("_", ".")] = {
                "class": klass, "ms": 1.0, **({"addresses": (address,)} if answered else {"reason": str(word)}),
            }  # fmt: skip
        job = Job(
            id=f"dns:{name}", check=CheckName.DNS, target=name, spec=NameSpec(name=name), interval_s=30.0,
            timeout_s=5.0, resources=(resource or name,),
        )  # fmt: skip
        resolved = reason is None or "address" in matrix.values()
        shown: dict[str, Json] = {"addresses": (address,) if resolved else (), "address_count": int(resolved)}
        if cells:
            shown["matrix"] = cells
        return self.see(job.id, status or ("ok" if reason is None else CRITICAL), reason, facts=shown, job=job)

    def nameserver(self, address: str, reason: str | None = None, *, status: str = "", rcode: str = "") -> str:
        """Ask a nameserver: `reason` None is a valid reply; with `rcode` it is one that settles nothing."""
        facts: dict[str, Json] = {"question": "db.corp.internal. A", "class": "timeout" if reason else "address"}
        if reason is None or rcode:
            facts["rcode"] = rcode or "NOERROR"
        status = status or ("ok" if reason is None else "warning" if rcode else CRITICAL)
        return self.see(f"resolver:{address}", status, reason, facts=facts)

    def controller(
        self, host: str = "acme.twingate.com", reason: str | None = None, *, ip: str = "34.1.1.1",
        phase: str = "connect", status: str = "", action: str = "Look at the firewall. Repeat: nc -vz 34.1.1.1 443",
    ) -> str:  # fmt: skip
        """Look at a control-plane endpoint; phase `resolve`: its name has no address."""
        facts: dict[str, Json] = {"url": f"https://{host}/"}
        if phase == "resolve":
            facts["addresses"] = ()
        else:
            facts |= {"address": ip, "addresses": (ip,)}
        if reason is not None and phase != "resolve":
            facts |= {"failed_addresses": {ip: reason}, "failed_phase": phase}
        return self.see(
            f"control_plane:{host}", status or ("ok" if reason is None else CRITICAL), reason, facts=facts,
            action=action if reason else "",
        )  # fmt: skip

    def relay(
        self, host: str = "relays.twingate.com", reason: str | None = None, *, ip: str = "35.1.1.1",
        proven: bool = True, accepts: bool = False, status: str = "", resolves: bool = True,
    ) -> str:  # fmt: skip
        """Look at a Relay; `accepts`: over TCP, whatever is wrong then."""
        spec = RelaySpec(endpoint=parse_endpoint(host, 443), target=host, proven=proven)
        job = replace(plain_job(f"relay:{host}"), spec=spec, interval_s=60.0)
        up = reason is None or accepts
        facts: dict[str, Json] = {"addresses": (ip,) if resolves else ()}
        if not up and resolves:
            facts["failed"] = {ip: reason}
        bad = CRITICAL if proven and not accepts else "warning"
        return self.see(
            job.id, status or ("ok" if reason is None else bad), reason, facts=facts, job=job,
            measurements={"connect_seconds": 0.01} if up else {},
        )  # fmt: skip

    def host(self, reason: str | None = None, *, loopback_only: bool = False, **facts: Json) -> str:
        """Look at this host's own network."""
        shown: dict[str, Json] = {"loopback_only": loopback_only, **facts}
        return self.see("host:network", "ok" if reason is None else CRITICAL, reason, facts=shown)

    def clock(self, reason: str | None = None, *, offset: float = 0.0, bound: float = 0.1, status: str = "") -> str:
        """Look at the clock; `offset` and `bound` in seconds."""
        return self.see(
            "clock:system", status or ("ok" if reason is None else CRITICAL), reason,
            measurements={"offset_seconds": offset, "error_bound_seconds": bound}, facts={"tolerance_seconds": 5.0},
        )  # fmt: skip

    def connector(self, reason: str | None = None, *also: str, status: str = "", **facts: Json) -> str:
        """Look at the Connector's process."""
        hard = reason in ("not_running", "token_invalid", "token_gone")
        shown: dict[str, Json] = {"running": reason != "not_running", "also": also, **facts}
        return self.see(
            "connector:process", status or ("ok" if reason is None else CRITICAL if hard else "warning"), reason,
            facts=shown, action="See why it ended. By hand: `docker logs twingate-1`" if reason else "",
        )  # fmt: skip

    def scene(self) -> Scene:
        """Return the scene of now."""
        return Scene(
            rows=dict(self.rows), jobs=dict(self.jobs), severities=self.severities, routes=self.routes,
            dead_next_hops=self.dead, log=self.log, sighting=self.sighting, changes=self.changes, now=self.at,
            in_connector=self.in_connector,
            fresh=lambda row: row.result.outcome.status.conclusive and row.id not in self.stale,
        )  # fmt: skip

    def diagnosis(self) -> Diagnosis:
        """Return what one look at it concludes."""
        return diagnose_once(self.scene())


def codes(diagnosis: Diagnosis) -> set[str]:
    """Return the ids of the causes."""
    return {cause.id for cause in diagnosis.causes}
