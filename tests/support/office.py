"""One office with a row of every kind: what the golden exposition and the page are made of."""

from checks.connlog.model import ConnectionKind, LogCause
from checks.connlog.summary import Capability, CauseCount, LogSummary
from checks.model import Event, Json, Outcome, Reason, Status
from daemon.alert import Alert, AlertKey, Alerts, Delivery
from daemon.causes import Cause, Diagnosis, Domain
from daemon.config.schema import Config, Connector, Metrics, Resource
from daemon.observed import Observed, Predictions
from tests.support.views import Stage, dns_job, plain_job, skipped, tcp_job

RESOURCES = (
    Resource(name="Orders DB", address="orders-db.corp.internal", labels={"team": "payments", "address": "no"}),
    Resource(name="Reporting", address="orders-db.corp.internal"),
    Resource(name="Wiki", address="wiki.corp.internal"),
    Resource(name="Git", address="git.corp.internal"),
    Resource(name='Printer "2"', address="10.9.8.7"),
    Resource(name="Files", address="files.corp.internal"),
    Resource(name="Ranges", address="10.9.8.8"),
    Resource(name="Backups", address="10.20.0.0/16"),
    Resource(name="Off", address="10.9.8.9", probe="never"),
)


def office(metrics: Metrics | None = None) -> Stage:
    """Make the plan; nothing was looked at yet."""
    udp = skipped(Reason.NOT_PROBEABLE)
    jobs = [
        plain_job("host:network"),
        plain_job("clock:system"),
        plain_job("control_plane:acme.twingate.com"),
        plain_job("control_plane:old.twingate.com"),
        plain_job("relay:relays.twingate.com"),
        plain_job("relay:relay-2.twingate.com:30000"),
        plain_job("relay:relay-3.twingate.com"),
        plain_job("nat:udp"),
        plain_job("resolver:nameservers"),
        plain_job("connector:process"),
        dns_job("orders-db.corp.internal", "Orders DB", "Reporting"),
        dns_job("wiki.corp.internal", "Wiki"),
        dns_job("git.corp.internal", "Git"),
        dns_job("files.corp.internal", "Files"),
        tcp_job("orders-db.corp.internal", 5432, "Orders DB", "Reporting"),
        tcp_job("wiki.corp.internal", 443, "Wiki"),
        tcp_job("git.corp.internal", 22, "Git"),
        tcp_job("10.9.8.7", 631, 'Printer "2"'),
        tcp_job("files.corp.internal", 445, "Files"),
        tcp_job("10.9.8.8", 8000, "Ranges"),
        plain_job("tcp:10.20.0.0/16", fixed=udp, resources=("Backups",)),
        plain_job("tcp:10.9.8.9", fixed=udp, resources=("Off",)),
    ]
    config = Config(
        connector=Connector(name="office-1", remote_network="Office", network="acme"),
        resources=RESOURCES,
        metrics=metrics or Metrics(),
    )
    return Stage(jobs, RESOURCES, config)


def seen(stage: Stage) -> Stage:
    """Let every check report once."""
    ok, no_answer = Status.OK, Event.UNABLE_TO_CONNECT
    stage.see("host:network", summary="default route through 10.0.0.1 on eth0")
    stage.see(
        "clock:system",
        summary="the clock is 12 ms ahead",
        measurements={"offset_seconds": 0.012, "error_bound_seconds": 0.003},
        facts={
            "synchronised": True,
            "sources": (
                {"source": "10.0.0.2", "offset_seconds": 0.012, "state": "used"},
                {"source": "pool.example", "offset_seconds": None, "state": "silent"},
                {"source": "pool.example", "offset_seconds": 0.013, "state": "used"},
                {"source": "10.0.0.4", "offset_seconds": None, "state": "silent"},
            ),
        },
    )
    phases = {"resolve_seconds": 0.001, "connect_seconds": 0.011, "tls_seconds": 0.025, "http_seconds": 0.047}
    expiry = {"certificate_not_after_timestamp_seconds": 1780000000.0}
    stage.see("control_plane:acme.twingate.com", measurements=phases | expiry, facts={"tls_intercepted": False})
    stage.see(
        "control_plane:old.twingate.com",
        Status.CRITICAL,
        Reason.TLS_EXPIRED,
        measurements={**phases, "certificate_not_after_timestamp_seconds": 1760000000.0},
        facts={"tls_intercepted": False},
    )
    stage.see("relay:relays.twingate.com", measurements={"connect_seconds": 0.012})
    stage.see("relay:relay-2.twingate.com:30000", Status.CRITICAL, Reason.TIMEOUT)
    stage.see("relay:relay-3.twingate.com", Status.WARNING, Reason.REFUSED)
    stage.see("nat:udp", facts={"udp_egress": True, "endpoint_independent": False})
    stage.see_rows(
        "resolver:nameservers",
        {
            "10.0.0.2": Outcome(status=ok, summary="answered", measurements={"reply_seconds": 0.0012}),
            "10.0.0.3": Outcome(status=Status.WARNING, reason=Reason.TIMEOUT, summary="did not answer"),
            "10.0.0.5:5353": Outcome(
                status=Status.WARNING, reason=Reason.SERVFAIL, summary="SERVFAIL", measurements={"reply_seconds": 0.002}
            ),
        },
    )
    stage.see("connector:process", Status.SKIPPED, Reason.NOT_FOUND)
    matrix: dict[str, Json] = {
        "10.0.0.2": {"class": "address"},
        "10.0.0.3": {"class": "timeout"},
        "10.0.0.5:5353": {"class": "error"},
    }
    stage.see("dns:orders-db.corp.internal", event=Event.NONE, measurements={"lookup_seconds": 0.0015})
    stage.see(
        "dns:files.corp.internal",
        Status.WARNING,
        Reason.RESOLVERS_DISAGREE,
        event=Event.NONE,
        measurements={"lookup_seconds": 0.0025},
        facts={"matrix": matrix},
    )
    stage.see("dns:wiki.corp.internal", Status.CRITICAL, Reason.NXDOMAIN, times=2, event=Event.DNS_LOOKUP_ERROR)
    stage.see("dns:git.corp.internal", event=Event.NONE, measurements={"lookup_seconds": 0.0})
    both: dict[str, Json] = {"accepted": ("10.1.2.3",), "failed": {"10.1.2.4": "refused", "10.1.2.5": "timeout"}}
    one: dict[str, Json] = {"accepted": ("10.1.2.3",)}
    none: dict[str, Json] = {"accepted": (), "failed": {"10.9.8.7": "refused"}}
    fast = {"connect_seconds": 0.0011}
    elsewhere = Outcome(status=Status.CRITICAL, reason=Reason.TIMEOUT, summary="no answer", event=no_answer, facts=none)
    stage.see("tcp:orders-db.corp.internal:5432", event=Event.NONE, measurements=fast, facts=both, second=elsewhere)
    stage.see("tcp:wiki.corp.internal:443", Status.SKIPPED, Reason.DEPENDENCY_FAILED)
    stage.see("tcp:git.corp.internal:22", Status.CRITICAL, Reason.TIMEOUT, event=no_answer, facts=none)
    stage.see("tcp:10.9.8.7:631", Status.CRITICAL, Reason.REFUSED, times=2, event=no_answer, facts=none)
    stage.see("tcp:files.corp.internal:445", event=Event.NONE, measurements=fast, facts=one)
    stage.see("tcp:10.9.8.8:8000", Status.SKIPPED, Reason.NEVER_UP)
    return stage


def watched(stage: Stage) -> Stage:
    """Let the Connector be seen, with few descriptors left, and its log be read and compared with our predictions."""
    stage.see(
        "connector:process",
        Status.WARNING,
        Reason.FDS_LOW,
        facts={"running": True, "restarts": 2, "token_valid": True, "fds": {"used": 900, "limit": 1024}},
    )
    log = LogSummary(
        lines=1000,
        causes={LogCause.RELAY_UNREACHABLE: CauseCount(count=3, last_at=stage.at)},
        events={ConnectionKind.ESTABLISHED: 90, ConnectionKind.DENIED: 4, ConnectionKind.DNS_LOOKUP_ERROR: 2},
        paths={"direct": 60, "relayed": 30},
        capability=Capability(errors=True, states=False),
    )
    predictions = Predictions(counts={("none", "none"): 88, ("dns_lookup_error", "dns_lookup_error"): 2})
    stage.observed = Observed(log=log, predictions=predictions)
    return stage


def diagnosed(stage: Stage) -> Stage:
    """Let causes be found, alerts be decided, and one of two Alertmanagers refuse them."""
    down = Cause(
        code="NameserverDown", target="10.0.0.3", domain=Domain.RESOLVER, severity="warning", title="it is silent",
        text="10.0.0.3 does not answer", action="Start it.", since=stage.at, evidence=("resolver:10.0.0.3",),
        explains=("dns:files.corp.internal",), resources=1, alert="ConnectorNameserverDown",
    )  # fmt: skip
    fails = Cause(
        code="PortFails", target="10.9.8.7:631", domain=Domain.RESOURCE, severity="warning", title="it is refused",
        text="10.9.8.7:631 refused", action="Start it.", since=stage.at, evidence=("tcp:10.9.8.7:631",), resources=1,
        alert="ConnectorUnableToConnect",
    )  # fmt: skip
    clock = Cause(
        code="ClockStepped", target="", domain=Domain.CLOCK, severity="info", title="the clock was set", text="by 3 s",
        action="", since=stage.at,
    )  # fmt: skip
    explained = dict.fromkeys(down.explains, down.id)
    stage.diagnosis = Diagnosis(causes=(down, fails, clock), explained=explained)
    stage.alerts = Alerts(
        active=(
            Alert(key=AlertKey("ConnectorNameserverDown", "warning", ("", "", "", "10.0.0.3", "")), starts_at=stage.at),
            Alert(
                key=AlertKey("ConnectorUnableToConnect", "warning", ('Printer "2"', "10.9.8.7", "631", "", "")),
                starts_at=stage.at,
            ),
            Alert(
                key=AlertKey("ConnectorTLSIntercepted", "warning", ("", "", "", "", "acme.twingate.com")),
                starts_at=stage.at,
            ),
        ),
        truncated={"ConnectorUnableToConnect": 3},
        version=2,
    )
    stage.deliveries = (
        Delivery(name="am-1.example.com:9093", sent=14),
        Delivery(name="am-2.example.com:9093", sent=9, errors=5, dropped=2, queue_length=1, failing_since=stage.at),
    )
    return stage
