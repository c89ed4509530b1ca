"""Causes and alerts as a person reads them at a terminal: why, how much, since when, and what to do."""

from checks.model import Status
from daemon.advice import split_action
from daemon.alert_words import alert_lines
from daemon.cause_rows import Causes, Told
from daemon.cli.nearest import safe
from daemon.cli.paper import Paper, cell
from daemon.document import CauseFound, Document
from daemon.words import count, lasting

STATUS_WIDTH = 8  # of CRITICAL, the longest word
INDENT = 2 + STATUS_WIDTH + 2
STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "red",
    Status.UNKNOWN: "magenta",
    Status.SKIPPED: "dim",
}
_LOUD = {"critical": "red", "warning": "yellow", "info": "bold"}
MAX_TOLD = 5  # causes in full, worst first: so many at once are one fault that nobody recognised, or a broken network
MAX_NAMED = 15  # causes after these, by title


class Advised:
    """Remembers which advice was given, to give it once."""

    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self._given: set[str] = set()

    def give(self, action: str) -> None:
        """Write what to do and the commands to repeat, all of them harmless."""
        paper, indent = self._paper, " " * INDENT
        advice = split_action(safe(action))
        if advice.text and advice.text not in self._given:
            self._given.add(advice.text)
            start = paper.count
            paper.paragraph(advice.text, lead=f"{indent}ACTION  ")
            paper.restyle(start, "ACTION", "bold")
        for command in advice.commands:
            if command not in self._given:
                self._given.add(command)
                start = paper.count
                paper.line(f"{indent}REPEAT  {command}")
                paper.restyle(start, "REPEAT", "bold")


def write_causes(
    paper: Paper, causes: Causes, advised: Advised, now: float | None = None, *, everything: bool = False
) -> None:
    """Write the section on causes, if there are any to tell; `now` in Unix seconds, None for a single look."""
    if not causes.told:
        return
    paper.line()
    paper.line(paper.paint("Causes", "bold"))
    full = causes.told if everything else causes.told[:MAX_TOLD]
    for told in full:
        _cause(paper, told, advised, "" if now is None else f", {lasting(told.cause['since'], now)}")
    named = causes.told[len(full) : len(full) + MAX_NAMED]
    for told in named:
        _headed(paper, told.cause["severity"], f"{safe(told.cause['title'])} ({safe(told.label)})")
    rest = len(causes.told) - len(full) - len(named)
    if rest:
        paper.line(f"{' ' * INDENT}and {count(rest, 'more cause')}; -o json lists them")


def _cause(paper: Paper, told: Told, advised: Advised, since: str) -> None:
    cause, indent = told.cause, " " * INDENT
    _headed(paper, cause["severity"], safe(cause["title"]))
    paper.paragraph(f"{safe(told.label)}{since}", lead=indent)
    if cause["text"] and cause["text"] != cause["title"]:
        paper.paragraph(safe(cause["text"]), lead=indent)
    if told.hit:
        paper.paragraph(safe(told.hit), lead=indent)
    write_background(paper, cause)
    advised.give(cause["action"])
    if cause["runbook"]:
        start = paper.count
        paper.line(f"{indent}RUNBOOK {safe(cause['runbook'])}")
        paper.restyle(start, "RUNBOOK", "bold")


def write_background(paper: Paper, cause: CauseFound) -> None:
    """Write what changed shortly before, and what else it could be."""
    indent = " " * INDENT
    for change in cause["changed"]:
        paper.paragraph(safe(change), lead=f"{indent}changed ", indent=INDENT + 2)
    for possible in cause["possible"]:
        paper.paragraph(safe(possible), lead=f"{indent}possible: ", indent=INDENT + 2)


def write_alerts(paper: Paper, whole: Document, now: float, *, everything: bool = False) -> None:
    """Write which alerts fire and which are about to, and who does not take them; nothing where all is quiet."""
    lines = alert_lines(whole["alerts"], now, everything=everything)
    if not lines:
        return
    paper.line()
    paper.line(paper.paint("Alerts", "bold"))
    for line in lines:
        _headed(paper, line.word, safe(line.text))


def _headed(paper: Paper, word: str, text: str) -> None:
    """Write text behind a word in the column of the statuses."""
    start, shown = paper.count, safe(word).upper() if word in _LOUD else safe(word)
    paper.paragraph(text, lead=f"  {cell(shown, STATUS_WIDTH)}  ")
    if shown:
        paper.restyle(start, shown, _LOUD.get(word, "dim"))
