"""What the makers of metric families share: names with our prefix, and typed reading of an outcome's facts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from checks.model import CheckName, Json, Outcome, Reason, Status
from daemon.metrics.exposition import Family, Kind
from daemon.metrics.resource_states import ResourceState, row_state
from daemon.slices import Steps, batches
from daemon.state import TargetState
from daemon.view import SECOND_SEAT, View

PREFIX = "connector_health_"
_DNS, _TCP = CheckName.DNS, CheckName.TCP
DISAGREEMENT = frozenset({Reason.RESOLVERS_DISAGREE, Reason.REBIND_PROTECTED})


def gauge(name: str, text: str) -> Family:
    """Make a gauge."""
    return Family(PREFIX + name, Kind.GAUGE, text)


def counter(name: str, text: str) -> Family:
    """Make a counter; its samples end in `_total`."""
    return Family(PREFIX + name, Kind.COUNTER, text)


def histogram(name: str, text: str) -> Family:
    """Make a histogram."""
    return Family(PREFIX + name, Kind.HISTOGRAM, text)


def info(name: str, text: str) -> Family:
    """Make an info family; its samples end in `_info` and are always 1."""
    return Family((PREFIX + name).rstrip("_"), Kind.INFO, text)


@dataclass(frozen=True, slots=True)
class Moment:
    """A view, and what one look at each of its rows has shown, because there may be tens of thousands.

    - `rows`: those whose verdict may be shown, by check and id; `states`: what every row says of its Resources.
    - `dissent`: for each nameserver, on how many names it has no address while another one has.

    The board goes on while a moment is made and read: a row is as it was when the look began, or is left out.
    """

    view: View
    rows: Mapping[CheckName, dict[str, TargetState]]
    states: Mapping[str, ResourceState]
    dissent: Mapping[str, int]

    def of(self, check: CheckName) -> list[TargetState]:
        """Return the rows of a check from the first seat (another would put two truths under one name), in order."""
        return [row for row_id, row in sorted(self.rows[check].items()) if not row_id.endswith(SECOND_SEAT)]


def moment_steps(view: View) -> Steps[Moment]:
    """Look once at every row of a view."""
    rows: dict[CheckName, dict[str, TargetState]] = {check: {} for check in CheckName}
    states: dict[str, ResourceState] = {}
    dissent: Counter[str] = Counter()
    present, state_of = view.board.presence(), view.state_of
    dns, tcp = rows[_DNS], rows[_TCP]  # nearly all rows: to look up a member of an enumeration takes long
    for batch in batches(list(view.board.rows.values())):
        for row in batch:
            row_id, result, shown = row.id, row.result, present(row)
            states[row_id] = row_state(row, state_of, present=shown)
            if not shown:
                continue
            check = result.check
            if check is _TCP:
                tcp[row_id] = row
            elif check is not _DNS:
                rows[check][row_id] = row
            else:
                dns[row_id] = row
                if result.outcome.reason in DISAGREEMENT and not result.second:
                    dissent.update(_dissenting(result.outcome))
        yield
    return Moment(view, rows, states, dissent)


def _dissenting(outcome: Outcome) -> list[str]:
    matrix = outcome.facts.get("matrix")
    if not isinstance(matrix, Mapping):
        return []
    return [ns for ns, cell in matrix.items() if isinstance(cell, Mapping) and cell.get("class") != "address"]


def succeeded(outcome: Outcome) -> bool:
    """Tell whether the target did what was asked of it: only then its durations are shown."""
    return outcome.status in (Status.OK, Status.WARNING)


def flag(outcome: Outcome, key: str) -> bool | None:
    """Return a fact that is true or false; None when it was not found out."""
    value = outcome.facts.get(key)
    return value if isinstance(value, bool) else None


def size(value: Json) -> int:
    """Return how many a fact lists; 0 when it is not there."""
    return len(value) if isinstance(value, (tuple, list, dict)) else 0


def entries(outcome: Outcome, key: str, limit: int) -> list[Mapping[str, Json]]:
    """Return a fact that lists mappings, the first `limit` of them: facts may be learned from outside."""
    value = outcome.facts.get(key)
    if not isinstance(value, Sequence) or isinstance(value, str):
        return []
    return [entry for entry in value[:limit] if isinstance(entry, Mapping)]


def real(value: Json) -> float | None:
    """Return a number as it is; None for anything else."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
