"""Reports made by hand: rows of every kind, as the runner would stamp them."""

from collections.abc import Iterable, Mapping

from checks.model import CheckName, Event, Json, Outcome, Reason, Status
from daemon.document import Document
from daemon.jobs import Result
from daemon.report import Head, document
from daemon.state import Held, State, TargetState

STARTED_AT = 1767323045.678  # 2026-01-02T03:04:05.678Z


def row(
    row_id: str,
    status: Status = Status.OK,
    reason: Reason | None = None,
    *,
    summary: str = "fine",
    action: str = "",
    event: Event | None = None,
    resources: tuple[str, ...] = (),
    measurements: Mapping[str, float] | None = None,
    facts: Mapping[str, Json] | None = None,
    state: State = State.OK,
) -> TargetState:
    """Make one row from its id."""
    check, _, target = row_id.partition(":")
    outcome = Outcome(
        status=status,
        summary=summary,
        reason=reason,
        event=event,
        action=action,
        measurements=measurements or {},
        facts=facts or {},
    )
    result = Result(
        id=row_id,
        job=row_id,
        check=CheckName(check),
        target=target.removesuffix("@host"),
        outcome=outcome,
        started_at=STARTED_AT,
        duration_s=0.0012,
        resources=resources,
    )
    return TargetState(result, None, Held(state=state, since=STARTED_AT))


def head(
    *,
    asked: Iterable[CheckName] = CheckName,
    configured: int = 0,
    held: bool = False,
    vantage: str = "host",
    connector: str = "office-1",
    remote_network: str = "Office",
) -> Head:
    """Make what a report says of its run."""
    return Head(
        connector=connector,
        remote_network=remote_network,
        vantage=vantage,
        confidence="exact" if vantage == "connector" else "host_view",
        started_at=STARTED_AT,
        duration_s=1.2345678,
        asked=frozenset(asked),
        configured=configured,
        held=held,
    )


def sound_host() -> list[TargetState]:
    """Return the rows of a host on which all but the Resources was looked at, and is fine."""
    return [
        row("host:network", summary="default route through 10.0.0.1 on eth0; IPv4 10.0.0.17"),
        row("clock:system", summary="clock is 12 ms ahead (± 3 ms, 4 of 4 sources agree)",
            measurements={"offset_seconds": 0.012}),
        row("control_plane:acme.twingate.com", summary="acme.twingate.com answers in 41 ms"),
        row("relay:relays.twingate.com", summary="relays.twingate.com accepts in 18 ms"),
        row("nat:udp", Status.SKIPPED, Reason.NOT_PROBEABLE, summary="no STUN server is configured"),
        row("resolver:10.0.0.2", summary="10.0.0.2 answers in 2 ms"),
    ]  # fmt: skip


def office() -> Document:
    """Return the report of an office in trouble: every kind of row, forty Resources behind them."""
    rows = sound_host() + [
        row("resolver:10.0.0.3", Status.WARNING, Reason.SERVFAIL, summary="10.0.0.3 answers SERVFAIL",
            action="Look at its forwarders. Repeat it by hand on this host: dig @10.0.0.3 . NS"),
        row("dns:wiki.corp.internal", summary="10.1.0.9 in 2 ms", event=Event.NONE, resources=("Wiki",)),
        row("dns:payroll.corp.internal", Status.CRITICAL, Reason.NXDOMAIN, event=Event.DNS_LOOKUP_ERROR,
            summary="no nameserver knows payroll.corp.internal (NXDOMAIN from 10.0.0.2 and 10.0.0.3)",
            action="The name does not exist for the nameservers in use: a typing error, a missing record, or a private "
            "zone that this host's nameservers do not know. Repeat it by hand on this host: dig payroll.corp.internal "
            "A",
            resources=("Payroll",)),
        row("tcp:payroll.corp.internal:443", Status.SKIPPED, Reason.DEPENDENCY_FAILED, resources=("Payroll",),
            summary="not asked: payroll.corp.internal does not resolve (see dns:payroll.corp.internal)",
            facts={"parent": "dns:payroll.corp.internal"}),
        row("tcp:wiki.corp.internal:443", summary="accepts in 1 ms", event=Event.NONE, resources=("Wiki",),
            measurements={"connect_seconds": 0.00112}),
        row("tcp:10.1.2.3:5432", Status.CRITICAL, Reason.REFUSED, event=Event.UNABLE_TO_CONNECT,
            summary="10.1.2.3:5432 refused the connection in 1 ms", resources=("Orders DB", "Reporting"),
            action="Nothing listens on this port, or a firewall rejects with a reset. On that host see that the "
            "service runs and listens on this address and not on 127.0.0.1 alone (`ss -ltn`), that the port is the "
            "right one, and that its own firewall admits this host. Repeat it by hand on this host: "
            "nc -vz -w 5 10.1.2.3 5432",
            measurements={"connect_seconds": 0.0011}, facts={"addresses": ("10.1.2.3",)}),
        row("tcp:*.lab.internal", Status.SKIPPED, Reason.NOT_PROBEABLE, resources=("Lab",),
            summary="not probed: a pattern has no address of its own; name some in `samples`"),
        row("tcp:10.9.0.1:8001", Status.SKIPPED, Reason.NEVER_UP, resources=("Build",), summary="never accepted"),
        row("connector:twingate-office-1", summary="container runs since 3 days", ),
        row("provider:status.twingate.com", Status.SKIPPED, Reason.NOT_PROBEABLE, summary="nothing to ask about"),
    ] + [
        row(f"tcp:10.2.0.{n}:443", summary="accepts in 1 ms", event=Event.NONE, resources=(f"Server {n}",))
        for n in range(1, 35)
    ]  # fmt: skip
    return document(head(configured=40), rows)
