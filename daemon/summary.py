"""The whole report in one breath: why, which Resources would fail now, what else is wrong, what is fine."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from checks.model import CheckName, Event, Reason, Status, worst
from daemon.cause_rows import Causes, Told, together_steps
from daemon.document import CauseFound, Row
from daemon.row_looks import is_second
from daemon.slices import Steps, at_once, batches
from daemon.words import count, listed

_ALONE = {
    CheckName.HOST: "host network",
    CheckName.CLOCK: "clock",
    CheckName.CONTROL_PLANE: "control plane",
    CheckName.RELAY: "relays",
    CheckName.NAT: "NAT",
    CheckName.RESOLVER: "nameservers",
    CheckName.CONNECTOR: "Connector",
}
_PLURAL = frozenset({CheckName.RELAY, CheckName.RESOLVER})
_LEADING = frozenset({"critical", "warning"})  # an info cause slows users, and stops nobody
MOST_NAMED = 3  # causes in one breath
_EVENT_WORDS = {Event.DNS_LOOKUP_ERROR: ("DNS lookup error", "DNS lookup errors"),
                Event.UNABLE_TO_CONNECT: ("unable to connect", "unable to connect")}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many Resources there are, and what a user of each would meet now; each is counted once."""

    total: int
    dns_lookup_error: int = 0
    unable_to_connect: int = 0
    answering: int = 0
    warned: int = 0  # of those that answer
    undecided: int = 0
    cut_off: int = 0  # what they stand on fails, and that is counted elsewhere
    not_probed: int = 0

    @property
    def failing(self) -> int:
        """How many would fail now."""
        return self.dns_lookup_error + self.unable_to_connect


def count_resources(rows: Iterable[Row], configured: int) -> Tally:
    """Count each Resource once: by its worst row, a failing name before a failing port."""
    return at_once(_tally_steps(list(rows), configured))


def _tally_steps(rows: Sequence[Row], configured: int) -> Steps[Tally]:
    behind: dict[str, list[Row]] = {}
    for batch in batches(rows):
        for row in batch:
            if row["check"] in (CheckName.DNS, CheckName.TCP) and not is_second(row):
                for name in row["resources"]:
                    behind.setdefault(name, []).append(row)
        yield
    counts = dict.fromkeys(("dns_lookup_error", "unable_to_connect", "answering", "warned", "undecided", "cut_off"), 0)
    for group in batches(list(behind.values())):
        for found in group:
            kind = _kind(found)
            if kind == "warned":
                counts["answering"] += 1
            if kind in counts:
                counts[kind] += 1
        yield
    total = max(configured, len(behind))
    failing = counts["dns_lookup_error"] + counts["unable_to_connect"]
    others = counts["answering"] + counts["undecided"] + counts["cut_off"]
    return Tally(total=total, not_probed=total - failing - others, **counts)


def kinds_steps(rows: Sequence[Row]) -> Steps[Mapping[tuple[str, str], int]]:
    """Count rows by check and status, second looks aside."""
    kinds: Counter[tuple[str, str]] = Counter()
    for batch in batches(rows):
        kinds.update((row["check"], row["status"]) for row in batch if not is_second(row))
        yield
    return kinds


def _kind(rows: Sequence[Row]) -> str:
    if all(row["status"] == "ok" for row in rows):  # nearly always
        return "answering"
    critical = {row["check"] for row in rows if row["status"] == Status.CRITICAL}
    if CheckName.DNS in critical:
        return "dns_lookup_error"
    if critical:
        return "unable_to_connect"
    # A name that resolves says nothing of its ports: where there are any, only their own answer counts.
    ports = [row for row in rows if row["check"] == CheckName.TCP] or rows
    statuses = {Status(row["status"]) for row in ports}
    if Status.UNKNOWN in statuses:
        return "undecided"
    if not any(status.conclusive for status in statuses):
        return "cut_off" if any(row["reason"] == Reason.DEPENDENCY_FAILED for row in ports) else "not_probed"
    return "warned" if any(row["status"] == Status.WARNING for row in rows) else "answering"


def summarise(
    rows: Sequence[Row], asked: frozenset[CheckName], configured: int, causes: Sequence[CauseFound] = ()
) -> str:
    """Return the whole in a few short sentences: causes, then Resources. A second look counts nowhere."""
    return at_once(summary_steps(rows, asked, configured, causes))


def summary_steps(
    rows: Sequence[Row], asked: frozenset[CheckName], configured: int, causes: Sequence[CauseFound]
) -> Steps[str]:
    """Do the same in steps."""
    kinds = yield from kinds_steps(rows)
    found = yield from together_steps(causes, rows)
    leading = [told for told in found.told if told.cause["severity"] in _LEADING]
    sentences = []
    if asked & {CheckName.DNS, CheckName.TCP}:
        tally = yield from _tally_steps(rows, configured)
        if leading:
            sentences.append((yield from _caused(leading, tally, rows, found)))
        sentences.append(_resources(tally, ports=CheckName.TCP in asked))
    elif leading:
        sentences.append(_named(leading))
    verdicts: dict[CheckName, Status] = {}
    for check in _ALONE:
        statuses = [Status(status) for name, status in kinds if name == check]
        if any(status is not Status.SKIPPED for status in statuses):
            verdicts[check] = worst(statuses)
    for status in (Status.CRITICAL, Status.WARNING, Status.UNKNOWN):
        labels = [_ALONE[check] for check, verdict in verdicts.items() if verdict is status]
        if labels:
            sentences.append(f"{status.capitalize()}: {', '.join(labels)}.")
    fine = [check for check, verdict in verdicts.items() if verdict is Status.OK]
    if fine:
        labels = [_ALONE[check] for check in fine]
        verb = "is" if len(fine) == 1 and fine[0] not in _PLURAL else "are"
        sentences.append(f"{_capital(', '.join(labels))} {verb} fine.")
    return " ".join(sentences + _notes(kinds)) or "Nothing was checked."


def _caused(leading: Sequence[Told], tally: Tally, rows: Sequence[Row], found: Causes) -> Steps[str]:
    """Return the beginning of the sentence on the Resources, or a sentence of its own before it.

    Only one cause that explains all that fails may stand before the number of what fails.
    """
    if len(leading) == 1 and tally.failing:
        unexplained: list[Row] = []
        for batch in batches(rows):
            unexplained += [row for row in batch if row["id"] not in found.by]
            yield
        others = yield from _tally_steps(unexplained, 0)
        if not others.failing:
            return f"{leading[0].label}:"
    return _named(leading, tally.total)


def _named(leading: Sequence[Told], total: int = 0) -> str:
    """Name the first few causes, each with how many Resources it explains."""
    words = [told.label + _hit(told.cause["resources"], total) for told in leading[:MOST_NAMED]]
    rest = len(leading) - len(words)
    return f"{listed([*words, count(rest, 'more cause')] if rest else words)}."


def _hit(number: int, total: int) -> str:
    if not number:
        return ""
    return f" ({number} of {count(total, 'Resource')})" if total >= number else f" ({count(number, 'Resource')})"


def _resources(tally: Tally, *, ports: bool) -> str:
    total = tally.total
    if not total:
        return "No Resource is configured."
    word = "Resource" if total == 1 else "Resources"
    rest = []
    if tally.warned:
        rest.append(f"{tally.warned} of them with a warning")
    if tally.undecided:
        rest.append(f"{tally.undecided} reached no verdict")
    if tally.cut_off:
        rest.append(f"{tally.cut_off} cut off by another failure")
    if tally.not_probed:
        rest.append(f"{tally.not_probed} not probed")
    answer = "answer" if ports else "resolve"
    if tally.failing:
        kinds = [
            f"{number} {_EVENT_WORDS[event][number != 1]}"
            for event, number in (
                (Event.DNS_LOOKUP_ERROR, tally.dns_lookup_error),
                (Event.UNABLE_TO_CONNECT, tally.unable_to_connect),
            )
            if number
        ]
        first = f"{tally.failing} of {total} {word} would fail now: {', '.join(kinds)}"
        rest = [r for r in rest if "warning" not in r]
    elif tally.answering == total:
        first = f"The Resource {answer}s" if total == 1 else f"All {total} Resources {answer}"
    elif tally.answering:
        first = f"{tally.answering} of {total} {word} {answer}"
    else:
        first = f"None of {total} {word} was judged"
    return "; ".join([first, *rest]) + "."


def _notes(kinds: Mapping[tuple[str, str], int]) -> list[str]:
    notes = []
    worse = (Status.WARNING, Status.CRITICAL)
    if any(kinds.get((CheckName.PROVIDER, status)) for status in worse):
        notes.append("Twingate's status page reports an incident.")
    findings = sum(kinds.get((CheckName.DEFINITION, status), 0) for status in worse)
    if findings:
        notes.append(f"{findings} finding{'s' if findings > 1 else ''} on definitions.")
    return notes


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
