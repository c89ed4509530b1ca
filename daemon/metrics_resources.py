"""What is known of each Resource, as far as `metrics.detail` and `metrics.max_series` allow."""

import re
from collections.abc import Iterator
from typing import cast

from checks.model import CheckName, Event, Status
from checks.names import NameSpec
from checks.tcp import TcpSpec
from daemon.board import Board
from daemon.config.schema import Resource
from daemon.exposition import Family, block, number
from daemon.jobs import Job
from daemon.metrics_families import PREFIX, SECOND_SEAT, gauge, info, size, succeeded
from daemon.plan import Plan
from daemon.resource_states import ResourceState, count_states
from daemon.state import State, TargetState
from daemon.view import View

AUTO_ALL = 2000  # names and ports up to which `detail: auto` shows all of them
INFO_SHARE = 2  # half of the budget at most goes to resource_info
RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})

_LABEL_NAME = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_UNSETTLED = frozenset({State.PENDING, State.FAILING, State.RECOVERING})
_FAILURES = frozenset({Event.DNS_LOOKUP_ERROR, Event.UNABLE_TO_CONNECT})

_FAMILIES = {
    "resource_dns_up": "1 if this name resolves here.",
    "resource_dns_seconds": "How long the last successful look-up of this name took.",
    "resource_tcp_up": "1 if an address of this Resource accepts connections on this port.",
    "resource_tcp_seconds": "How long the last successful connection took to open.",
    "resource_addresses": "How many addresses behind the name accept and how many do not; only while both occur.",
    "resource_predicted_event": "1 for what the Connector would log for a user now; only while that is a failure.",
}
_NAMES = {name: PREFIX + name for name in _FAMILIES}  # looked up once here, not once for each series

Lines = list[tuple[str, str]]
"""Family and finished line, of each series of one row."""


def summary_family(view: View) -> Family:
    """Return how many Resources are in each state, whatever `detail` says."""
    family = gauge("resources", "Resources by state; each is counted once, under the first state that applies.")
    counted = count_states(view)
    for state in ResourceState:
        family.add(counted[state], block((("state", state),)))
    return family


class ResourceMetrics:
    """Makes the families of single Resources; keeps one plan's label blocks, which would be most of the work."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._jobs: list[Job] = []
        self._blocks: dict[str, tuple[str, ...]] = {}
        self._info: list[str] = []

    def families(self, view: View, budget: int) -> tuple[list[Family], int]:
        """Return the families, with at most `budget` series in all, and how many series that left out.

        What identifies Resources comes first, in the order of the configuration and up to half of the budget: it must
        not come and go with verdicts. Then names and ports, all series of one together: those that are not plainly ok
        before the others, each in the order of the configuration. From the first that finds no room on, none is shown.
        """
        if view.plan is not self._plan:
            self._prepare(view.plan)
        detail = self.detail(view)
        about = info("resource", "The Resources as configured, with their own labels. Join it to any resource metric.")
        if detail == "none":
            return [about], 0
        about.lines = self._info[: budget // INFO_SHARE]
        dropped = len(self._info) - len(about.lines)
        budget -= len(about.lines)
        families = {name: gauge(name, text) for name, text in _FAMILIES.items()}
        add = {name: family.lines.append for name, family in families.items()}
        for job, row in self._shown(view.board, detail, budget):
            lines = self._lines(job, row)
            if len(lines) > budget:
                budget = -1
                dropped += len(lines)
                continue
            budget -= len(lines)
            for name, line in lines:
                add[name](line)
        return [about, *families.values()], dropped

    def detail(self, view: View) -> str:
        """Return what `metrics.detail` means for this plan: all, failing or none."""
        wanted = view.config.metrics.detail
        if wanted != "auto":
            return wanted
        return "all" if sum(job.check in RESOURCE_CHECKS for job in view.plan.jobs) <= AUTO_ALL else "failing"

    def _prepare(self, plan: Plan) -> None:
        self._plan = plan
        self._jobs = [
            job
            for job in plan.jobs
            if job.check in RESOURCE_CHECKS and job.fixed is None and not job.id.endswith(SECOND_SEAT)
        ]
        self._blocks = {}
        name = PREFIX + "resource_info"
        self._info = [f"{name}{_identity(resource)} 1\n" for resource in plan.resources]

    def _shown(self, board: Board, detail: str, budget: int) -> Iterator[tuple[Job, TargetState]]:
        """Yield the rows that have something to show, the most important first where not all may find room."""
        rows, present = board.rows, board.present
        found = ((job, row) for job in self._jobs if (row := rows.get(job.id)) is not None and present(row))
        if detail == "failing":
            yield from ((job, row) for job, row in found if _notable(row))
        elif len(self._jobs) * 2 <= budget:
            yield from found
        else:
            yield from sorted(found, key=lambda pair: not _notable(pair[1]))

    def _lines(self, job: Job, row: TargetState) -> Lines:
        blocks = self._blocks.get(job.id)
        if blocks is None:
            blocks = self._blocks[job.id] = _blocks(job)
        outcome = row.result.outcome
        if job.check is CheckName.DNS:
            up, good, seconds = succeeded(outcome), None, outcome.measurements.get("lookup_seconds")
            up_name, seconds_name = "resource_dns_up", "resource_dns_seconds"
        else:
            good, seconds = size(outcome, "accepted"), outcome.measurements.get("connect_seconds")
            up = bool(
                good
            )  # not the status: `expect: down` is ok when nothing accepts, `addresses: all` critical when some do
            up_name, seconds_name = "resource_tcp_up", "resource_tcp_seconds"
        written = " 1\n" if up else " 0\n"
        lines = [(up_name, _NAMES[up_name] + labels + "}" + written) for labels in blocks]
        if up and seconds is not None:
            written = "} " + number(seconds) + "\n"
            lines += [(seconds_name, _NAMES[seconds_name] + labels + written) for labels in blocks]
        if good and (bad := size(outcome, "failed")):
            name = "resource_addresses"
            for state, count in (("up", good), ("down", bad)):
                lines += [(name, f'{_NAMES[name]}{labels},state="{state}"}} {count}\n') for labels in blocks]
        if outcome.event in _FAILURES:
            name = "resource_predicted_event"
            port = ',port=""' if job.check is CheckName.DNS else ""
            lines += [(name, f'{_NAMES[name]}{labels}{port},event="{outcome.event}"}} 1\n') for labels in blocks]
        return lines


def _notable(row: TargetState) -> bool:
    """Tell whether a row is shown with `detail: failing`: it is not ok, or not yet held to be ok again."""
    return row.state in _UNSETTLED or row.result.outcome.status is not Status.OK


def _blocks(job: Job) -> tuple[str, ...]:
    """Return the labels of one row, without the closing brace: one block for each Resource behind it."""
    if job.check is CheckName.DNS:
        rest = (("address", cast("NameSpec", job.spec).name),)
    else:
        spec = cast("TcpSpec", job.spec)
        rest = (("address", spec.address), ("port", str(spec.port)))
    return tuple(block((("resource", name), *rest)).removesuffix("}") for name in job.resources)


def _identity(resource: Resource) -> str:
    """Return the labels of resource_info; one of the user's that could not be written, or is ours, is left out."""
    own = {"resource": resource.name, "address": resource.address}
    others = {k: v for k, v in sorted(resource.labels.items()) if k not in own and _LABEL_NAME.fullmatch(k)}
    return block((own | others).items())
