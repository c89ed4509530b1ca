"""The result of a trace as a document: `healthctl trace -o json`. Keys are stable, every string in it is harmless."""

import json
import math
from collections.abc import Iterable, Mapping

from checks.model import Json, Outcome
from checks.net.answers import Answer
from checks.net.endpoint import Endpoint
from checks.net.hops import HopTrace
from checks.net.text import printable
from daemon.causes import Cause
from daemon.jobs import Result
from daemon.moments import rfc3339
from daemon.trace.conclusion import Conclusion
from daemon.trace.facts import NameSeen, PortSeen, RouteSeen, TraceFacts, UsersSeen
from daemon.trace.words import end_of, place_of, tried_in_vain
from daemon.version import __version__

SCHEMA = 1
MAX_STRING = 2000  # the longest action that is let through anywhere
MAX_FACTS = 64  # entries of any list: nothing that is traced has more


def document(facts: TraceFacts, conclusion: Conclusion) -> dict[str, Json]:
    """Return the document; times are RFC 3339 in UTC, durations seconds, what is not known null."""
    target = facts.target
    whole: dict[str, Json] = {
        "schema": SCHEMA,
        "version": __version__,
        "connector": facts.connector,
        "resource": target.resource,
        "address": target.address,
        "rule": target.rule or None,
        "port": target.port,
        "others": target.others,
        "vantage": facts.seat,
        "started_at": rfc3339(facts.started_at),
        "duration_seconds": round(facts.seconds, 3),
        "status": conclusion.status.value,
        "conclusion": _conclusion(conclusion),
        "routes": [_route(route) for route in facts.routes],
        "name": _name(facts.name),
        "ports": [_port(port, place_of(facts)) for port in facts.ports],
        "checks": [*_around(facts.around.values()), *(_row(i, o) for i, o in facts.rows.items())],
        "users": _users(facts.users),
        "connector_state": _state(facts),
        "diagnosis": [_cause(cause) for cause in facts.causes],
        "unfinished": facts.unfinished,
    }
    clean = harmless(whole)
    return dict(clean) if isinstance(clean, Mapping) else {}


def encode(whole: Mapping[str, Json]) -> str:
    """Write the document for people and programs alike: indented, in ASCII."""
    return json.dumps(whole, indent=2, allow_nan=False)


def harmless(value: Json) -> Json:
    """Return a JSON value whose strings do nothing to a terminal, and whose lists end."""
    if isinstance(value, str):
        return printable(value, MAX_STRING)
    if isinstance(value, Mapping):
        return {printable(key): harmless(inner) for key, inner in value.items()}
    if isinstance(value, tuple | list):
        return [harmless(inner) for inner in value[:MAX_FACTS]]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _conclusion(conclusion: Conclusion) -> Json:
    return {
        "code": conclusion.code.value,
        "title": conclusion.title,
        "text": conclusion.text,
        "link": conclusion.link.value if conclusion.link is not None else None,
        "evidence": conclusion.evidence,
        "next_step": conclusion.next_step,
        "commands": conclusion.commands,
        "disagreements": conclusion.disagreements,
        "also": [{"code": also.code.value, "title": also.title} for also in conclusion.also],
        "cannot_know": conclusion.cannot_know,
    }


def _route(route: RouteSeen) -> Json:
    return {
        "address": route.address,
        "source": route.source,
        "interface": route.interface,
        "next_hop": None if route.gateway is None else (route.gateway or route.address),
        "next_hop_silent": route.silent,
        "reason": route.reason.value if route.reason is not None else None,
        "evidence": route.evidence or None,
    }


def _name(name: NameSeen | None) -> Json:
    if name is None:
        return None
    return {
        "name": name.name,
        "addresses": [{"address": address, "by": by} for address, by in name.addresses.items()],
        "answers": [_answer(answer) for answer in name.answers],
        "from_host": None if name.host is None else _verdict(name.host),
    }


def _answer(answer: Answer) -> Json:
    return {
        "nameserver": answer.by,
        "name": answer.name.rstrip("."),
        "type": answer.kind,
        "class": answer.klass.value,
        "reason": answer.reason.value if answer.reason is not None else None,
        "rcode": answer.rcode,
        "addresses": answer.addresses,
        "cnames": answer.cnames,
        "ttl_seconds": answer.ttl,
        "seconds": round(answer.seconds, 4),
        "over_tcp": answer.over_tcp,
        "evidence": answer.evidence,
        "command": answer.dig,
    }


def _port(port: PortSeen, place: str) -> Json:
    return {
        "endpoint": str(Endpoint(port.address, port.port)),
        "address": port.address,
        "port": port.port,
        "verdict": port.verdict,
        "method": port.method,
        "reason": port.reason.value if port.reason is not None else None,
        "seconds": round(port.seconds, 4),
        "evidence": port.why or None,
        "from_host": port.host,
        "way": None if port.way is None else _way(port.way, place, failed=tried_in_vain(port)),
    }


def _way(way: HopTrace, place: str, *, failed: bool) -> Json:
    return {
        "method": way.method,
        "hops": [{"router": hop.ttl, "address": hop.address, "seconds": round(hop.seconds, 4)} for hop in way.hops],
        "stop": way.stop.value,
        "by": way.by,
        "icmp_type": way.icmp[0] if way.icmp else None,
        "icmp_code": way.icmp[1] if way.icmp else None,
        "text": end_of(way, place, failed=failed),
        "seconds": round(way.seconds, 3),
    }


def _around(rows: Iterable[Result]) -> Iterable[Json]:
    return [_row(row.id, row.outcome) for row in rows]


def _row(row_id: str, outcome: Outcome) -> Json:
    verdict = _verdict(outcome)
    return {"id": row_id, **(verdict if isinstance(verdict, dict) else {})}


def _verdict(outcome: Outcome) -> Json:
    return {
        "status": outcome.status.value,
        "reason": outcome.reason.value if outcome.reason is not None else None,
        "event": outcome.event.value if outcome.event is not None else None,
        "summary": outcome.summary,
        "action": outcome.action,
        "measurements": dict(outcome.measurements),
    }


def _users(users: UsersSeen) -> Json:
    return {
        "readable": users.readable,
        "whole": users.whole,
        "problem": users.problem or None,
        "since": rfc3339(users.since) if users.since is not None else None,
        "advice": users.advice,
        "events": [
            {
                "event": event.kind.value,
                "count_last_hour": event.count,
                "users_last_hour": event.users,
                "last_at": rfc3339(event.last_at),
            }
            for event in users.events
        ],
    }


def _state(facts: TraceFacts) -> Json:
    sighting, log = facts.sighting, facts.log
    return {
        "runtime": sighting.runtime if sighting is not None else None,
        "running": sighting.running if sighting is not None else None,
        "started_at": rfc3339(sighting.started_at) if sighting is not None and sighting.started_at else None,
        "restarts": sighting.restarts if sighting is not None else None,
        "log_state": log.state.value if log is not None and log.state is not None else None,
        "log_causes": {} if log is None else {cause.value: counted.count for cause, counted in log.causes.items()},
        "nameservers_down": [] if log is None else list(log.nameservers_down),
    }


def _cause(cause: Cause) -> Json:
    return {
        "code": cause.code,
        "title": cause.title,
        "fault_domain": cause.domain.value,
        "target": cause.target,
        "severity": cause.severity,
        "text": cause.text,
        "action": cause.action,
    }
