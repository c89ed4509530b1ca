"""A Connector of which everything is known: its process, its log, what was learned, how often we were right."""

from types import MappingProxyType

from checks.connlog.capability import capability
from checks.connlog.model import ConnectionKind, LogCause, LogState
from checks.connlog.summary import CauseCount, LogSummary
from checks.model import Event, Json, Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from daemon.config.schema import Config, Connector, Resource
from daemon.observed import Disagreement, Learned, LearnedRelay, LearnedSample, Observed, Predictions
from daemon.view import EngineFigures, View
from tests.support.views import STARTED_AT, Stage, dns_job, plain_job, tcp_job

DAY_S = 86400.0
NOW = STARTED_AT + 3 * DAY_S

LOG = LogSummary(
    lines=48211,
    last_line_at=NOW - 3,
    state=LogState.ONLINE,
    state_at=NOW - 2 * DAY_S,
    nameservers_down=MappingProxyType({"10.0.0.3": NOW - 240}),
    causes=MappingProxyType(
        {
            LogCause.RELAY_UNREACHABLE: CauseCount(count=3, last_at=NOW - 7200),
            LogCause.NAMESERVER_FAILED: CauseCount(count=12, last_at=NOW - 240),
            LogCause.OTHER: CauseCount(count=0, last_at=0.0),
        }
    ),
    events=MappingProxyType({ConnectionKind.ESTABLISHED: 20311, ConnectionKind.DENIED: 7}),
    paths=MappingProxyType({"direct": 20000, "relayed": 311}),
    failing=MappingProxyType({"db.corp.internal:5432": 3, "wiki.corp.internal:443": 11}),
    capability=capability({"TWINGATE_NETWORK": "acme", "TWINGATE_LOG_ANALYTICS": "v2"}, readable=True),
)
LEARNED = Learned(
    relays=(
        LearnedRelay(
            endpoint=Endpoint("192.0.2.8", 443), first_at=NOW - 60, last_at=NOW - 5, days=1, count=2, proven=False
        ),
        LearnedRelay(
            endpoint=Endpoint("192.0.2.9", 443), first_at=STARTED_AT, last_at=NOW, days=4, count=90, proven=True
        ),
    ),
    samples=(
        LearnedSample(
            rule="*.corp.internal", address="db.corp.internal", port=5432, first_at=STARTED_AT, last_at=NOW - 9,
            days=3, count=40, active=True,
        ),
    ),
)  # fmt: skip
PREDICTIONS = Predictions(
    counts=MappingProxyType(
        {
            ("none", "none"): 20000,
            ("none", "unable_to_connect"): 3,
            ("unknown", "dns_lookup_error"): 1,
            ("dns_lookup_error", "dns_lookup_error"): 30,
            ("dns_lookup_error", "unable_to_connect"): 2,
            ("unable_to_connect", "unable_to_connect"): 21,
            ("unable_to_connect", "none"): 7,
        }
    ),
    disagreements=(
        Disagreement(id="tcp:wiki.corp.internal:443", at=NOW - 600, observed=Event.UNABLE_TO_CONNECT, count=3),
    ),
)
OBSERVED = Observed(log=LOG, learned=LEARNED, predictions=PREDICTIONS)
FACTS: dict[str, Json] = {
    "runtime": "docker",
    "name": "twingate-office-1",
    "status": "running",
    "running": True,
    "image": "twingate/connector:1",
    "version": "1.84.0",
    "restarts": 2,
    "restarts_15m": 1,
    "health": "healthy",
    "fds": {"used": 312, "limit": 1024, "tunnels_left": 89},
}


def everything(observed: Observed = OBSERVED, facts: dict[str, Json] | None = None) -> View:
    """Return a daemon's view from the Connector's seat: one Resource fails from there only, one is suppressed."""
    resources = (
        Resource(name="Orders DB", address="db.corp.internal"),
        Resource(name="Wiki", address="wiki.corp.internal"),
        Resource(name="HR", address="hr.corp.internal"),
    )
    jobs = [
        plain_job("host:network"),
        plain_job("clock:system"),
        plain_job("connector:process"),
        dns_job("hr.corp.internal", "HR"),
        tcp_job("db.corp.internal", 5432, "Orders DB"),
        tcp_job("wiki.corp.internal", 443, "Wiki"),
        tcp_job("hr.corp.internal", 443, "HR"),
    ]
    config = Config(connector=Connector(name="office-1", remote_network="Office"), resources=resources)
    stage = Stage(jobs, resources, config)
    stage.see("host:network", summary="default route through 10.0.0.1 on eth0")
    stage.see("clock:system", summary="clock is 12 ms ahead")
    stage.see("connector:process", facts=FACTS if facts is None else facts,
              summary="container twingate-office-1 is running for 3 d, version 1.84.0, its log: online")  # fmt: skip
    stage.see("tcp:wiki.corp.internal:443", summary="wiki.corp.internal:443 (10.1.0.9) accepted in 1 ms")
    stage.at = NOW - 720
    stage.see(
        "tcp:db.corp.internal:5432", Status.CRITICAL, Reason.REFUSED, times=2, event=Event.UNABLE_TO_CONNECT,
        summary="db.corp.internal:5432 (10.1.2.3) refused the connection in 1 ms; from this host it works: only the "
        "Connector's network fails",
        action="Look at its firewall. Repeat it by hand on this host: nc -vz -w 5 10.1.2.3 5432",
        facts={"seen_from_host": "ok"},
        second=Outcome(status=Status.OK, summary="db.corp.internal:5432 (10.1.2.3) accepted in 1 ms"),
    )  # fmt: skip
    stage.at = NOW - 20
    stage.see(
        "dns:hr.corp.internal", Status.CRITICAL, Reason.NXDOMAIN, event=Event.DNS_LOOKUP_ERROR,
        summary="does not resolve: 10.0.0.2: it does not exist (NXDOMAIN)",
        action="The name is misspelt. Repeat it by hand on this host: dig @10.0.0.2 hr.corp.internal A",
    )  # fmt: skip
    stage.see(
        "tcp:hr.corp.internal:443", Status.SKIPPED, Reason.DEPENDENCY_FAILED, facts={"parent": "dns:hr.corp.internal"},
        summary="not asked: hr.corp.internal does not resolve",
    )  # fmt: skip
    stage.at = NOW
    view = stage.view(EngineFigures(connector="office-1", vantage="connector", runtime="docker",
                                    started_at=STARTED_AT, ready=True, reloaded_at=STARTED_AT))  # fmt: skip
    return View(config=view.config, plan=view.plan, board=view.board, engine=view.engine, observed=observed)
