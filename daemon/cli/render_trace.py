"""`trace -o table`: the chain from this host outwards, link by link, then the conclusion and what a host can't know."""

from collections.abc import Sequence

from checks.advice import duration
from checks.model import Outcome, Status
from checks.net.answers import Answer
from checks.net.endpoint import Endpoint
from daemon.cli.nearest import safe
from daemon.cli.paper import Paper, cell
from daemon.jobs import Result
from daemon.moments import ago, clock
from daemon.trace.conclusion import Conclusion
from daemon.trace.facts import PortSeen, RouteSeen, TraceFacts
from daemon.trace.rules_connector import restarts
from daemon.trace.words import end_of, event_line, hops_line, place_of, tried_in_vain

_WORD = 8  # columns of CRITICAL, the longest verdict
_INDENT = 2 + _WORD + 2
_NAME = 22  # columns of a nameserver in the matrix: an IPv4 address with a port fits
_MOST = 12  # lines of one kind: a Resource with more ports is read as JSON
_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "red",
    Status.UNKNOWN: "magenta",
    Status.SKIPPED: "dim",
}
_TWINGATE = ("control_plane", "relay", "nat", "provider")


def render(facts: TraceFacts, conclusion: Conclusion, *, width: int | None = None, colour: bool = False) -> str:
    """Return the table; `width` in columns folds text (never commands), None leaves each line whole."""
    page = _Page(Paper(width, colour=colour), facts)
    page.head()
    page.host()
    page.rows("Clock", ("clock",))
    page.names()
    page.ports()
    page.rows("Twingate", _TWINGATE)
    page.connector()
    page.users()
    page.causes()
    page.conclusion(conclusion)
    return page.paper.text()


class _Page:
    """Writes the sections of one trace."""

    def __init__(self, paper: Paper, facts: TraceFacts) -> None:
        self.paper = paper
        self._facts = facts

    def head(self) -> None:
        facts, target = self._facts, self._facts.target
        what = f"{target.resource}: " if target.resource else ""
        port = f", port {target.port}" if target.port is not None else ""
        rule = f", one of {target.rule}" if target.rule else ""
        self.paper.paragraph(
            safe(f"{what}{target.address}{rule}{port}, traced from {place_of(facts)} (Connector {facts.connector})")
        )
        self.paper.line(self.paper.paint(f"{clock(facts.started_at)}, took {facts.seconds:.2g} s", "dim"))

    def host(self) -> None:
        self._section("Host, link and route")
        for row in self._facts.around_of("host"):
            self._row(row.outcome, row.target)
        for route in self._facts.routes[:_MOST]:
            self._line(*_route(route, place_of(self._facts)))

    def names(self) -> None:
        name = self._facts.name
        resolver = self._facts.around_of("resolver")
        if name is None and not resolver:
            return
        self._section("Names")
        if name is not None:
            outcome = self._facts.rows.get(f"dns:{name.name}")
            if outcome is not None:
                self._row(outcome, name.name)
            for answer in name.answers[: 2 * _MOST]:
                self._answer(answer)
            if name.host is not None:
                self._more(f"from this host: {_word(name.host.status)}, {name.host.summary}")
        for row in resolver if name is None or not name.answers else ():
            self._row(row.outcome, row.target)

    def ports(self) -> None:
        self._section("Addresses and ports")
        for port in self._facts.ports[:_MOST]:
            self._port(port)
        left = len(self._facts.ports) - _MOST
        if left > 0:
            self._more(f"and {left} more: see -o json")
        shown = {str(port.port) for port in self._facts.ports}
        for row_id, outcome in self._facts.rows.items():
            if row_id.startswith("tcp:") and row_id.rpartition(":")[2] not in shown:
                self._row(outcome, row_id.removeprefix("tcp:"))

    def rows(self, title: str, checks: Sequence[str]) -> None:
        found = [row for check in checks for row in self._facts.around_of(check)]
        found = [row for row in found if row.outcome.status is not Status.SKIPPED]
        if found:
            self._section(title)
        for row in found:
            self._row(row.outcome, row.target)
            self._second(row)

    def connector(self) -> None:
        self._section("Connector")
        for row in self._facts.around_of("connector"):
            self._row(row.outcome, row.target)
            if number := restarts(row.outcome):
                self._more(f"{number} since it was made")
        log = self._facts.log
        if log is None:
            return
        if log.problem:
            self._more(f"its log can't be read: {log.problem}")
        elif log.state is not None:
            when = f" for {ago(self._facts.started_at - log.state_at)}" if log.state_at is not None else ""
            self._more(f"its log says: {str(log.state).replace('_', ' ')}{when}")
        for cause, counted in log.causes.items():
            when = ago(self._facts.started_at - counted.last_at)
            self._more(f"its log: {counted.count} times {str(cause).replace('_', ' ')}, last {when} ago")

    def users(self) -> None:
        users, now = self._facts.users, self._facts.started_at
        self._section("Users of this Resource (the Connector's log)")
        for event in users.events:
            self._line("", event_line(event, now))
        if users.problem:
            self._line("", f"not known: {users.problem}")
        elif users.readable is False:
            self._line("", "not known: its log does not show user connections (TWINGATE_LOG_ANALYTICS)")
        elif users.readable is None and not users.events:
            self._line("", "not known whether its log shows user connections")
        elif not users.events:
            self._line("", "no event: nobody used it through this Connector")
        if not users.whole and not users.problem:
            self._line("", "its log was not read to the end")

    def causes(self) -> None:
        if not self._facts.causes:
            return
        self._section("Diagnosis")
        for cause in self._facts.causes[:_MOST]:
            self._line(cause.severity.upper(), f"{cause.title} ({cause.code})")

    def conclusion(self, conclusion: Conclusion) -> None:
        paper = self.paper
        paper.line()
        start = paper.count
        paper.paragraph(safe(conclusion.title), lead="CONCLUSION  ", indent=_INDENT)
        paper.restyle(start, "CONCLUSION", _STYLES[conclusion.status])
        paper.paragraph(safe(conclusion.text), lead=" " * _INDENT)
        for text in conclusion.evidence:
            paper.paragraph(safe(text), lead="  EVIDENCE  ")
        for text in conclusion.disagreements:
            self._bold("  NOTE", safe(text))
        for also in conclusion.also:
            self._bold("  ALSO", safe(also.title))
        if conclusion.next_step:
            self._bold("  NEXT", safe(conclusion.next_step))
        for command in conclusion.commands:
            start = paper.count
            paper.line(f"  REPEAT    {safe(command)}")
            paper.restyle(start, "REPEAT", "bold")
        if self._facts.unfinished:
            self._bold("  UNDONE", safe("no time was left for " + ", ".join(self._facts.unfinished[:_MOST])))
        if conclusion.cannot_know:
            paper.line()
            paper.line("A host can't know:")
        for text in conclusion.cannot_know:
            paper.paragraph(safe(text), lead="  - ")

    def _section(self, title: str) -> None:
        self.paper.line()
        self.paper.line(self.paper.paint(title, "bold"))

    def _bold(self, label: str, text: str) -> None:
        start = self.paper.count
        self.paper.paragraph(text, lead=cell(label, _INDENT))
        self.paper.restyle(start, label.strip(), "bold")

    def _line(self, word: str, text: str, status: Status | None = None) -> None:
        start = self.paper.count
        self.paper.paragraph(safe(text), lead=f"  {cell(word, _WORD)}  ")
        if status is not None:
            self.paper.restyle(start, word, _STYLES[status])

    def _more(self, text: str) -> None:
        self.paper.paragraph(safe(text), lead=" " * _INDENT, indent=_INDENT + 2)

    def _row(self, outcome: Outcome, target: str) -> None:
        summary = outcome.summary
        text = summary if target in summary else f"{target}: {summary}"
        self._line(_word(outcome.status), text, outcome.status)

    def _second(self, row: Result) -> None:
        second = self._facts.around.get(f"{row.id}@host")
        if second is not None:
            self._more(f"from this host: {_word(second.outcome.status)}, {second.outcome.summary}")

    def _answer(self, answer: Answer) -> None:
        ttl = f", TTL {answer.ttl} s" if answer.ttl is not None and answer.addresses else ""
        alias = f", an alias of {' → '.join(answer.cnames)}" if answer.cnames and answer.addresses else ""
        self._more(
            f"{cell(safe(answer.by), _NAME)} {cell(answer.kind, 4)}  {answer.evidence}{alias}{ttl}, "
            f"{duration(answer.seconds)}"
        )

    def _port(self, port: PortSeen) -> None:
        endpoint = Endpoint(port.address, port.port)
        name = self._facts.name
        by = name.addresses.get(port.address, ()) if name is not None else ()
        given = f", given by {', '.join(by)}" if by and len(name.addresses if name is not None else ()) > 1 else ""
        self._line(*_verdict(port, f"{endpoint}", given))
        if port.host is not None:
            self._more("from this host it is accepted" if port.host == "ok" else f"from this host: {port.host}")
        if port.way is not None:
            if port.way.hops:
                self._more(f"way{' (UDP)' if port.way.method == 'udp' else ''}: {hops_line(port.way)}")
            self._more(f"packets: {end_of(port.way, place_of(self._facts), failed=tried_in_vain(port))}")


def _verdict(port: PortSeen, endpoint: str, given: str) -> tuple[str, str, Status]:
    took = duration(port.seconds)
    match port.verdict:
        case "accepted":
            return "ok", f"{endpoint} accepted in {took} ({port.method}{given})", Status.OK
        case "failed":
            return (
                "FAILED",
                f"{endpoint} {port.reason}, {port.why} after {took} ({port.method}{given})",
                Status.CRITICAL,
            )
        case "not_touched":
            return "skipped", f"{endpoint} not touched: {port.why}{given}", Status.SKIPPED
        case _:
            why = port.why or "not tried to the end"
            return "UNKNOWN", f"{endpoint} {why}{given}", Status.UNKNOWN


def _route(route: RouteSeen, place: str) -> tuple[str, str, Status]:
    if route.reason is not None:
        return "FAILED", f"{route.address}: no packet leaves {place}: {route.evidence}", Status.CRITICAL
    through = f" through {route.interface}" if route.interface else ""
    hop = f", next hop {route.gateway}" if route.gateway else ", on the link" if route.gateway == "" else ""
    text = f"{route.address}: from {route.source}{through}{hop}"
    if route.silent:
        return "FAILED", f"{text}, which does not answer ARP", Status.CRITICAL
    return "ok", text, Status.OK


def _word(status: Status) -> str:
    """Return a verdict as shown: what is fine stays quiet."""
    return status.value if status in (Status.OK, Status.SKIPPED) else status.value.upper()
