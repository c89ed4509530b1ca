"""The diagnosis under way: what still wants an explanation, what shows that something works, and what was found."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from checks.model import CheckName, Reason, Status
from checks.nexthop import NextHops
from daemon.causes import CauseSeverity, Domain
from daemon.diagnosis.catalogue import KINDS
from daemon.diagnosis.kind import Kind
from daemon.diagnosis.reading import Reading, matrix_of, texts
from daemon.diagnosis.scene import Scene
from daemon.jobs import SECOND_SEAT

BREATH = 250  # rows between two pauses: about a millisecond of work, so that nobody's loop is held
DEPTH = 4  # how far a row follows its parents: port → name → Connector, and one to spare
SEEN_FROM_HOST = "seen_from_host"  # the fact of a row that was looked at from two seats
_NOTEWORTHY = (CheckName.DNS, CheckName.TCP)  # of other checks each row is kept: there are few, and all may matter


@dataclass(slots=True, kw_only=True)
class Found:
    """A cause being made. `evidence` and `rows` are ordered sets of row ids; `values` fill the templates.

    - `severity` None: the worst of the Resources behind it. `domain` and `alert` are the kind's unless they are given.
    - `inferred`: it has no row of its own; its members together show it.
    - `kept`: it was held before, and goes on.
    """

    kind: Kind
    target: str
    values: dict[str, object] = field(default_factory=dict)
    severity: CauseSeverity | None = None
    labels: dict[str, str] = field(default_factory=dict)
    domain: Domain | None = None
    alert: str | None = None
    possible: tuple[str, ...] = ()
    inferred: bool = False
    kept: bool = False
    evidence: dict[str, None] = field(default_factory=dict)
    rows: dict[str, None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The id of the cause."""
        return f"{self.kind.code}:{self.target}"


class Case:
    """Rules take rows out of `open` and put causes into `found`.

    - `open`: readings that fail, or warn of what a rule knows, and are not explained yet; in the order of their ids.
    - `children`: rows that are not asked, by the row that tells why.
    - `ups`: addresses that lately said something. `accepting`: those of them that lately accepted a connection of a
      Resource; `working`: the ports at which any did.
    - `previous`: ids of the causes that were held last time. `covered`: addresses that a cause in the network explains.
    - `by_check`: all readings of the checks of which there are few, and the names that resolve.
    - `silent`, `names`, `blocked`, `compared`: what of `open` (as it was at first) is silent, a name, blocked by this
      host, or was looked at from two seats: rules need not go through all that is open for a few.
    - `disagreeing`: outcomes of names on which nameservers disagreed lately, by row id.
    """

    def __init__(
        self,
        scene: Scene,
        hops: NextHops,
        known: dict[str, Reading] | None = None,
        previous: AbstractSet[str] = frozenset(),
    ) -> None:
        self.scene = scene
        self.hops = hops
        self.previous = previous
        self.covered: dict[str, Found] = {}
        self.readings: dict[str, Reading] = {}
        self.open: dict[str, Reading] = {}
        self.children: dict[str, list[str]] = {}
        self.followers: dict[str, Reading] = {}
        self.ups: set[str] = set()
        self.accepting: set[str] = set()
        self.working: set[str] = set()
        self.by_check: dict[CheckName, list[Reading]] = {}
        self.resolving: set[str] = set()
        self.found: dict[str, Found] = {}
        self.explained: dict[str, str] = {}
        self.owner: dict[str, str] = {}
        self.silent: list[Reading] = []
        self.names: list[Reading] = []
        self.blocked: list[Reading] = []
        self.compared: list[Reading] = []
        self.disagreeing: dict[str, Reading] = {}
        self._known = {} if known is None else known

    def read(self) -> Iterator[None]:
        """Read every row; pause now and then."""
        scene, known = self.scene, self._known
        wanted: list[Reading] = []
        for count, row in enumerate(scene.rows.values()):
            if count % BREATH == 0:
                yield
            reading = known.get(row.id)
            if reading is None or reading.row is not row:
                if row.id.endswith(SECOND_SEAT):
                    continue
                reading = known[row.id] = Reading(row, scene.jobs.get(row.result.job))
            if self._sort(reading):
                wanted.append(reading)
        yield
        wanted.sort(key=_by_id)
        for count, reading in enumerate(wanted):
            if count % (4 * BREATH) == 0:
                yield
            self.open[reading.id] = reading
            self._note_traits(reading)
        for readings in self.by_check.values():
            readings.sort(key=_by_id)
        for children in self.children.values():
            children.sort()
        yield
        for gone in known.keys() - scene.rows.keys():
            del known[gone]

    def _note_traits(self, reading: Reading) -> None:
        if reading.silent:
            self.silent.append(reading)
        elif reading.check is CheckName.DNS:
            self.names.append(reading)
        elif reading.reason is Reason.BLOCKED_LOCALLY:
            self.blocked.append(reading)
        if SEEN_FROM_HOST in reading.outcome.facts:
            self.compared.append(reading)

    def left(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """Yield those readings that nothing explains yet."""
        for reading in readings:
            if reading.id in self.open:
                yield reading

    def _sort(self, reading: Reading) -> bool:
        """Put a reading where it belongs; tell whether a rule has to look at it."""
        check = reading.result.check
        if reading.parent is not None:
            self.children.setdefault(reading.parent, []).append(reading.id)
            self.followers[reading.id] = reading
            return False
        if check not in _NOTEWORTHY:
            self.by_check.setdefault(check, []).append(reading)
            self.readings[reading.id] = reading
            if reading.ups and (not reading.good or self.scene.fresh(reading.row)):
                self.ups.update(reading.ups)
            return reading.bad or reading.warns
        if reading.good:
            if self.scene.fresh(reading.row):
                self._note_good(reading, check)
        elif reading.ups:
            self.ups.update(reading.ups)
        if reading.bad:
            self.readings[reading.id] = reading
            return True
        return False

    def _note_good(self, reading: Reading, check: CheckName) -> None:
        if check is CheckName.DNS:
            if reading.outcome.facts.get("addresses") or reading.outcome.status is Status.OK:
                self.resolving.add(reading.result.target)
            if reading.warns and matrix_of(reading.outcome):
                self.disagreeing[reading.id] = reading
        elif reading.ups:
            self.ups.update(reading.ups)
            accepted = reading.outcome.facts.get("accepted")
            if accepted:
                self.accepting.update(texts(accepted))
                self.working.add(reading.result.target.rpartition(":")[2])

    def of(self, check: CheckName) -> list[Reading]:
        """Return the readings of a check of which there are few, in the order of their ids."""
        return self.by_check.get(check, [])

    def still_open(self, check: CheckName) -> list[Reading]:
        """Return the readings of a check that nothing explains yet."""
        return [reading for reading in self.of(check) if reading.id in self.open]

    def add(
        self,
        code: str,
        target: str,
        values: Mapping[str, object],
        *,
        evidence: Iterable[str] = (),
        rows: Iterable[str] = (),
        inferred: bool = False,
    ) -> Found:
        """Find a cause, or more of one that was found before: its rows want no other explanation any more."""
        found = self.found.get(f"{code}:{target}")
        if found is None:
            found = Found(kind=KINDS[code], target=target, inferred=inferred)
            self.found[found.id] = found
        found.values.update(values)
        for row_id in evidence:
            found.evidence[row_id] = None
            self.owner.setdefault(row_id, found.id)
            self.open.pop(row_id, None)
        self.explain(found, rows)
        return found

    def explain(self, found: Found, rows: Iterable[str]) -> None:
        """Let a cause explain rows that nothing explains yet."""
        for row_id in rows:
            if row_id not in self.explained and row_id not in found.evidence:
                self.explained[row_id] = found.id
                found.rows[row_id] = None
                self.open.pop(row_id, None)

    def holds(self, code: str) -> Iterator[Found]:
        """Yield what was found of a code so far, in the order of finding."""
        for found in tuple(self.found.values()):
            if found.kind.code == code:
                yield found

    def cover(self, found: Found, addresses: Iterable[str]) -> None:
        """Let a cause in the network stand for the silence of addresses; `claim_covered` gives it their rows."""
        for address in addresses:
            self.covered.setdefault(address, found)

    def claim_covered(self) -> Iterator[None]:
        """Explain each row of whose addresses all that failed are covered, by the cause that covers the least."""
        if not self.covered:
            return
        for count, reading in enumerate(self.left(self.silent)):
            if count % BREATH == 0:
                yield
            downs = reading.downs
            if downs[0] in self.covered and (len(downs) == 1 or all(a in self.covered for a in downs)):
                self.explain(self.covered[min(downs)], (reading.id,))

    def name_for(self, code: str, targets: Iterable[str]) -> str:
        """Return which of several targets names a cause: the one that named it last time, else the first."""
        ordered = sorted(targets)
        return next((target for target in ordered if f"{code}:{target}" in self.previous), ordered[0])

    def keeps(self, code: str, target: str) -> bool:
        """Tell whether a cause was held before and goes on: then it needs fewer members than a new one."""
        found = self.found.get(f"{code}:{target}")
        return found is not None and found.kept

    def cause_of(self, row_id: str) -> str | None:
        """Return the id of the cause that a row belongs to, by itself or through those that it follows."""
        for _ in range(DEPTH):
            cause = self.explained.get(row_id) or self.owner.get(row_id)
            if cause is not None:
                return cause
            follower = self.followers.get(row_id)
            if follower is None or follower.parent is None:
                return None
            row_id = follower.parent
        return None

    def follow(self) -> Iterator[None]:
        """Let rows that are not asked follow their parents, and those that fail and follow nobody be open again."""
        for count, (row_id, reading) in enumerate(sorted(self.followers.items())):
            if count % BREATH == 0:
                yield
            cause = self.cause_of(row_id)
            found = self.found.get(cause) if cause else None
            if found is not None:
                self.explain(found, (row_id,))
            elif reading.bad and row_id not in self.explained:
                self.open[row_id] = reading

    def reading(self, row_id: str) -> Reading | None:
        """Return the reading of a row, whatever it says; None when there is no such row."""
        return self._known.get(row_id)


def _by_id(reading: Reading) -> str:
    return reading.id
