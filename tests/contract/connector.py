"""Rows of the rules about the Connector itself: what its state silences, what is not known of it, what is not kept."""

import errno
import json
from dataclasses import replace
from types import MappingProxyType

from checks.connector import ConnectorSpec
from checks.model import CheckName, Reason, Status
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Context, Seat, open_socket
from checks.net.stub import StubResolver
from checks.resolver import ResolverSpec
from checks.runtime.model import Sighting, allowed_environment
from daemon.config.show import show_config
from daemon.known import Known
from daemon.report import report
from daemon.runner import Runner
from daemon.targets import enabled_checks, make_plan
from daemon.vantage.seats import Seats
from tests.contract.bench import HASTE, QUIET, Bench, Row, Scenario, verdict, verdicts
from tests.support.fakes import context
from tests.support.servers import free_port
from tests.support.sightings import RUNNING, Looks, stopped
from tests.support.tcp import sockets_that_fail

REFUSED = "critical/refused unable_to_connect"
CUT_OFF = "skipped/dependency_failed -"
NOT_PROBEABLE = "skipped/not_probeable -"
NOT_FOUND = Sighting(runtime="docker", problem=Reason.NOT_FOUND)
DENIED = Sighting(runtime="docker", problem=Reason.PERMISSION_DENIED)


def with_connector(sighting: Sighting) -> Scenario:
    """Look at the Connector, then run a port that refuses, as the runner does."""

    async def scenario(bench: Bench) -> list[str]:
        config = bench.config(f"resources: [{{name: R, address: 10.0.0.1, tcp: [443]}}]\n{HASTE}")
        known = Known(latest=lambda _: None, rows=lambda _: (), ever_up=lambda _: False, connector=Looks(sighting))
        seats = Seats(context(sockets=sockets_that_fail(errno.ECONNREFUSED)).seat)
        jobs = {job.check: job for job in make_plan(config, enabled_checks(config)).jobs}
        (row,) = await Runner(seats, enabled_checks(config), known, _no_lag).run(jobs[CheckName.CONNECTOR])
        if row.outcome.status.conclusive:  # what is not is no parent: the board shows no such row
            known = replace(known, latest={row.id: row}.get)
        (port,) = await Runner(seats, enabled_checks(config), known, _no_lag).run(jobs[CheckName.TCP])
        return [verdict(row.outcome), verdict(port.outcome)]

    return scenario


async def watched_by_nobody(bench: Bench) -> dict[str, str]:
    """Check a Connector that nobody is to look at, and a port that refuses."""
    port = free_port()
    found = await bench.check(
        f"{QUIET}{HASTE}connector: {{runtime: none}}\nresources: [{{name: R, address: 127.0.0.1, tcp: [{port}]}}]",
        CheckName.CONNECTOR, CheckName.TCP,
    )  # fmt: skip
    return {row_id.replace(str(port), "PORT"): text for row_id, text in verdicts(found).items()}


def _no_lag(_start: float, _end: float) -> float:
    return 0.0


async def forbidden(bench: Bench) -> list[str]:
    """Look up nameservers and a name where the resolver's settings can't be read."""
    (bench.folder / "resolv.conf").mkdir()
    settings = SystemSettings(resolv_conf=str(bench.folder / "resolv.conf"), hosts="/nonexistent")
    where = Context(seat=Seat(resolver=StubResolver(settings, open_socket, 0.3)))
    return [verdict(o) for o in (await bench.rows(CheckName.RESOLVER, ResolverSpec(), where)).values()]


async def alarming(bench: Bench) -> frozenset[str]:
    """Return the reasons of every critical row that looks at nothing, at a closed door and at a stopped Connector."""
    outcomes = [
        await bench.look(CheckName.CONNECTOR, ConnectorSpec(), replace(context(), connector=Looks(sighting)))
        for sighting in (NOT_FOUND, DENIED, Sighting(runtime="kubernetes"), stopped())
    ]
    return frozenset(str(outcome.reason) for outcome in outcomes if outcome.status is Status.CRITICAL)


async def secrets(bench: Bench) -> set[str]:
    """Return which secrets of the environment a report or a configuration shows."""
    planted = {
        "TWINGATE_ACCESS_TOKEN": "s3cret-access",
        "TWINGATE_REFRESH_TOKEN": "s3cret-refresh",
        "AWS_KEY": "s3cret-aws",
    }
    for key, value in planted.items():
        bench.monkeypatch.setenv(key, value)
    view = await bench.view(
        f"{QUIET}{HASTE}connector: {{runtime: none}}", CheckName.CONNECTOR, CheckName.HOST, CheckName.CLOCK
    )
    shown = json.dumps(report(view), default=str) + show_config(view.config)
    return {value for value in planted.values() if value in shown}


async def kept(bench: Bench) -> dict[str, object]:
    """Return what is kept of a container's environment, by the decoder and, whatever it lets through, by the row."""
    names = ("NETWORK", "URL", "DNS", "LOG_LEVEL", "METRICS_PORT", "LABEL_SITE", "ACCESS_TOKEN", "REFRESH_TOKEN")
    all_of_it = {f"TWINGATE_{name}": "x" for name in names} | {"AWS_KEY": "x", "TWINGATE_NETWORKS": "x"}
    careless = replace(RUNNING, environment=MappingProxyType({**all_of_it, "TWINGATE_METRICS_PORT": ""}))
    row = await bench.look(CheckName.CONNECTOR, ConnectorSpec(), replace(context(), connector=Looks(careless)))
    environment = row.facts["environment"]
    assert isinstance(environment, dict)
    decoded = allowed_environment(f"{name}={value}" for name, value in all_of_it.items())
    return {"decoder": " ".join(sorted(decoded)), "row": " ".join(sorted(environment))}


KEPT = "TWINGATE_DNS TWINGATE_LABEL_SITE TWINGATE_LOG_LEVEL TWINGATE_METRICS_PORT TWINGATE_NETWORK TWINGATE_URL"
ROWS = [
    Row("Connector not running", with_connector(stopped()), ["critical/not_running -", CUT_OFF]),
    Row("Connector not running, or no interface but loopback", watched_by_nobody,
        {"connector:process": NOT_PROBEABLE, "tcp:127.0.0.1:PORT": REFUSED}),
    Row("Connector not found → `connector` skipped", with_connector(NOT_FOUND), ["skipped/not_found -", REFUSED]),
    Row("permission_denied → unknown", with_connector(DENIED), ["unknown/permission_denied -", REFUSED]),
    Row("permission_denied → unknown; neither", forbidden, ["unknown/permission_denied -"]),
    Row("neither is ConnectorDown", alarming, {"not_running"}),
    Row("never keep container environment", secrets, set()),
    Row("except TWINGATE_{NETWORK,URL,DNS,LOG_*,METRICS_PORT,LABEL_*}", kept, {"decoder": KEPT, "row": KEPT}),
]  # fmt: skip
