"""The Connector itself: its process, its tokens, its limits, and what only its own network can't reach."""

from collections.abc import Iterator, Mapping

from checks.connector_seen import ALL_NAMESERVERS
from checks.model import CheckName, Json, Reason, Status
from daemon.causes import CauseSeverity
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.reading import SEEN_FROM_HOST, Reading, texts
from daemon.diagnosis.rules_clock import clock_is_off

TARGETS = 3  # that fail from the Connector's seat alone, until its network is the cause
_CODES: Mapping[Reason, tuple[str, CauseSeverity]] = {
    Reason.NOT_RUNNING: ("ConnectorDown", "critical"),
    Reason.TOKEN_INVALID: ("TokenInvalid", "critical"),
    Reason.TOKEN_GONE: ("TokenGone", "critical"),
    Reason.RESTARTING: ("ConnectorRestarting", "warning"),
    Reason.FDS_LOW: ("ConnectorFdsLow", "warning"),
}
_ALSO: Mapping[Reason, str] = {
    Reason.NOT_RUNNING: "The Connector does not run",
    Reason.TOKEN_INVALID: "Its log says that the Controller rejects its token (Invalid token)",
    Reason.TOKEN_GONE: "Its log says that its tokens are gone (Gone, code 410)",
    Reason.RESTARTING: "It was restarted at least three times within 15 minutes",
    Reason.FDS_LOW: "Fewer than a fifth of its file descriptors are free",
    Reason.UNHEALTHY: "Its own health command does not say OK, or its resolver has given up",
}


def process(case: Case) -> Iterator[None]:
    """ConnectorDown, Token…, ConnectorRestarting, ConnectorFdsLow, ConnectorResolverStuck, ConnectorUnhealthy."""
    yield
    for reading in case.of(CheckName.CONNECTOR):
        held = (reading.bad and not reading.good) or reading.warns
        if not held or reading.reason is None or reading.id in case.explained:
            continue
        for reason in _reasons(reading):
            _finding(case, reading, reason)


def _reasons(reading: Reading) -> Iterator[Reason]:
    if reading.reason is not None:
        yield reading.reason
    for other in texts(reading.outcome.facts.get("also")):
        if other in _ALSO and other != reading.reason:
            yield Reason(other)


def _finding(case: Case, reading: Reading, reason: Reason) -> None:
    outcome, row = reading.outcome, reading.id
    observed = outcome.summary if reason is reading.reason else _ALSO.get(reason, str(reason))
    values = {"observed": observed, "advice": outcome.action}
    if reason is Reason.TOKEN_INVALID:
        skewed = next(case.holds("ClockSkewed"), None)
        clocks = [r for r in case.of(CheckName.CLOCK) if r.bad or r.warns]
        if skewed is not None and any(clock_is_off(r) for r in clocks):
            case.explain(skewed, [row])
            return
    code, severity = _CODES.get(reason, ("", "warning"))
    if reason is Reason.UNHEALTHY:
        code = "ConnectorResolverStuck" if _stuck(case, reading) else "ConnectorUnhealthy"
    if code:
        found = case.add(code, reading.result.target, values, evidence=[row])
        found.severity = severity


def _stuck(case: Case, reading: Reading) -> bool:
    """Tell whether its log says that all nameservers have failed, while they answer us."""
    summary: Json = reading.outcome.facts.get("log")
    told = summary.get("nameservers_down") if isinstance(summary, Mapping) else None
    given_up = isinstance(told, Mapping) and ALL_NAMESERVERS in told
    if case.scene.log is not None:
        given_up = given_up or ALL_NAMESERVERS in case.scene.log.nameservers_down
    return given_up and any(r.outcome.status is Status.OK for r in case.of(CheckName.RESOLVER))


def own_network(case: Case) -> Iterator[None]:
    """ConnectorNetwork: what fails from its place and works from the host; alike rows that were not compared too."""
    alone = [r for r in case.left(case.compared) if r.outcome.facts[SEEN_FROM_HOST] == "ok" and r.bad and not r.good]
    if len(alone) < (1 if case.keeps("ConnectorNetwork", "process") else TARGETS):
        return
    alike: dict[tuple[CheckName, Reason | None], list[Reading]] = {}
    everywhere: set[tuple[CheckName, Reason | None]] = set()
    for count, reading in enumerate(tuple(case.open.values())):
        if count % BREATH == 0:
            yield
        if not reading.bad or reading.good:
            continue
        kind = (reading.check, reading.reason)
        match reading.outcome.facts.get(SEEN_FROM_HOST):
            case "ok":
                pass
            case None:
                alike.setdefault(kind, []).append(reading)
            case _:
                everywhere.add(kind)
    # Only a sample is looked at from two seats: what fails in the same way shares the verdict, unless one of its kind
    # fails from the host too.
    kinds = {(r.check, r.reason) for r in alone} - everywhere
    rows = [r.id for r in alone] + [r.id for kind in kinds for r in alike.get(kind, [])]
    values = {"count": len(alone), "observed": alone[0].outcome.summary}
    case.add("ConnectorNetwork", "process", values, rows=sorted(rows), inferred=True)
