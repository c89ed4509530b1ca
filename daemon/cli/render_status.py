"""`status -o table`: what is not fine, told as `check` tells it, under a head on the Connector itself.

Who is called at three in the morning wants the cause, since when, and what to do; what is fine is a number.
"""

from typing import NamedTuple

from checks.model import Reason, Status
from daemon.cause_rows import put_together
from daemon.cli.cause_table import STYLES, Advised, write_alerts, write_causes
from daemon.cli.nearest import safe
from daemon.cli.paper import Paper
from daemon.cli.phrases import is_problem
from daemon.cli.render_table import many_fine, title
from daemon.cli.table import Table, ending
from daemon.connector_words import connector_lines
from daemon.document import Document, Row
from daemon.held import held_words
from daemon.moments import ago, clock, unix_time
from daemon.row_looks import looks
from daemon.state import State
from daemon.words import Line, count

_UNSETTLED = frozenset({State.PENDING, State.FAILING, State.RECOVERING})
_LABEL = 10  # columns of the words before the lines on the Connector


class Look(NamedTuple):
    """How to lay out.

    - `width` in columns; None never folds. `everything`: what is fine is listed too.
    - `rows_first`: the lines on the Connector come after the rows, for a terminal that is too low for both.
    """

    width: int | None = None
    colour: bool = False
    everything: bool = False
    rows_first: bool = False


def render(whole: Document, now: float, look: Look | None = None) -> str:
    """Return the table of a daemon's document; `now` in Unix seconds."""
    look = look or Look()
    paper = Paper(look.width, colour=look.colour)
    seen = looks(whole["checks"])
    causes, advised = put_together(whole["diagnosis"], seen.first), Advised(paper)
    _head(paper, whole, now)
    write_causes(paper, causes, advised, now, everything=look.everything)
    write_alerts(paper, whole, now, everything=look.everything)
    if not look.rows_first:
        _connector(paper, whole, now)
    rows = seen.first if look.everything else tuple(row for row in seen.first if _worth_reading(row))
    Table(
        paper,
        seen.second,
        fold_ok=many_fine(rows),
        advised=advised,
        held=lambda row: held_words(row, now),
        causes=causes,
        everything=look.everything,
    ).sections(rows)
    _left_out(paper, len(rows), len(seen.first))
    if look.rows_first:
        _connector(paper, whole, now)
    ending(paper, whole, causes)
    return paper.text()


def _left_out(paper: Paper, shown: int, known: int) -> None:
    """Say how many rows are not shown, or that there are none yet."""
    rest = known - shown
    if not known:
        paper.line()
        paper.line("Nothing is known yet: the first checks are still running.")
    elif rest:
        paper.line()
        found = f"{count(rest, 'other row' if shown else 'row')} {'is' if rest == 1 else 'are'} fine or not probed"
        paper.line(paper.paint(f"{found}; healthctl status --all lists them", "dim"))


def _worth_reading(row: Row) -> bool:
    unsettled = row["state"] in _UNSETTLED or bool(row["flapping"])
    return is_problem(row) or unsettled or row["reason"] == Reason.DEPENDENCY_FAILED


def _head(paper: Paper, whole: Document, now: float) -> None:
    paper.paragraph(title(whole))
    started = unix_time(whole["started_at"])
    when = f"{clock(now)}, watched for {ago(now - started)} (since {clock(started)})"
    paper.line(paper.paint(when, "dim"))


def _connector(paper: Paper, whole: Document, now: float) -> None:
    paper.line()
    for line in connector_lines(whole, now):
        _line(paper, line)


def _line(paper: Paper, line: Line) -> None:
    start, text = paper.count, safe(line.text)
    lead = f"  {line.label:{_LABEL}}"
    paper.paragraph(text, lead=lead)
    if line.label:
        paper.restyle(start, line.label, "bold" if line.status is Status.OK else STYLES[line.status])
