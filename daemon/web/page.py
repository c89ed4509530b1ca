"""The status page: one document, no scripts, nothing from elsewhere; to be read on a phone at three in the morning."""

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import jinja2

from checks.model import CheckName, Event, Status
from daemon.advice import Advice, split_action
from daemon.connector_words import connector_lines
from daemon.document import Document, Row
from daemon.held import held_words
from daemon.moments import ago, clock, unix_time
from daemon.row_looks import Looks, is_second, looks
from daemon.state import State
from daemon.words import Line as Words

TEMPLATES = Path(__file__).parent / "templates"
MAX_ROWS = 500  # rows in full: beyond, a browser on a phone no longer scrolls; the rest is counted and linked
REFRESH_S = 15  # the page asks again by itself

_ATTENTION = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN)
_NOTES = frozenset({CheckName.PROVIDER, CheckName.DEFINITION})
_EVENTS = {Event.DNS_LOOKUP_ERROR: "DNS lookup error", Event.UNABLE_TO_CONNECT: "Unable to connect"}
_TITLES = {
    CheckName.HOST: "Host network", CheckName.CLOCK: "Clock", CheckName.CONTROL_PLANE: "Control plane",
    CheckName.RELAY: "Relay", CheckName.NAT: "UDP and NAT", CheckName.RESOLVER: "Nameserver", CheckName.DNS: "Name",
    CheckName.TCP: "Port", CheckName.CONNECTOR: "Connector", CheckName.PROVIDER: "Status page",
    CheckName.DEFINITION: "Definition",
}  # fmt: skip
_ALONE = frozenset({CheckName.CLOCK, CheckName.HOST, CheckName.NAT})  # of these there is one: its target says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row as the page shows it; `second` is what was seen of the same target from the host's seat."""

    row: Row
    title: str
    held: str
    event: str
    advice: Advice
    second: Row | None = None


class Page:
    """Renders the page; `policy` is the Content-Security-Policy that admits its one style sheet and nothing else."""

    def __init__(self) -> None:
        self._css = (TEMPLATES / "status.css").read_text("utf-8")
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("status.html")
        digest = base64.b64encode(hashlib.sha256(self._css.encode()).digest()).decode()
        self.policy = (
            f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'; "
            "form-action 'none'"
        )

    def render(self, whole: Document, now: float, *, refresh: bool = True) -> str:
        """Return the page of a document; `now` is the Unix time at which it was made."""
        seen = looks(whole["checks"])
        urgent = _urgent(seen.first)
        every = _beside(seen)
        verdict, stop, details = whole["summary"].partition(". ")  # sentences; the first tells what users notice
        verdict += "." if stop else ""
        shown = urgent[:MAX_ROWS]
        return self._template.render(
            whole=whole,
            verdict=verdict,
            details=details,
            css=self._css,
            refresh_s=REFRESH_S if refresh else 0,
            made_at=clock(now),
            attention=[_line(row, now, seen.second.get(row["id"])) for row in shown],
            attention_left=len(urgent) - len(shown),
            attention_query=urlencode({"status": ",".join(status.value for status in _ATTENTION)}),
            statuses=tuple(status.value for status in (*_ATTENTION, Status.OK, Status.SKIPPED)),
            counts=_counts(seen.first),
            rows=[_line(row, now) for row in every[:MAX_ROWS]],
            rows_left=max(0, len(every) - MAX_ROWS),
            connector=_grouped(connector_lines(whole, now)),
            ago=lambda moment: f"{ago(now - unix_time(moment))} ago",
        )


def _urgent(rows: Iterable[Row]) -> list[Row]:
    """Return what somebody should read: the worst first, confirmed before unconfirmed, what decides before notes."""
    found = [row for row in rows if row["status"] in _ATTENTION]
    return sorted(found, key=_urgency)


def _urgency(row: Row) -> tuple[bool, int, bool]:
    return row["check"] in _NOTES, _ATTENTION.index(Status(row["status"])), row["state"] == State.PENDING


def _counts(rows: Sequence[Row]) -> list[tuple[str, dict[str, int]]]:
    counted = Counter((row["check"], row["status"]) for row in rows)
    present = {row["check"] for row in rows}
    return [
        (title, {status.value: counted[check.value, status.value] for status in Status})
        for check, title in _TITLES.items()
        if check.value in present
    ]


def _beside(seen: Looks) -> list[Row]:
    """Return all rows, each second look directly below its row."""
    every = []
    for row in seen.first:
        every.append(row)
        if second := seen.second.get(row["id"]):
            every.append(second)
    return every


def _grouped(lines: Iterable[Words]) -> list[tuple[str, list[Words]]]:
    """Return the lines under their labels."""
    groups: list[tuple[str, list[Words]]] = []
    for line in lines:
        if line.label or not groups:
            groups.append((line.label, []))
        groups[-1][1].append(line)
    return groups


def _line(row: Row, now: float, second: Row | None = None) -> Line:
    check = CheckName(row["check"])
    title = _TITLES[check] if check in _ALONE else f"{_TITLES[check]} {row['target']}"
    return Line(
        row=row,
        title=f"{title}, from this host" if is_second(row) else title,
        held=held_words(row, now),
        event=_EVENTS.get(Event(row["event"]), "") if row["event"] else "",
        advice=split_action(row["action"]),
        second=second,
    )
