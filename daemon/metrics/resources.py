"""What is known of each Resource, as far as `metrics.detail` and `metrics.max_series` allow."""

import re
from collections.abc import Iterable
from typing import cast

from checks.model import CheckName, Event, Status
from checks.names import NameSpec
from checks.tcp import TcpSpec
from daemon.config.schema import Resource
from daemon.jobs import Job
from daemon.metrics.exposition import Family, block, number
from daemon.metrics.families import PREFIX, Moment, gauge, info, size, succeeded
from daemon.metrics.resource_states import ResourceState, count_states
from daemon.plan import Plan
from daemon.state import State, TargetState
from daemon.view import SECOND_SEAT, View

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
DNS_UP, DNS_SECONDS, TCP_UP, TCP_SECONDS, ADDRESSES, EVENT = (PREFIX + name for name in _FAMILIES)

Bundle = tuple[TargetState, str, str, str, str, int]
"""The finished lines of one row: up, seconds, addresses, predicted event (each may be empty), and how many in all.

They are kept for as long as the row's state is the very same object. A plain tuple: making it is what costs.
"""


def summary_family(moment: Moment) -> Family:
    """Return how many Resources are in each state, whatever `detail` says."""
    family = gauge("resources", "Resources by state; each is counted once, under the first state that applies.")
    dns, tcp = moment.rows[CheckName.DNS], moment.rows[CheckName.TCP]
    counted = count_states(moment.view, lambda row: row.id in dns or row.id in tcp)
    for state in ResourceState:
        family.add(counted[state], block((("state", state),)))
    return family


class ResourceMetrics:
    """Makes the families of single Resources; keeps one plan's label blocks, which would be most of the work."""

    def __init__(self) -> None:
        self._plan: Plan | None = None
        self._jobs: list[Job] = []
        self._blocks: dict[str, tuple[str, ...]] = {}
        self._bundles: dict[str, Bundle] = {}
        self._info: list[str] = []

    def families(self, moment: Moment, budget: int) -> tuple[list[Family], int]:
        """Return the families, with at most `budget` series in all, and how many series that left out.

        What identifies Resources comes first, in the order of the configuration and up to half of the budget: it must
        not come and go with verdicts. Then names and ports, all series of one together: those that are not plainly ok
        before the others, each in the order of the configuration. From the first that finds no room on, none is shown.
        """
        if moment.view.plan is not self._plan:
            self._prepare(moment.view.plan)
        about = info("resource", "The Resources as configured, with their own labels. Join it to any resource metric.")
        detail = _detail(moment.view)
        if detail == "none":
            return [about], 0
        about.lines = self._info[: budget // INFO_SHARE]
        dropped = len(self._info) - len(about.lines)
        budget -= len(about.lines)
        families = {name: gauge(name, text) for name, text in _FAMILIES.items()}
        lines = {name: family.lines for name, family in families.items()}
        to = {
            CheckName.DNS: (lines["resource_dns_up"], lines["resource_dns_seconds"]),
            CheckName.TCP: (lines["resource_tcp_up"], lines["resource_tcp_seconds"]),
        }
        addresses, events, kept = lines["resource_addresses"], lines["resource_predicted_event"], self._bundles
        for job, row in self._shown(moment, detail, budget):
            bundle = kept.get(row.id)
            if bundle is None or bundle[0] is not row:
                bundle = kept[row.id] = self._bundle(job, row)
            _, up, seconds, some, event, count = bundle
            if count > budget:
                budget = -1  # from here on nothing fits, so that what is left out is always the end
                dropped += count
                continue
            budget -= count
            ups, times = to[job.check]
            ups.append(up)
            if seconds:
                times.append(seconds)
            if some:
                addresses.append(some)
            if event:
                events.append(event)
        return [about, *families.values()], dropped

    def _prepare(self, plan: Plan) -> None:
        self._plan = plan
        self._jobs = [
            job
            for job in plan.jobs
            if job.check in RESOURCE_CHECKS and job.fixed is None and not job.id.endswith(SECOND_SEAT)
        ]
        self._blocks, self._bundles = {}, {}
        name = PREFIX + "resource_info"
        self._info = [f"{name}{_identity(resource)} 1\n" for resource in plan.resources]

    def _shown(self, moment: Moment, detail: str, budget: int) -> Iterable[tuple[Job, TargetState]]:
        """Return the rows that have something to show, the most important first where not all may find room."""
        rows = moment.rows
        found = [(job, row) for job in self._jobs if (row := rows[job.check].get(job.id)) is not None]
        if detail == "failing":
            return [pair for pair in found if _notable(pair[1])]
        if len(found) * 2 <= budget:  # two series are usual, and who has more comes first below
            return found
        return sorted(found, key=lambda pair: not _notable(pair[1]))

    def _bundle(self, job: Job, row: TargetState) -> Bundle:
        blocks = self._blocks.get(job.id)
        if blocks is None:
            blocks = self._blocks[job.id] = _blocks(job)
        outcome = row.result.outcome
        some = event = ""
        count = len(blocks)
        if job.check is CheckName.DNS:
            up = succeeded(outcome) and "only_learned" not in outcome.facts  # a failure that is only shown as a warning
            key, up_name, seconds_name, port = "lookup_seconds", DNS_UP, DNS_SECONDS, ',port=""'
        else:
            # Not the status: `expect: down` is ok when nothing accepts, `addresses: all` is critical when some do.
            good, bad = size(outcome.facts.get("accepted")), size(outcome.facts.get("failed"))
            up, key, up_name, seconds_name, port = good > 0, "connect_seconds", TCP_UP, TCP_SECONDS, ""
            if good and bad:
                some = _each(ADDRESSES, blocks, f',state="up"}} {good}\n') + _each(
                    ADDRESSES, blocks, f',state="down"}} {bad}\n'
                )
                count += 2 * len(blocks)
        taken = outcome.measurements.get(key) if up else None
        seconds = ""
        if taken is not None:
            seconds = _each(seconds_name, blocks, f"}} {number(taken)}\n")
            count += len(blocks)
        if outcome.event in _FAILURES:
            event = _each(EVENT, blocks, f'{port},event="{outcome.event}"}} 1\n')
            count += len(blocks)
        return row, _each(up_name, blocks, "} 1\n" if up else "} 0\n"), seconds, some, event, count


def _each(name: str, blocks: tuple[str, ...], end: str) -> str:
    """Write one line for each Resource behind a row."""
    if len(blocks) == 1:
        return name + blocks[0] + end
    return "".join([name + labels + end for labels in blocks])


def _detail(view: View) -> str:
    """Return what `metrics.detail` means for this plan: all, failing or none."""
    wanted = view.config.metrics.detail
    if wanted != "auto":
        return wanted
    return "all" if sum(job.check in RESOURCE_CHECKS for job in view.plan.jobs) <= AUTO_ALL else "failing"


def _notable(row: TargetState) -> bool:
    """Tell whether a row is shown with `detail: failing`: it is not ok, or not yet held to be ok again."""
    return row.state in _UNSETTLED or row.result.outcome.status is not Status.OK


def _blocks(job: Job) -> tuple[str, ...]:
    """Return the labels of one row, without the closing brace: one block for each Resource behind it."""
    if job.check is CheckName.DNS:
        rest = [("address", cast("NameSpec", job.spec).name)]
    else:
        spec = cast("TcpSpec", job.spec)
        rest = [("address", spec.address), ("port", str(spec.port))]
    return tuple(block((("resource", name), *rest)).removesuffix("}") for name in job.resources)


def _identity(resource: Resource) -> str:
    """Return the labels of resource_info; one of the user's that could not be written, or is ours, is left out."""
    own = {"resource": resource.name, "address": resource.address}
    others = {k: v for k, v in sorted(resource.labels.items()) if k not in own and _LABEL_NAME.fullmatch(k)}
    return block((own | others).items())
