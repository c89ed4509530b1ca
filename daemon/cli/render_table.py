"""`check -o table`: from this host outwards, one line a row; what is broken is told in full, what is fine is not."""

from collections import Counter
from collections.abc import Sequence

from checks.model import CheckName, Reason, Status
from daemon.advice import split_action
from daemon.cli.nearest import safe
from daemon.cli.paper import Paper, cell
from daemon.cli.phrases import EVENT_WORDS, NOTES, is_problem
from daemon.cli.terminal import columns
from daemon.document import Document, Row
from daemon.report import SECOND_SEAT

FOLD_OVER = 30  # contract of the eye: more rows that are fine than this push what is not off the screen
MAX_SUBJECT = 34  # columns: wider, a row that needs it pushes all texts to the right edge
STATUS_WIDTH = 8  # of CRITICAL, the longest word
INDENT = 2 + STATUS_WIDTH + 2
RESOURCE_CHECKS = (CheckName.DNS, CheckName.TCP)

SECTIONS: Sequence[tuple[str, tuple[CheckName, ...]]] = (
    ("This host", (CheckName.HOST, CheckName.CLOCK)),
    ("Twingate", (CheckName.CONTROL_PLANE, CheckName.RELAY, CheckName.NAT)),
    ("Names", (CheckName.RESOLVER, CheckName.DNS)),
    ("Ports", (CheckName.TCP,)),
    ("Connector", (CheckName.CONNECTOR,)),
    ("Notes (they do not change the verdict)", NOTES),
)
_ALONE = {CheckName.CLOCK: "clock", CheckName.NAT: "NAT", CheckName.PROVIDER: "status page"}
_PREFIX = {CheckName.CONTROL_PLANE: "Controller ", CheckName.RELAY: "Relay ", CheckName.RESOLVER: "nameserver "}
_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "red",
    Status.UNKNOWN: "magenta",
    Status.SKIPPED: "dim",
}


def render(whole: Document, *, width: int | None = None, colour: bool = False) -> str:
    """Return the table; `width` in columns folds text (never commands), None leaves each row on one line."""
    paper = Paper(width, colour=colour)
    table = _Table(paper, fold_ok=_many_fine(whole["checks"]))
    where = f" in {safe(whole['remote_network'])}" if whole["remote_network"] else ""
    seat = (
        "from the Connector's place in the network"
        if whole["confidence"] == "exact"
        else "as seen from this host (vantage: host)"
    )
    paper.paragraph(f"Connector {safe(whole['connector'])}{where}, {seat}")
    when = f"{whole['started_at'][:19].replace('T', ' ')} UTC, took {whole['duration_seconds']:.2g} s"
    paper.line(paper.paint(when, "dim"))
    for title, checks in SECTIONS:
        rows = [row for row in whole["checks"] if row["check"] in checks]
        if rows:
            table.section(title, rows)
    _ending(paper, whole)
    return paper.text()


def _ending(paper: Paper, whole: Document) -> None:
    reasons = dict.fromkeys(row["reason"] for row in whole["checks"] if is_problem(row) and row["reason"])
    paper.line()
    if reasons:
        paper.line(f"More: healthctl explain {' '.join(reasons)}")
    status = Status(whole["status"])
    word = status.value.upper()
    start = paper.count
    paper.paragraph(f"{word}: {safe(whole['summary'])}", lead="SUMMARY  ", indent=len("SUMMARY  "))
    paper.restyle(start, word, _STYLES[status])
    paper.restyle(start, "SUMMARY", "bold")


def _many_fine(rows: Sequence[Row]) -> bool:
    return sum(row["check"] in RESOURCE_CHECKS and row["status"] == Status.OK for row in rows) > FOLD_OVER


class _Table:
    """Writes sections; remembers which advice it has given, to give it once."""

    def __init__(self, paper: Paper, *, fold_ok: bool) -> None:
        self._paper = paper
        self._fold_ok = fold_ok
        self._advised: set[str] = set()

    def section(self, title: str, rows: Sequence[Row]) -> None:
        """Write one section: what is folded first, then row by row."""
        self._paper.line()
        self._paper.line(self._paper.paint(title, "bold"))
        folded = self._fold(rows)
        shown = [row for row in rows if row["id"] not in folded]
        width = min(MAX_SUBJECT, max((columns(_subject(row)) for row in shown), default=0))
        for row in shown:
            self._row(row, width)

    def _fold(self, rows: Sequence[Row]) -> set[str]:
        """Write one line for rows of Resources that are fine or skipped; return their ids."""
        folded: set[str] = set()
        for check, things in ((CheckName.DNS, "names"), (CheckName.TCP, "ports")):
            mine = [row for row in rows if row["check"] == check]
            fine = [row for row in mine if row["status"] == Status.OK]
            if self._fold_ok and len(fine) > 1:
                self._line(Status.OK, f"{len(fine)} {things} {'resolve' if check is CheckName.DNS else 'accept'}")
                folded |= {row["id"] for row in fine}
            skipped = [row for row in mine if row["status"] == Status.SKIPPED]
            if len(skipped) > 1:
                counts = Counter(row["reason"] or Reason.NOT_PROBEABLE.value for row in skipped)
                causes = ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
                self._line(Status.SKIPPED, f"{len(skipped)} {things}: {causes}")
                folded |= {row["id"] for row in skipped}
        return folded

    def _line(self, status: Status, text: str) -> None:
        start = self._paper.count
        self._paper.paragraph(text, lead=f"  {cell(_word(status), STATUS_WIDTH)}  ")
        self._paper.restyle(start, _word(status), _STYLES[status])

    def _row(self, row: Row, width: int) -> None:
        paper, status = self._paper, Status(row["status"])
        subject, text = _subject(row), _observed(row)
        lead = f"  {cell(_word(status), STATUS_WIDTH)}  {cell(subject, width)}"
        problem = is_problem(row)
        start = paper.count
        if not paper.fits(lead, "  ", text):
            paper.line(lead.rstrip())
            paper.paragraph(text, lead=" " * INDENT)
        else:
            paper.line(f"{lead}  {text}".rstrip() + ("" if problem else self._names(row, f"{lead}  {text}")))
        paper.restyle(start, _word(status), _STYLES[status])
        if problem:
            self._explain(row)

    def _names(self, row: Row, before: str) -> str:
        """Return the Resources behind a row that is fine, as far as there is room."""
        names = [safe(name) for name in row["resources"]]
        for text in (f"  ({', '.join(names)})", f"  ({names[0]} and {len(names) - 1} more)" if len(names) > 1 else ""):
            if names and text and self._paper.fits(before, text):
                return self._paper.paint(text, "dim")
        return ""

    def _explain(self, row: Row) -> None:
        paper, indent = self._paper, " " * INDENT
        if row["resources"]:
            names = ", ".join(safe(name) for name in row["resources"])
            event = EVENT_WORDS.get(row["event"] or "")
            paper.paragraph(f'Users of {names} meet "{event}"' if event else f"Resource: {names}", lead=indent)
        advice = split_action(safe(row["action"]))
        if advice.text and advice.text not in self._advised:
            self._advised.add(advice.text)
            start = paper.count
            paper.paragraph(advice.text, lead=f"{indent}ACTION  ")
            paper.restyle(start, "ACTION", "bold")
        for command in advice.commands:
            start = paper.count
            paper.line(f"{indent}REPEAT  {command}")
            paper.restyle(start, "REPEAT", "bold")


def _word(status: Status) -> str:
    """Return the status as shown: what is fine stays quiet."""
    return status.value if status in (Status.OK, Status.SKIPPED) else status.value.upper()


def _subject(row: Row) -> str:
    check = CheckName(row["check"])
    seat = " from this host" if row["id"].endswith(SECOND_SEAT) else ""
    return _ALONE.get(check, _PREFIX.get(check, "") + safe(row["target"])) + seat


def _observed(row: Row) -> str:
    """Return the summary without the target at its beginning, which stands in the column before it."""
    text, target = safe(row["summary"]), safe(row["target"])
    for separator in (": ", " "):
        if text.startswith(target + separator):
            return text.removeprefix(target + separator)
    return text
