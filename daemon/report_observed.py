"""What is known of the Connector besides the probes, as parts of the document: log, learned, predictions."""

from checks.connlog.summary import LogSummary
from daemon import document
from daemon.moments import rfc3339
from daemon.observed import Learned, Predictions
from daemon.view import EngineFigures

SHARE_DIGITS = 6  # of precision and recall: more than any count of events can tell


def probing(engine: EngineFigures) -> document.Probing:
    """Return the part `probing`."""
    return {
        "method": "half_open" if engine.method.half_open else "connect",
        "missing": engine.method.lacking or None,
        "share_of_rate": engine.share_of_rate,
        "strain": engine.strain or None,
    }


def connector_log(log: LogSummary | None) -> document.ConnectorLog | None:
    """Return the part `connector_log`; None when nobody tried to read the log."""
    if log is None:
        return None
    can = log.capability
    return {
        "problem": log.problem or None,
        "lines": log.lines,
        "last_line_at": _at(log.last_line_at),
        "state": None if log.state is None else log.state.value,
        "state_at": _at(log.state_at),
        "token": None if log.token is None else log.token.value,
        "token_at": _at(log.token_at),
        "nameservers_down": [
            {"nameserver": name, "since": rfc3339(since)} for name, since in sorted(log.nameservers_down.items())
        ],
        "causes": [
            {"cause": cause.value, "count": seen.count, "last_at": rfc3339(seen.last_at)}
            for cause, seen in sorted(log.causes.items())
            if seen.count
        ],
        "events": {kind.value: count for kind, count in sorted(log.events.items())},
        "paths": dict(sorted(log.paths.items())),
        "failing": [
            {"target": target, "users": users}
            for target, users in sorted(log.failing.items(), key=lambda pair: (-pair[1], pair[0]))
        ],
        "capability": {
            "errors": can.errors,
            "states": can.states,
            "analytics": can.analytics,
            "advice": list(can.advice),
        },
    }


def learned(found: Learned) -> document.Learned:
    """Return the part `learned`: what is used by now before what is still too new."""
    return {
        "relays": [
            {
                "endpoint": str(relay.endpoint),
                "first_seen": rfc3339(relay.first_at),
                "last_seen": rfc3339(relay.last_at),
                "days": relay.days,
                "count": relay.count,
                "proven": relay.proven,
            }
            for relay in sorted(found.relays, key=lambda relay: (not relay.proven, str(relay.endpoint)))
        ],
        "samples": [
            {
                "rule": sample.rule,
                "address": sample.address,
                "port": sample.port,
                "first_seen": rfc3339(sample.first_at),
                "last_seen": rfc3339(sample.last_at),
                "days": sample.days,
                "count": sample.count,
                "active": sample.active,
            }
            for sample in sorted(found.samples, key=lambda s: (not s.active, s.rule, s.address, s.port))
        ],
    }


def predictions(found: Predictions | None) -> document.Predictions | None:
    """Return the part `predictions`; None in a single look, which compares nothing."""
    if found is None:
        return None
    return {
        "counts": [
            {"predicted": predicted, "observed": observed, "count": count}
            for (predicted, observed), count in sorted(found.counts.items())
        ],
        "precision": _share(found.precision),
        "recall": _share(found.recall),
        "disagreements": [
            {"id": one.id, "at": rfc3339(one.at), "observed": one.observed.value, "count": one.count}
            for one in sorted(found.disagreements, key=lambda one: (-one.at, one.id))
        ],
    }


def _at(unix_seconds: float | None) -> str | None:
    return None if unix_seconds is None else rfc3339(unix_seconds)


def _share(value: float | None) -> float | None:
    return None if value is None else round(value, SHARE_DIGITS)
