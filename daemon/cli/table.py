"""Rows as a person reads them at a terminal: one line each, and what is broken told in full."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from checks.model import CheckName, Reason, Status, worst
from daemon.cause_rows import NO_CAUSES, Causes
from daemon.cli.cause_table import INDENT, MAX_TOLD, STATUS_WIDTH, STYLES, Advised, write_background
from daemon.cli.nearest import safe
from daemon.cli.paper import Paper, cell
from daemon.cli.phrases import EVENT_WORDS, NOTES, is_problem
from daemon.cli.terminal import columns
from daemon.document import Document, Row
from daemon.row_looks import is_second
from daemon.words import count

MAX_SUBJECT = 34  # columns: wider, a row that needs it pushes all texts to the right edge
FEW = 3  # explained rows that are listed below their cause: so few say more by name than as a number

SECTIONS: Sequence[tuple[str, tuple[CheckName, ...]]] = (
    ("Connector", (CheckName.CONNECTOR,)),
    ("This host", (CheckName.HOST, CheckName.CLOCK)),
    ("Twingate", (CheckName.CONTROL_PLANE, CheckName.RELAY, CheckName.NAT)),
    ("Names", (CheckName.RESOLVER, CheckName.DNS)),
    ("Ports", (CheckName.TCP,)),
    ("Notes (they do not change the verdict)", NOTES),
)
_ALONE = {CheckName.CLOCK: "clock", CheckName.NAT: "NAT", CheckName.PROVIDER: "status page"}
_THINGS = dict.fromkeys(CheckName, "row") | {
    CheckName.DNS: "name", CheckName.TCP: "port", CheckName.RESOLVER: "nameserver", CheckName.RELAY: "Relay",
    CheckName.CONTROL_PLANE: "Controller endpoint",
}  # fmt: skip
_PREFIX = {CheckName.CONTROL_PLANE: "Controller ", CheckName.RELAY: "Relay ", CheckName.RESOLVER: "nameserver "}


class Table:
    """Writes sections; advice is given once.

    - `second`: by the id of a row, what was seen of the same target from the host's seat.
    - `fold_ok`: rows of Resources that are fine are counted rather than listed.
    - `held`: words on how long a row has been so; empty where nothing is held.
    - `causes`: what they explain is counted, or listed with `everything` or if it is little; either way without advice,
      which would send people to the wrong place.
    """

    def __init__(
        self,
        paper: Paper,
        second: Mapping[str, Row],
        *,
        fold_ok: bool,
        advised: Advised | None = None,
        held: Callable[[Row], str] = lambda _: "",
        causes: Causes = NO_CAUSES,
        everything: bool = False,
    ) -> None:
        self._paper = paper
        self._second = second
        self._fold_ok = fold_ok
        self._held = held
        self._advised = advised or Advised(paper)
        self._causes = causes
        self._counted = frozenset(
            row["id"] for told in causes.told if not everything and len(told.rows) > FEW for row in told.rows
        )

    def sections(self, rows: Sequence[Row]) -> None:
        """Write all sections that have a row."""
        for title, checks in SECTIONS:
            mine = [row for row in rows if row["check"] in checks]
            if mine:
                self._section(title, mine)

    def _section(self, title: str, rows: Sequence[Row]) -> None:
        """Write one section: what is folded first, then row by row."""
        self._paper.line()
        self._paper.line(self._paper.paint(title, "bold"))
        folded = self._fold(rows)
        shown = [row for row in rows if row["id"] not in folded]
        width = min(MAX_SUBJECT, max((columns(_subject(row)) for row in shown), default=0))
        for row in shown:
            self._row(row, width)

    def _fold(self, rows: Sequence[Row]) -> set[str]:
        """Write one line for rows that a cause explains, and for those of Resources that are fine or skipped.

        Return their ids.
        """
        folded = {row["id"] for row in rows if row["id"] in self._counted}
        for check in CheckName:
            explained = [row for row in rows if row["check"] == check and row["id"] in folded]
            if explained:
                alone = _subject(explained[0]) if len(explained) == 1 else ""
                things = alone or count(len(explained), _THINGS[check])
                above = "cause" if len(self._causes.told) == 1 else "causes"
                statuses = {Status(row["status"]) for row in explained} - {Status.SKIPPED}
                self._line(worst(statuses) if statuses else Status.SKIPPED, f"{things} explained by the {above} above")
        for check, things in ((CheckName.DNS, "names"), (CheckName.TCP, "ports")):
            mine = [row for row in rows if row["check"] == check and row["id"] not in folded]
            fine = [row for row in mine if row["status"] == Status.OK]
            if self._fold_ok and len(fine) > 1:
                self._line(Status.OK, f"{len(fine)} {things} {'resolve' if check is CheckName.DNS else 'accept'}")
                folded |= {row["id"] for row in fine}
            skipped = [row for row in mine if row["status"] == Status.SKIPPED]
            if len(skipped) > 1:
                counts = Counter(row["reason"] or Reason.NOT_PROBEABLE.value for row in skipped)
                causes = ", ".join(f"{count} {safe(reason)}" for reason, count in counts.most_common())
                self._line(Status.SKIPPED, f"{len(skipped)} {things}: {causes}")
                folded |= {row["id"] for row in skipped}
        return folded

    def _line(self, status: Status, text: str) -> None:
        start = self._paper.count
        self._paper.paragraph(text, lead=f"  {cell(_word(status), STATUS_WIDTH)}  ")
        self._paper.restyle(start, _word(status), STYLES[status])

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
            paper.line(
                f"{lead}  {text}".rstrip() + ("" if problem or row["flapping"] else self._names(row, f"{lead}  {text}"))
            )
        paper.restyle(start, _word(status), STYLES[status])
        self._second_look(row)
        if self._causes.covers(row):
            self._refer(row)
        elif problem or row["flapping"]:
            self._explain(row)

    def _second_look(self, row: Row) -> None:
        """Write what the host's seat saw of the same target, directly below its row."""
        second = self._second.get(row["id"])
        if second is None:
            return
        status, start = Status(second["status"]), self._paper.count
        self._paper.paragraph(f"from this host: {_word(status)}, {_observed(second)}", lead=" " * INDENT)
        self._paper.restyle(start, _word(status), STYLES[status])

    def _names(self, row: Row, before: str) -> str:
        """Return the Resources behind a row that is fine, as far as there is room."""
        names = [safe(name) for name in row["resources"]]
        for text in (f"  ({', '.join(names)})", f"  ({names[0]} and {len(names) - 1} more)" if len(names) > 1 else ""):
            if names and text and self._paper.fits(before, text):
                return self._paper.paint(text, "dim")
        return ""

    def _explain(self, row: Row) -> None:
        paper, indent = self._paper, " " * INDENT
        if held := self._held(row):
            paper.paragraph(held, lead=indent)
        if row["resources"]:
            names = ", ".join(safe(name) for name in row["resources"])
            event = EVENT_WORDS.get(row["event"] or "")
            paper.paragraph(f'Users of {names} meet "{event}"' if event else f"Resource: {names}", lead=indent)
        if cause := self._causes.alone.get(row["id"]):
            write_background(paper, cause)
        self._advised.give(row["action"])

    def _refer(self, row: Row) -> None:
        """Write which cause says the rest, or for how long it has been so."""
        told = self._causes.by.get(row["id"])
        words = self._held(row) if told is None else f"explained by {safe(told.label)}, see Causes"
        if words:
            self._paper.paragraph(words, lead=" " * INDENT)


def ending(paper: Paper, whole: Document, causes: Causes = NO_CAUSES) -> None:
    """Write where to read more, and the verdict as the last line."""
    alerts = [told.cause["alert"] for told in causes.told[:MAX_TOLD]]
    reasons = [row["reason"] for row in whole["checks"] if is_problem(row) and not causes.covers(row)]
    topics = [topic for topic in dict.fromkeys([*alerts, *reasons]) if topic]
    paper.line()
    if topics:
        paper.line(f"More: healthctl explain {' '.join(map(safe, topics))}")
    status = Status(whole["status"])
    word = status.value.upper()
    start = paper.count
    paper.paragraph(f"{word}: {safe(whole['summary'])}", lead="SUMMARY  ", indent=len("SUMMARY  "))
    paper.restyle(start, word, STYLES[status])
    paper.restyle(start, "SUMMARY", "bold")


def _word(status: Status) -> str:
    """Return the status as shown: what is fine stays quiet."""
    return status.value if status in (Status.OK, Status.SKIPPED) else status.value.upper()


def _subject(row: Row) -> str:
    check = CheckName(row["check"])
    seat = " from this host" if is_second(row) else ""
    return _ALONE.get(check, _PREFIX.get(check, "") + safe(row["target"])) + seat


def _observed(row: Row) -> str:
    """Return the summary without the target at its beginning, which stands in the column before it."""
    text, target = safe(row["summary"]), safe(row["target"])
    for separator in (": ", " "):
        if text.startswith(target + separator):
            return text.removeprefix(target + separator)
    return text
