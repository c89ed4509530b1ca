"""The status page: one document, no scripts, nothing from elsewhere; to be read on a phone at three in the morning."""

import base64
import hashlib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlencode

import jinja2

from checks.model import CheckName, Event, Status
from daemon.advice import Advice, split_action
from daemon.alert_words import alert_lines
from daemon.cause_rows import Causes, Told, together_steps
from daemon.connector_words import connector_lines
from daemon.document import CauseFound, Document, Row
from daemon.held import held_words
from daemon.moments import ago, clock, unix_time
from daemon.row_looks import Looks, is_second, looks_steps
from daemon.slices import Steps, at_once, batches, sort_steps
from daemon.state import State
from daemon.summary import kinds_steps
from daemon.words import Line as Words
from daemon.words import lasting

TEMPLATES = Path(__file__).parent / "templates"
MAX_ROWS = 500  # rows in full: beyond, a browser on a phone no longer scrolls; the rest is counted and linked
MAX_CAUSES = 50  # boxes above everything else; so many at once are one fault that nobody recognised
MAX_CHANGES = 10  # of the latest: a list to glance at, the rest is in the JSON
REFRESH_S = 15  # the page asks again by itself
LINES = 20  # rows made in full between two looks at the clock
PARTS = 200  # of what the template yields: a few rows' worth

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
_NONE: Mapping[str, Row] = MappingProxyType({})
_NO_CAUSE: Mapping[str, CauseFound] = MappingProxyType({})
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
        return "".join(at_once(self.steps(whole, now, refresh=refresh)))

    def steps(self, whole: Document, now: float, *, refresh: bool = True) -> Steps[list[str]]:
        """Return the same in pieces, in steps; of what is not shown only what sketches tell is read."""
        seen = yield from looks_steps(whole["checks"])
        causes = yield from together_steps(whole["diagnosis"], seen.first)
        urgent = yield from _urgent(seen.first, causes)
        kinds = yield from kinds_steps(seen.first)
        every = _beside(seen, MAX_ROWS)
        verdict, stop, details = whole["summary"].partition(". ")  # sentences; the first tells what users notice
        verdict += "." if stop else ""
        shown = urgent[:MAX_ROWS]
        template = self._template.generate(
            whole=whole,
            verdict=verdict,
            details=details,
            css=self._css,
            refresh_s=REFRESH_S if refresh else 0,
            made_at=clock(now),
            causes=(yield from _told(causes.told[:MAX_CAUSES], now)),
            causes_left=max(0, len(causes.told) - MAX_CAUSES),
            alerts=alert_lines(whole["alerts"], now),
            changes=whole["changes"][:MAX_CHANGES],
            attention=(yield from _lines(shown, now, seen.second, causes.alone)),
            attention_left=len(urgent) - len(shown),
            attention_query=urlencode({"status": ",".join(status.value for status in _ATTENTION)}),
            statuses=tuple(status.value for status in (*_ATTENTION, Status.OK, Status.SKIPPED)),
            counts=_counts(kinds),
            rows=(yield from _lines(every, now)),
            rows_left=len(seen.first) + len(seen.second) - len(every),
            connector=_grouped(connector_lines(whole, now)),
            ago=lambda moment: f"{ago(now - unix_time(moment))} ago",
        )
        made: list[str] = []
        while parts := list(itertools.islice(template, PARTS)):
            made.append("".join(parts))
            yield
        return made


def _urgent(rows: Sequence[Row], causes: Causes) -> Steps[list[Row]]:
    """Return what somebody should read: what decides before notes, the worst first, of these the Connector itself."""
    found: list[Row] = []
    for batch in batches(rows):
        found += [row for row in batch if row["status"] in _ATTENTION and not causes.covers(row)]
        yield
    return (yield from sort_steps(found, _urgency))


def _urgency(row: Row) -> tuple[bool, int, bool, bool]:
    verdict = _ATTENTION.index(Status(row["status"]))
    return row["check"] in _NOTES, verdict, row["check"] != CheckName.CONNECTOR, row["state"] == State.PENDING


def _told(causes: Iterable[Told], now: float) -> Steps[list[CauseBox]]:
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
                rows=(yield from _lines(shown, now)),
                left=len(one.rows) - len(shown),
                link=runbook.startswith(_LINKED),
            )
        )
        yield
    return boxes


def _counts(kinds: Mapping[tuple[str, str], int]) -> list[tuple[str, dict[str, int]]]:
    present = {check for check, _ in kinds}
    return [
        (title, {status.value: kinds.get((check.value, status.value), 0) for status in Status})
        for check, title in _TITLES.items()
        if check.value in present
    ]


def _beside(seen: Looks, most: int) -> list[Row]:
    """Return the first rows, each second look directly below its row."""
    every: list[Row] = []
    for row in seen.first[:most]:
        every.append(row)
        if second := seen.second.get(row["id"]):
            every.append(second)
    return every[:most]


def _grouped(lines: Iterable[Words]) -> list[tuple[str, list[Words]]]:
    """Return the lines under their labels."""
    groups: list[tuple[str, list[Words]]] = []
    for line in lines:
        if line.label or not groups:
            groups.append((line.label, []))
        groups[-1][1].append(line)
    return groups


def _lines(
    rows: Sequence[Row], now: float, second: Mapping[str, Row] = _NONE, alone: Mapping[str, CauseFound] = _NO_CAUSE
) -> Steps[list[Line]]:
    lines: list[Line] = []
    for batch in batches(rows, LINES):
        lines += [_line(row, now, second.get(row["id"]), alone.get(row["id"])) for row in batch]
        yield
    return lines


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
