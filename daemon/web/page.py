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
from daemon.alert_words import alert_lines
from daemon.cause_rows import Told, put_together
from daemon.connector_words import connector_lines
from daemon.document import CauseFound, Document, Row
from daemon.held import held_words
from daemon.moments import ago, clock, unix_time
from daemon.row_looks import Looks, is_second, looks
from daemon.state import State
from daemon.words import Line as Words
from daemon.words import lasting

TEMPLATES = Path(__file__).parent / "templates"
MAX_ROWS = 500  # rows in full: beyond, a browser on a phone no longer scrolls; the rest is counted and linked
MAX_CAUSES = 50  # boxes above everything else; so many at once are one fault that nobody recognised
MAX_CHANGES = 10  # of the latest: a list to glance at, the rest is in the JSON
REFRESH_S = 15  # the page asks again by itself

_ATTENTION = (Status.CRITICAL, Status.WARNING, Status.UNKNOWN)
_NOTES = frozenset({CheckName.PROVIDER, CheckName.DEFINITION})
_LINKED = ("https://", "http://")  # a runbook elsewhere than on the web is named, not linked
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
    """One row as the page shows it.

    - `second` is what was seen of the same target from the host's seat.
    - `cause`: the one that says no more than this row, but for what changed before.
    """

    row: Row
    title: str
    held: str
    event: str
    advice: Advice
    second: Row | None = None
    cause: CauseFound | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseBox:
    """One cause as the page shows it, with the rows folded under it; `left`: how many more there are of these."""

    cause: CauseFound
    label: str
    lasting: str
    hit: str
    advice: Advice
    rows: list[Line]
    left: int
    link: bool


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
        causes = put_together(whole["diagnosis"], seen.first)
        urgent = _urgent(row for row in seen.first if not causes.covers(row))
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
            causes=_told(causes.told[:MAX_CAUSES], now),
            causes_left=max(0, len(causes.told) - MAX_CAUSES),
            alerts=alert_lines(whole["alerts"], now),
            changes=whole["changes"][:MAX_CHANGES],
            attention=[_line(row, now, seen.second.get(row["id"]), causes.alone.get(row["id"])) for row in shown],
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
    """Return what somebody should read: what decides before notes, the worst first, of these the Connector itself."""
    found = [row for row in rows if row["status"] in _ATTENTION]
    return sorted(found, key=_urgency)


def _urgency(row: Row) -> tuple[bool, int, bool, bool]:
    verdict = _ATTENTION.index(Status(row["status"]))
    return row["check"] in _NOTES, verdict, row["check"] != CheckName.CONNECTOR, row["state"] == State.PENDING


def _told(causes: Iterable[Told], now: float) -> list[CauseBox]:
    """Return the causes, with so many of the rows that they explain as a phone can scroll."""
    boxes: list[CauseBox] = []
    room = MAX_ROWS
    for one in causes:
        shown = one.rows[:room]
        room -= len(shown)
        runbook = one.cause["runbook"] or ""
        boxes.append(
            CauseBox(
                cause=one.cause,
                label=one.label,
                lasting=lasting(one.cause["since"], now),
                hit=one.hit,
                advice=split_action(one.cause["action"]),
                rows=[_line(row, now) for row in shown],
                left=len(one.rows) - len(shown),
                link=runbook.startswith(_LINKED),
            )
        )
    return boxes


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


def _line(row: Row, now: float, second: Row | None = None, cause: CauseFound | None = None) -> Line:
    check = CheckName(row["check"])
    title = _TITLES[check] if check in _ALONE else f"{_TITLES[check]} {row['target']}"
    return Line(
        row=row,
        title=f"{title}, from this host" if is_second(row) else title,
        held=held_words(row, now),
        event=_EVENTS.get(Event(row["event"]), "") if row["event"] else "",
        advice=split_action(row["action"]),
        second=second,
        cause=cause,
    )
