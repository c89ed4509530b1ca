"""What is known of each Resource, as far as `metrics.detail` and `metrics.max_series` allow."""

from collections.abc import Sequence
from typing import TypeAlias

from checks.model import CheckName, Event, Outcome, Status
from checks.tcp_verdict import UpAtOne
from daemon.jobs import Job
from daemon.metrics.exposition import Family, block, number
from daemon.metrics.families import PREFIX, Moment, gauge, info, size, succeeded
from daemon.metrics.resource_labels import Labels, label_steps
from daemon.metrics.resource_states import ResourceState, count_steps
from daemon.slices import Steps, batches
from daemon.state import State, TargetState

AUTO_ALL = 2000  # names and ports up to which `detail: auto` shows all of them
INFO_SHARE = 2  # half of the budget at most goes to resource_info

_UNSETTLED = frozenset({State.PENDING, State.FAILING, State.RECOVERING})
_DNS, _OK, _NO_EVENT = CheckName.DNS, Status.OK, Event.NONE  # compared for each row: by their names it takes longer

_FAMILIES = {
    "resource_dns_up": "1 if this name resolves here.",
    "resource_dns_seconds": "How long the last successful look-up of this name took.",
    "resource_tcp_up": "1 if an address of this Resource accepts connections on this port.",
    "resource_tcp_seconds": "How long the last successful connection took to open.",
    "resource_addresses": "How many addresses behind the name accept and how many do not; only while both occur.",
    "resource_predicted_event": "1 for what the Connector would log for a user now; only while that is a failure.",
}
DNS_UP, DNS_SECONDS, TCP_UP, TCP_SECONDS, ADDRESSES, EVENT = (PREFIX + name for name in _FAMILIES)

Shown: TypeAlias = tuple[Job, tuple[str, ...], TargetState]
"""A row that has something to show, with the blocks of labels of its series."""
Figures: TypeAlias = tuple[bool, float | None, int, int, Event | None]
"""What one row shows: up, seconds, addresses that accept and that do not where both occur (else 0), failure predicted.

A plain tuple: one is made for each row and scrape.
"""


def summary_steps(moment: Moment) -> Steps[Family]:
    """Return how many Resources are in each state, whatever `detail` says."""
    family = gauge("resources", "Resources by state; each is counted once, under the first state that applies.")
    counted = yield from count_steps(moment.view, moment.states)
    for state in ResourceState:
        family.add(counted[state], block((("state", state),)))
    return family


class ResourceMetrics:
    """Makes the families of single Resources. Between scrapes it keeps labels only: finished lines would be memory."""

    def __init__(self) -> None:
        self._labels: Labels | None = None

    def steps(self, moment: Moment, budget: int) -> Steps[tuple[list[Family], int, int]]:
        """Return the families, how many series they have, at most `budget`, and how many that left out.

        What identifies Resources comes first, in the order of the configuration and up to half of the budget: it must
        not come and go with verdicts. Then names and ports, all series of one together: those that are not plainly ok
        before the others, each in the order of the configuration. From the first that finds no room on, none is shown.
        """
        about = info("resource", "The Resources as configured, with their own labels. Join it to any resource metric.")
        labels = self._labels
        if labels is None or labels.plan is not moment.view.plan:
            labels = self._labels = yield from label_steps(moment.view.plan)
        detail = _detail(moment, labels)
        if detail == "none":
            return [about], 0, 0
        named = min(len(labels.info), budget // INFO_SHARE)
        for lines in batches(labels.info[:named]):
            about.lines.append("".join(lines))
            yield
        writer = _Writer(budget - named)
        shown = yield from _shown(moment, labels, detail, budget - named)
        for batch in batches(shown):
            writer.add(batch)
            yield
        return [about, *writer.families.values()], named + writer.written, len(labels.info) - named + writer.dropped


class _Writer:
    """Writes rows while there is room."""

    def __init__(self, budget: int) -> None:
        self.families = {name: gauge(name, text) for name, text in _FAMILIES.items()}
        self.written = self.dropped = 0
        self._budget = budget

    def add(self, rows: Sequence[Shown]) -> None:
        """Write some rows, or count their series once there is no more room."""
        found: list[list[str]] = [[] for _ in _FAMILIES]
        dns_up, dns_seconds, tcp_up, tcp_seconds, addresses, events = found
        for job, blocks, row in rows:
            outcome = row.result.outcome
            name = job.check is _DNS
            up, seconds, good, bad, event = _of_name(outcome) if name else _of_port(outcome)
            count = len(blocks) * (1 + (seconds is not None) + (2 if good else 0) + (event is not None))
            if count > self._budget:
                self._budget = -1  # from here on nothing fits, so that what is left out is always the end
                self.dropped += count
                continue
            self._budget -= count
            self.written += count
            ups, times, up_name, seconds_name = (
                (dns_up, dns_seconds, DNS_UP, DNS_SECONDS) if name else (tcp_up, tcp_seconds, TCP_UP, TCP_SECONDS)
            )
            for labels in blocks:
                ups.append(f"{up_name}{labels}}} 1\n" if up else f"{up_name}{labels}}} 0\n")
                if seconds is not None:
                    times.append(f"{seconds_name}{labels}}} {number(seconds)}\n")
                if event is not None:
                    port = ',port=""' if name else ""
                    events.append(f'{EVENT}{labels}{port},event="{event}"}} 1\n')
            if good:
                addresses += [f'{ADDRESSES}{labels},state="up"}} {good}\n' for labels in blocks]
                addresses += [f'{ADDRESSES}{labels},state="down"}} {bad}\n' for labels in blocks]
        for family, lines in zip(self.families.values(), found, strict=True):
            if lines:
                family.lines.append("".join(lines))


def _of_name(outcome: Outcome) -> Figures:
    """Read what a name's outcome shows; a failure that is only shown as a warning is one."""
    up = outcome.status is _OK or (succeeded(outcome) and "only_learned" not in outcome.facts)
    return up, outcome.measurements.get("lookup_seconds") if up else None, 0, 0, _failure(outcome)


def _of_port(outcome: Outcome) -> Figures:
    """Read what a port's outcome shows.

    Not its status: `expect: down` is ok when nothing accepts, `addresses: all` is critical when some do.
    """
    story = outcome.story
    if type(story) is UpAtOne:  # nearly all of them: its facts would be made to be thrown away
        return True, story.seconds, 0, 0, None
    facts = outcome.facts
    good, bad = size(facts.get("accepted")), size(facts.get("failed"))
    if not good:
        return False, None, 0, 0, _failure(outcome)
    return True, outcome.measurements.get("connect_seconds"), good if bad else 0, bad, _failure(outcome)


def _failure(outcome: Outcome) -> Event | None:
    return None if outcome.event is _NO_EVENT else outcome.event


def _shown(moment: Moment, labels: Labels, detail: str, budget: int) -> Steps[list[Shown]]:
    """Return the rows that have something to show, the most important first where not all may find room."""
    of_name, of_port = moment.rows[_DNS].get, moment.rows[CheckName.TCP].get
    found: list[Shown] = []
    for batch in batches(labels.jobs):
        for job, made in batch:
            row = of_name(job.id) if job.check is _DNS else of_port(job.id)
            if row is not None:
                found.append((job, made, row))
        yield
    if detail != "failing" and len(found) * 2 <= budget:  # two series are usual, and who has more comes first below
        return found
    notable: list[Shown] = []
    others: list[Shown] = []
    for rest in batches(found):
        for one in rest:
            (notable if _notable(one[2]) else others).append(one)
        yield
    return notable if detail == "failing" else notable + others


def _detail(moment: Moment, labels: Labels) -> str:
    """Return what `metrics.detail` means for this plan: all, failing or none."""
    wanted = moment.view.config.metrics.detail
    if wanted != "auto":
        return wanted
    return "all" if labels.targets <= AUTO_ALL else "failing"


def _notable(row: TargetState) -> bool:
    """Tell whether a row is shown with `detail: failing`: it is not ok, or not yet held to be ok again."""
    return row.result.outcome.status is not _OK or row.state in _UNSETTLED
