"""What is known of the Connector besides the probes, in lines that the page and `healthctl status` share."""

from collections.abc import Mapping

from checks.connlog.model import LogCause
from checks.model import CheckName, Json, Status
from daemon.document import ConnectorLog, Document, Probing, Row
from daemon.record_words import learned_line, record_lines
from daemon.words import Line, count, listed, past, some

_RUNTIMES = {"docker": "Docker", "systemd": "systemd", "kubernetes": "Kubernetes"}
_CAUSES: Mapping[str, str] = {
    LogCause.TOKEN_INVALID: "Invalid token", LogCause.TOKEN_GONE: "Gone, code 410",
    LogCause.FDS_EXHAUSTED: "no file descriptor left", LogCause.RELAY_UNREACHABLE: "Relay not reachable",
    LogCause.NAMESERVER_FAILED: "nameserver failed", LogCause.ALL_NAMESERVERS_FAILED: "all nameservers failed",
    LogCause.OTHER: "other",
}  # fmt: skip
_RELAYS = "a Relay that it can't reach: it needs TCP 443 and 30000 to 31000 outbound, and IPv4 (see the relay rows)"
_SHOWS = {"errors": "errors", "states": "changes of state", "analytics": "users' connections"}


def connector_lines(whole: Document, now: float) -> list[Line]:
    """Return the lines; `now` in Unix seconds. Facts may be of any shape: what is not as expected is left out."""
    row = next((row for row in whole["checks"] if row["check"] == CheckName.CONNECTOR), None)
    log = whole["connector_log"]
    return [
        *([] if row is None else _process(row)),
        _seat(whole, row),
        *_probing(whole["probing"]),
        *([Line(label="Log", text="not read")] if log is None else _log(log, now)),
        learned_line(whole["learned"]),
        *record_lines(whole["predictions"], log, now),
    ]


def _process(row: Row) -> list[Line]:
    """Return what its own check says, and below it the figures that a verdict leaves out."""
    facts, figures = row["facts"], []
    runtime = _text(facts, "runtime")
    if runtime in _RUNTIMES:
        image = _text(facts, "image")
        figures.append(f"{_RUNTIMES[runtime]}{f', image {image}' if image else ''}")
    if isinstance(facts.get("running"), bool) and (restarts := _number(facts, "restarts")) is not None:
        lately = _number(facts, "restarts_15m")
        within = f", {lately:,} in the last 15 minutes" if lately else ""
        figures.append(f"{count(restarts, 'restart')} while watched{within}")
    if descriptors := _descriptors(facts.get("fds")):
        figures.append(descriptors)
    also = facts.get("also")
    if isinstance(also, list | tuple) and also:
        figures.append(f"also {listed([str(reason) for reason in also])}")
    lines = [Line(label="Process", text=row["summary"], status=Status(row["status"]))]
    return lines + ([Line(text="; ".join(figures))] if figures else [])


def _seat(whole: Document, process: Row | None) -> Line:
    if whole["confidence"] == "exact":
        if process is not None and process["facts"].get("running") is False:
            text = "probes start in the Connector's network: none while it does not run"
            return Line(label="Seat", text=text)
        return Line(label="Seat", text="probes start in the Connector's network, with its resolver (confidence: exact)")
    text = (
        f"probes start on this host, which may differ from what the Connector meets (confidence: {whole['confidence']})"
    )
    return Line(label="Seat", text=text)


def _probing(how: Probing | None) -> list[Line]:
    """Say how ports are asked, and what keeps us from asking as we would."""
    if how is None:
        return []
    lines = []
    if how["method"] == "half_open":
        lines.append(Line(label="Method", text="ports are asked half-open: no application there sees it"))
    elif how["missing"]:
        text = f"ports are asked by connect; those that permit half-open probes only are not asked: {how['missing']}"
        lines.append(Line(label="Method", text=f"{text} (healthctl explain half_open)"))
    if how["strain"]:
        text = f"at most {how['share_of_rate']:.0%} of schedule.max_rate, nothing from 90% in use on: {how['strain']}"
        lines.append(Line(label="" if lines else "Method", text=text, status=Status.WARNING))
    return lines


def _descriptors(fds: Json) -> str:
    if not isinstance(fds, Mapping):
        return ""
    used, limit, left = (_number(fds, key) for key in ("used", "limit", "tunnels_left"))
    if used is None or limit is None:
        return ""
    room = "" if left is None else f", room for {count(left, 'more Client tunnel')}"
    return f"{used:,} of {limit:,} file descriptors in use{room}"


def _log(log: ConnectorLog, now: float) -> list[Line]:
    if log["problem"] is not None:
        return [Line(label="Log", text=f"not read: {log['problem']}", status=Status.WARNING)]
    state = "no change of state seen"
    if log["state"]:
        state = f"last state {log['state'].replace('_', ' ')}, {past(log['state_at'], now)}"
    last = f", the last {past(log['last_line_at'], now)}" if log["last_line_at"] else ""
    read = f"{count(log['lines'], 'line')} read{last}" if log["lines"] else "it has been silent so far"
    lines = [Line(label="Log", text=f"{state}; {read}")]
    if log["token"]:
        text = f"its token is refused: {_cause(log['token'])} ({past(log['token_at'], now)})"
        lines.append(Line(text=text, status=Status.CRITICAL))
    if log["nameservers_down"]:
        down = some(f"{_nameserver(one['nameserver'])} ({past(one['since'], now)})" for one in log["nameservers_down"])
        lines.append(Line(text=f"its resolver gave up {down}", status=Status.WARNING))
    if log["causes"]:
        causes = some(
            f"{_cause(one['cause'])} {count(one['count'], 'time')} (last {past(one['last_at'], now)})"
            for one in log["causes"]
        )
        lines.append(Line(text=f"errors seen: {causes}"))
        if any(one["cause"] == LogCause.RELAY_UNREACHABLE for one in log["causes"]):
            lines.append(Line(text=_RELAYS))
    if log["failing"]:
        failing = some(f"{count(one['users'], 'user')} at {one['target']}" for one in log["failing"])
        lines.append(Line(text=f"failed in the last 15 minutes: {failing}", status=Status.WARNING))
    return [*lines, *_capability(log)]


def _capability(log: ConnectorLog) -> list[Line]:
    """Say what this log can show, so that nobody takes its silence for health."""
    can = log["capability"]
    shown = {"errors": can["errors"], "states": can["states"], "analytics": can["analytics"]}
    parts = []
    for words, value in (("shows", True), ("does not show", False), ("may or may not show", None)):
        kinds = [_SHOWS[kind] for kind, found in shown.items() if found is value]
        if kinds:
            parts.append(f"{words} {listed(kinds)}")
    return [
        Line(text=f"this log {'; '.join(parts)}"),
        *(Line(text=f"to see more, {advice}") for advice in can["advice"]),
    ]


def _cause(name: str) -> str:
    return _CAUSES.get(name, name)


def _nameserver(name: str) -> str:
    return "all nameservers" if name == "all" else name


def _text(facts: Mapping[str, Json], key: str) -> str:
    value = facts.get(key)
    return value if isinstance(value, str) else ""


def _number(facts: Mapping[str, Json], key: str) -> int | None:
    value = facts.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
