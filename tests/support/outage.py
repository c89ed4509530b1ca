"""An office whose nameserver died: hundreds of Resources fail, one cause explains them, one alert carries it."""

from collections.abc import Mapping
from types import MappingProxyType

from checks.model import Event, Outcome, Reason, Status
from daemon.alert import Alert, AlertKey, Alerts, Delivery
from daemon.causes import Cause, Change, ChangeKind, Diagnosis, Domain
from daemon.config.schema import Alerting, Config, Connector, Resource
from daemon.view import EngineFigures, View
from tests.support.views import STARTED_AT, Stage, dns_job, plain_job, tcp_job

NOW = STARTED_AT + 3600
BEGAN = NOW - 180
NAMESERVER = "10.0.0.2"
CHANGE = Change(at=BEGAN - 7, kind=ChangeKind.ROUTE, text="default route via 10.0.0.1 on eth0 gone")


def outage_stage(failing: int, fine: int = 12) -> Stage:
    """Return a board on which `failing` Resources do not resolve, and a few ports are as they should be."""
    resources = [Resource(name=f"Server {n}", address=f"s{n}.corp.internal") for n in range(failing)]
    others = [Resource(name=f"Fixed {n}", address=f"10.9.0.{n}") for n in range(fine)]
    jobs = [
        plain_job("host:network"),
        plain_job("clock:system"),
        plain_job("resolver:nameservers"),
        plain_job("connector:process"),
        *(dns_job(r.address, r.name) for r in resources),
        *(tcp_job(r.address, 443, r.name) for r in resources),
        *(tcp_job(r.address, 22, r.name) for r in others),
    ]
    config = Config(
        connector=Connector(name="office-1", remote_network="Office", network="acme"),
        resources=(*resources, *others),
        alerting=Alerting(runbooks="https://runbooks.example.com/"),
    )
    stage = Stage(jobs, config.resources, config)
    for row_id, summary in (("host:network", "default route through 10.0.0.1 on eth0"), ("clock:system", "right"),
                            ("connector:process", "container twingate-office-1 is running for 3 d")):  # fmt: skip
        stage.see(row_id, summary=summary)
    for other in others:
        stage.see(f"tcp:{other.address}:22", event=Event.NONE, summary=f"{other.address}:22 accepted in 1 ms")
    stage.at = BEGAN
    silent = Outcome(
        status=Status.CRITICAL, reason=Reason.TIMEOUT, summary=f"{NAMESERVER} gave no valid reply within 5 s",
        action=f"See that it runs. Repeat it by hand on this host: dig @{NAMESERVER} s0.corp.internal A",
    )  # fmt: skip
    stage.see_rows("resolver:nameservers", {NAMESERVER: silent})
    for resource in resources:
        name = resource.address
        stage.see(
            f"dns:{name}", Status.CRITICAL, Reason.TIMEOUT, times=2, event=Event.DNS_LOOKUP_ERROR,
            summary=f"{name} does not resolve: {NAMESERVER} gave no answer within 5 s",
            action=f"No nameserver answered. Repeat it by hand on this host: dig {name} A",
        )  # fmt: skip
        stage.see(
            f"tcp:{name}:443", Status.SKIPPED, Reason.DEPENDENCY_FAILED, facts={"parent": f"dns:{name}"},
            summary=f"not asked: {name} does not resolve (see dns:{name})",
        )  # fmt: skip
    stage.at = NOW
    return stage


def nameserver_down(stage: Stage) -> Cause:
    """Return the cause that explains every name of the board."""
    explains = tuple(i for i, row in stage.board.rows.items() if i.startswith("dns:") or "parent" in
                     row.result.outcome.facts)  # fmt: skip
    return Cause(
        code="NameserverDown", target=NAMESERVER, domain=Domain.RESOLVER, severity="critical",
        title=f"Nameserver {NAMESERVER} does not answer",
        text=f"{NAMESERVER} gave no valid reply within 5 s, and no other nameserver is in use: no name resolves for "
        f"the Connector. {len(explains):,} checks fail or are not asked because of it ({len(explains) // 2} "
        "Resources).",
        action="See that the nameserver runs and that UDP and TCP port 53 reach it. Repeat it by hand on this host: "
        f"dig @{NAMESERVER} s0.corp.internal A",
        since=BEGAN, evidence=(f"resolver:{NAMESERVER}",), explains=explains,
        resources=len({name for i in explains for name in stage.board.rows[i].result.resources}),
        possible=("a firewall on the way that drops port 53",), changed=(CHANGE,), alert="ConnectorNameserverDown",
        labels=MappingProxyType({"nameserver": NAMESERVER}),
    )  # fmt: skip


def found(*causes: Cause) -> Diagnosis:
    """Return a diagnosis of these causes; of two that explain a row the first counts."""
    explained: dict[str, str] = {}
    for cause in causes:
        for row_id in cause.explains:
            explained.setdefault(row_id, cause.id)
    return Diagnosis(causes=causes, explained=MappingProxyType(explained))


def key(name: str, severity: str = "critical", **labels: str) -> AlertKey:
    """Return the identity of an alert."""
    names = ("resource", "address", "port", "nameserver", "endpoint")
    values = [labels.get(label, "") for label in names]
    return AlertKey(name, severity, (values[0], values[1], values[2], values[3], values[4]))


def one_alert(pending: Mapping[AlertKey, float] | None = None) -> Alerts:
    """Return the alert that carries the dead nameserver, and another that is about to fire."""
    wiki = key("ConnectorUnableToConnect", "warning", resource="Wiki", address="10.9.0.1", port="22")
    return Alerts(
        active=(
            Alert(
                key=key("ConnectorNameserverDown", nameserver=NAMESERVER), starts_at=NOW - 120,
                summary=f"Nameserver {NAMESERVER} does not answer", action="See that the nameserver runs.",
                cause=f"NameserverDown:{NAMESERVER}", rows=(f"resolver:{NAMESERVER}",),
            ),
        ),
        pending={wiki: NOW + 40.5} if pending is None else pending,
        version=7,
    )  # fmt: skip


def outage(failing: int = 500, *, held: bool = True) -> View:
    """Return the view of a daemon, or of a single look."""
    stage = outage_stage(failing)
    engine = EngineFigures(
        connector="office-1", vantage="host", runtime="docker", started_at=STARTED_AT, ready=True,
        reloaded_at=STARTED_AT, duration_s=None if held else 1.5,
    )  # fmt: skip
    stage.diagnosis, stage.changes = found(nameserver_down(stage)), (CHANGE,)
    if held:
        refusing = Delivery(
            name="am-2.example.com:9093", sent=12, queue_length=1, failing_since=NOW - 600, problem="connection refused"
        )
        stage.alerts, stage.deliveries = one_alert(), (Delivery(name="am-1.example.com:9093", sent=14), refusing)
    return stage.view(engine)
