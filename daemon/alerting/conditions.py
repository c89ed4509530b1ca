"""What holds now and could be an alert: every cause that no other cause explains, and what is no cause.

Nothing here remembers: whether it has lasted long enough, and whether it is over, is decided in the book.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from daemon.alert import LABELS, AlertKey
from daemon.alerting.ending import is_over
from daemon.alerting.excused import Excused
from daemon.alerting.own import own_conditions
from daemon.alerting.severity import RANK
from daemon.alerting.words import Words, words_of
from daemon.causes import Cause, CauseSeverity, Diagnosis
from daemon.slices import BATCH, Steps, at_once, batches
from daemon.view import View

MAX_HELD = 1000  # of each name: 200 are shown, the rest waits for a place; 20,000 each second would hold up the loop
Identity = tuple[str, tuple[str, str, str, str, str]]
"""Name and labels of an alert: of all its severities only one may be active."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that holds now. `key` is the alert's; `severity` the same but for shadow mode, where the key's is none.

    - `rows`: ids of the rows that show it: only they can tell that it is over. None: it is about this daemon itself.
    - `causes`: those behind it, the worst first; none where it is no cause, and then `own` says what it is.
    - `flap`: the largest flap value (percent) of its rows that flap; None when none does.
    """

    key: AlertKey
    severity: CauseSeverity
    rows: tuple[str, ...] = ()
    causes: tuple[Cause, ...] = ()
    own: Words | None = None
    flap: float | None = None

    @property
    def cause(self) -> str | None:
        """The id of the (worst) cause behind it."""
        return self.causes[0].id if self.causes else None

    @property
    def words(self) -> Words:
        """What its alert says. Made when asked for: of 20,000 conditions 200 are shown."""
        return self.own or words_of(self.causes, self.flap)


@dataclass(frozen=True, slots=True)
class Found:
    """What holds now, by the key of its alert, and by name how many more causes do beyond MAX_HELD."""

    holding: Mapping[AlertKey, Condition]
    beyond: Mapping[str, int]


def conditions(view: View) -> Mapping[AlertKey, Condition]:
    """Return what holds now, by the key of its alert."""
    return find(view).holding


def find(view: View, followed: AbstractSet[str] = frozenset()) -> Found:
    """Return what holds now. Causes that share name and labels share one condition, the worst first.

    `followed`: ids of the causes that are followed already: they never make room for others.
    """
    return at_once(find_steps(view, followed))


def find_steps(view: View, followed: AbstractSet[str]) -> Steps[Found]:
    """Do the same in steps: of 20,000 failures each may be its own cause."""
    shadow = view.config.alerting.mode == "shadow"
    causes_of, beyond = yield from _to_tell(view, followed)
    flapping: dict[str, float] = {}
    if causes_of:
        for some in batches(list(view.board.rows.values())):
            flapping.update((row.id, row.held.flap) for row in some if row.flapping)
            yield
    holding: dict[AlertKey, Condition] = {}
    for batch in batches(list(causes_of.items())):
        for (name, values), causes in batch:
            causes.sort(key=lambda cause: -RANK[cause.severity])
            severity = causes[0].severity
            key = AlertKey(name, "none" if shadow else severity, values)
            rows = _shown_by(causes[0])
            if len(causes) > 1:
                rows = tuple(dict.fromkeys(row for cause in causes for row in _shown_by(cause)))
            flap = max((flapping[row] for row in rows if row in flapping), default=None) if flapping else None
            holding[key] = Condition(key=key, severity=severity, rows=rows, causes=tuple(causes), flap=flap)
        yield
    for own in own_conditions(view):
        key = AlertKey(own.name, "none" if shadow else own.severity, _values(own.labels))
        holding[key] = Condition(key=key, severity=own.severity, rows=own.rows, own=own.words)
    return Found(holding, beyond)


def still_flapping(condition: Condition, flap: float) -> Condition:
    """Return a condition that is held to hold because a row of it flaps, though it is just ok."""
    return condition if condition.flap == flap else replace(condition, flap=flap)


def _shown_by(cause: Cause) -> tuple[str, ...]:
    """Return the rows that show a cause: where it has none of its own, those that it was inferred from."""
    return cause.evidence or cause.explains


def _values(labels: Mapping[str, str]) -> tuple[str, str, str, str, str]:
    resource, address, port, nameserver, endpoint = (labels.get(name, "") for name in LABELS)
    return resource, address, port, nameserver, endpoint


def _to_tell(view: View, followed: AbstractSet[str]) -> Steps[tuple[dict[Identity, list[Cause]], Mapping[str, int]]]:
    """Return the causes that no other explains, and that are not excused by an announced maintenance, by identity."""
    diagnosis, excused = view.diagnosis, Excused(view)
    explained, possible, rows = diagnosis.explained.keys(), excused.possible, view.board.rows
    by_id: dict[str, Cause] | None = None
    found: dict[Identity, list[Cause]] = {}
    counted: dict[str, int] = {}
    unseen = set(followed)  # once all of them were met nobody has to be asked any more for its name
    beyond: dict[str, int] = {}
    for place, cause in enumerate(diagnosis.causes):
        if place % BATCH == 0:
            yield
        name = cause.alert
        if name is None or (cause.ending and is_over(cause, rows)):
            continue
        evidence = cause.evidence
        if possible and excused.covers(evidence, cause.explains):
            continue
        if not explained.isdisjoint(evidence) and _by_others(cause, diagnosis):  # hardly ever: then look closer
            by_id = by_id or {c.id: c for c in diagnosis.causes}
            if _is_explained(cause, by_id, diagnosis):
                continue
        count = counted.get(name, 0)
        if count >= MAX_HELD and (not unseen or cause.id not in unseen):
            beyond[name] = beyond.get(name, 0) + 1
            continue
        counted[name] = count + 1
        unseen.discard(cause.id)
        found.setdefault((name, _values(cause.labels)), []).append(cause)
    return found, beyond


def _by_others(cause: Cause, diagnosis: Diagnosis) -> bool:
    """Tell whether all its evidence is explained by others; what shows an inferred cause is explained by itself."""
    own = cause.id
    return all(diagnosis.explained.get(row, own) != own for row in cause.evidence)


def _is_explained(cause: Cause, by_id: Mapping[str, Cause], diagnosis: Diagnosis) -> bool:
    """Tell whether another cause explains this one: one that stands by itself, directly or by others in between.

    Causes that only explain each other explain nothing: each of them is told.
    """
    seen, waiting = {cause.id}, list(_explaining(cause, by_id, diagnosis))
    while waiting:
        other = waiting.pop()
        if other in seen:
            continue
        seen.add(other)
        further = _explaining(by_id[other], by_id, diagnosis)
        if not further:
            return True
        waiting += further
    return False


def _explaining(cause: Cause, by_id: Mapping[str, Cause], diagnosis: Diagnosis) -> set[str]:
    """Return the ids of the other causes that explain all the evidence of this one; none when some of it is not."""
    found: set[str] = set()
    for row in cause.evidence:
        other = diagnosis.explained.get(row)
        if other is None or other == cause.id or other not in by_id:
            return set()
        found.add(other)
    return found
