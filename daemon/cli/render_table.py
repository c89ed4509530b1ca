"""`check -o table`: from this host outwards, one line a row; what is broken is told in full, what is fine is not."""

from collections.abc import Iterable

from checks.model import CheckName, Status
from daemon.cause_rows import put_together
from daemon.cli.cause_table import Advised, write_causes
from daemon.cli.nearest import safe
from daemon.cli.paper import Paper
from daemon.cli.table import Table, ending
from daemon.document import Document, Row
from daemon.row_looks import looks

FOLD_OVER = 30  # contract of the eye: more rows that are fine than this push what is not off the screen
RESOURCE_CHECKS = (CheckName.DNS, CheckName.TCP)


def render(whole: Document, *, width: int | None = None, colour: bool = False) -> str:
    """Return the table; `width` in columns folds text (never commands), None leaves each row on one line."""
    paper = Paper(width, colour=colour)
    paper.paragraph(title(whole))
    when = f"{whole['started_at'][:19].replace('T', ' ')} UTC, took {whole['duration_seconds']:.2g} s"
    paper.line(paper.paint(when, "dim"))
    if (how := whole["probing"]) and how["missing"] and any(row["check"] == CheckName.TCP for row in whole["checks"]):
        paper.paragraph(f"Ports are asked by connect: {safe(how['missing'])} (healthctl explain half_open)")
    seen = looks(whole["checks"])
    causes, advised = put_together(whole["diagnosis"], seen.first), Advised(paper)
    write_causes(paper, causes, advised)
    Table(paper, seen.second, fold_ok=many_fine(seen.first), advised=advised, causes=causes).sections(seen.first)
    ending(paper, whole, causes)
    return paper.text()


def title(whole: Document) -> str:
    """Return the first line: which Connector, and from where it was looked."""
    where = f" in {safe(whole['remote_network'])}" if whole["remote_network"] else ""
    seat = (
        "from the Connector's place in the network"
        if whole["confidence"] == "exact"
        else "as seen from this host (vantage: host)"
    )
    return f"Connector {safe(whole['connector'])}{where}, {seat}"


def many_fine(rows: Iterable[Row]) -> bool:
    """Tell whether so many rows of Resources are fine that they are better counted than listed."""
    return sum(row["check"] in RESOURCE_CHECKS and row["status"] == Status.OK for row in rows) > FOLD_OVER
