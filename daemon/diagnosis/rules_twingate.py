"""The way to Twingate: TLS inspection, the control plane, the Relays, the direct path."""

import shlex
from collections.abc import Iterator, Mapping

from checks.advice import CONNECT_FAILURES
from checks.model import CheckName, Reason, Status
from checks.net.endpoint import Endpoint, parse_endpoint
from daemon.diagnosis.case import Case
from daemon.diagnosis.reading import Reading, texts

HTTPS_PORT = 443
RELAYS = "relays"  # they are one cause, whichever of them fail
_NOT_CONNECTING = CONNECT_FAILURES | {Reason.RESET}


def tls_inspection(case: Case) -> Iterator[None]:
    """TLSIntercepted: one cause, however many endpoints show it."""
    yield
    for check in (CheckName.CONTROL_PLANE, CheckName.RELAY):
        shown = {r.result.target: r for r in case.still_open(check) if _wrong(r, Reason.TLS_INTERCEPTED)}
        if not shown:
            continue
        earlier = next(case.holds("TLSIntercepted"), None)
        if earlier is not None:
            case.explain(earlier, [r.id for r in shown.values()])
            continue
        target = case.name_for("TLSIntercepted", shown)
        reading = shown.pop(target)
        values = {"observed": reading.outcome.summary, **_where(reading)}
        rows = [r.id for r in shown.values()]
        found = case.add("TLSIntercepted", target, values, evidence=[reading.id], rows=rows)
        found.severity = "warning"
        found.labels = {"endpoint": target}


def egress(case: Case) -> Iterator[None]:
    """EgressBlocked: nothing of Twingate accepts a connection, while something else answers."""
    yield
    endpoints, relays = case.of(CheckName.CONTROL_PLANE), case.of(CheckName.RELAY)
    everything = [*endpoints, *relays]
    if not endpoints or not relays or not all(r.id in case.open and _does_not_connect(r) for r in everything):
        return
    answers = _what_answers(case, {address for r in everything for address in r.ups})
    if not answers:
        return
    first = endpoints[0]
    values = {
        "observed": first.outcome.summary, "answers": answers, "quoted": _quoted_host(first), **_relay(relays[0])
    }  # fmt: skip
    ids = [r.id for r in endpoints]
    found = case.add("EgressBlocked", first.result.target, values, evidence=ids, rows=[r.id for r in relays])
    found.severity = "critical"
    found.possible = _incident(case)


def control_plane(case: Case) -> Iterator[None]:
    """ControlPlaneUnreachable when no endpoint works, ControlPlaneDegraded when another one does."""
    yield
    endpoints = case.of(CheckName.CONTROL_PLANE)
    failing = [r for r in case.still_open(CheckName.CONTROL_PLANE) if r.bad and not r.good]
    if not failing:
        return
    working = any(r.good and not r.bad for r in endpoints)
    code = "ControlPlaneDegraded" if working else "ControlPlaneUnreachable"
    first = failing[0]
    values = {
        "observed": first.outcome.summary,
        "advice": first.outcome.action,
        "count": len(failing),
        "all": len(endpoints),
        "quoted": _quoted_host(first),
    }
    # Named by the first of all, not by the first that fails: its name must not change while more of them fail.
    found = case.add(code, endpoints[0].result.target, values, evidence=[r.id for r in failing])
    found.severity = "info" if working else "critical"
    found.possible = _incident(case)


def relays(case: Case) -> Iterator[None]:
    """RelaysUnreachable when every proven one is down, RelaysDegraded when only some are."""
    yield
    everyone = case.of(CheckName.RELAY)
    down = [r for r in case.still_open(CheckName.RELAY) if (r.bad and not r.good) or r.warns]
    if not down:
        return
    proven = [r for r in everyone if _proven(case, r)]
    silenced = [r for r in proven if r.bad and not r.good]
    all_down = bool(proven) and len(silenced) == len(proven) and any(r.bad for r in down)
    code = "RelaysUnreachable" if all_down else "RelaysDegraded"
    evidence = [r.id for r in down if r.bad or not all_down]
    first = next((r for r in down if r.bad), down[0])
    values = {
        "observed": first.outcome.summary,
        "count": len(down),
        "all": len(proven) if all_down else len(everyone),
        **_relay(first),
    }
    found = case.add(code, RELAYS, values, evidence=evidence, rows=[r.id for r in down])
    found.severity = "critical" if all_down else "info"
    found.possible = _incident(case)


def direct_path(case: Case) -> Iterator[None]:
    """DirectPathImpossible: users are relayed."""
    yield
    for reading in case.still_open(CheckName.NAT):
        if reading.warns:
            values = {"observed": reading.outcome.summary, "advice": reading.outcome.action}
            found = case.add("DirectPathImpossible", reading.result.target, values, evidence=[reading.id])
            found.severity = "info"


def _wrong(reading: Reading, reason: Reason) -> bool:
    return reading.reason is reason and (reading.bad or reading.warns)


def _does_not_connect(reading: Reading) -> bool:
    """Tell whether an endpoint has addresses, and none of them accepts."""
    outcome = reading.outcome
    if reading.unresolved or reading.reason not in _NOT_CONNECTING or "connect_seconds" in outcome.measurements:
        return False
    connecting = outcome.facts.get("failed_phase") in (None, "connect")
    return connecting and ((reading.bad and not reading.good) or reading.warns)


def _what_answers(case: Case, twingate: set[str]) -> str:
    if case.accepting:
        return "Resources answer"
    nameservers = (r for r in case.of(CheckName.RESOLVER) if r.outcome.status is Status.OK)
    if any(nameservers):
        return "nameservers answer"
    return "other hosts answer" if (case.ups | case.rare_ups.keys()) - twingate else ""


def _proven(case: Case, reading: Reading) -> bool:
    from checks.relay import RelaySpec  # noqa: PLC0415 - where there is a row of one, the check is there already

    job = case.scene.jobs.get(reading.result.job)
    if job is not None and isinstance(job.spec, RelaySpec):
        return job.spec.proven
    return reading.outcome.status is Status.CRITICAL


def _incident(case: Case) -> tuple[str, ...]:
    """Return what Twingate's own status page says, if it reports trouble."""
    told = [r.outcome.summary for r in case.of(CheckName.PROVIDER) if r.warns]
    return tuple(f"An incident at Twingate, by its own status page: {summary}" for summary in told)


def _where(reading: Reading) -> dict[str, object]:
    facts, endpoint = reading.outcome.facts, _endpoint(reading)
    address = next(iter(texts(facts.get("address")) or texts(facts.get("addresses"))), endpoint.host)
    return {"where": shlex.quote(str(Endpoint(address, endpoint.port))), "host": shlex.quote(endpoint.host)}


def _relay(reading: Reading) -> Mapping[str, object]:
    endpoint = _endpoint(reading)
    return {"relay_host": shlex.quote(endpoint.host), "relay_port": endpoint.port}


def _quoted_host(reading: Reading) -> str:
    return shlex.quote(_endpoint(reading).host)


def _endpoint(reading: Reading) -> Endpoint:
    try:
        return parse_endpoint(reading.result.target, HTTPS_PORT)
    except ValueError:
        return Endpoint(reading.result.target, HTTPS_PORT)
