"""What the log taught us and how often we were right, in words."""

from checks.model import Event, Status
from daemon.document import ConnectorLog, Disagreement, Learned, Predictions
from daemon.words import MOST_TOLD, Line, count, past

_EVENTS = {Event.DNS_LOOKUP_ERROR.value: "DNS lookup error", Event.UNABLE_TO_CONNECT.value: "Unable to connect"}


def learned_line(learned: Learned) -> Line:
    """Return the line on what was learned."""
    relays, samples = learned["relays"], learned["samples"]
    if not relays and not samples:
        return Line(label="Learned", text="nothing yet")
    proven = sum(relay["proven"] for relay in relays)
    active = sum(sample["active"] for sample in samples)
    return Line(
        label="Learned",
        text=f"{count(len(relays), 'Relay')} in use ({proven} proven); "
        f"{count(len(samples), 'endpoint')} behind patterns, networks and Resources that allow all ports "
        f"({active} probed)",
    )


def record_lines(record: Predictions | None, log: ConnectorLog | None, now: float) -> list[Line]:
    """Return how often we were right, in numbers that a person can check, and where we still disagree."""
    if record is None:
        return []
    compared = any(one["count"] for one in record["counts"])  # pairs that never occurred are listed with 0
    lines = [Line(label="Predicted", text=_record(record) if compared else _no_record(log))]
    lines += [_disagreement(one, now) for one in record["disagreements"][:MOST_TOLD]]
    rest = len(record["disagreements"]) - MOST_TOLD
    return lines + ([Line(text=f"and {count(rest, 'more disagreement')}")] if rest > 0 else [])


def percent(both: int, whole: int) -> str:
    """Write a share in whole per cents; 0 and 100 only where that is exact."""
    return f"{both * 100 // whole if both in (0, whole) else min(99, max(1, round(both * 100 / whole)))} %"


def _record(record: Predictions) -> str:
    counts = record["counts"]
    met = sum(one["count"] for one in counts if one["observed"] in _EVENTS)
    predicted = sum(one["count"] for one in counts if one["predicted"] in _EVENTS)
    both = sum(one["count"] for one in counts if one["observed"] in _EVENTS and one["predicted"] in _EVENTS)
    recall = precision = ""
    if met:
        recall = f"of {count(met, 'failure')} that users met {_were(both)} predicted (recall {percent(both, met)})"
    if predicted:
        precision = (
            f"of {count(predicted, 'predicted failure')} that users put to the test {both:,} came true "
            f"(precision {percent(both, predicted)})"
        )
    return f"{recall or 'users met no failure'}; {precision or 'no predicted failure was put to the test'}"


def _no_record(log: ConnectorLog | None) -> str:
    if log is None or log["problem"] is not None:
        return "nothing to compare with: the Connector's log is not read"
    if log["capability"]["analytics"] is not True:
        return "nothing to compare with: the Connector's log has shown no connections of users"
    return "nothing to compare with yet"


def _disagreement(one: Disagreement, now: float) -> Line:
    event = _EVENTS.get(one["observed"], one["observed"])
    times = f"{count(one['count'], 'time')}, the last {past(one['at'], now)}"
    return Line(
        text=f'disagrees: users of {one["id"]} met "{event}" ({times}), and our probe still passes',
        status=Status.WARNING,
    )


def _were(number: int) -> str:
    return f"{number:,} {'was' if number == 1 else 'were'}"
