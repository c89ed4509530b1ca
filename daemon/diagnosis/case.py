"""The diagnosis under way: what still wants an explanation, what shows that something works, and what was found."""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from operator import itemgetter

from checks.model import CheckName, Reason, Status
from checks.nexthop import NextHops
from daemon.diagnosis.catalogue import KINDS
from daemon.diagnosis.found import Found
from daemon.diagnosis.reading import DNS, TCP, Reading, matrix_of
from daemon.diagnosis.scene import Scene
from daemon.diagnosis.silence import Silence
from daemon.jobs import SECOND_SEAT

_OK, _BLOCKED = Status.OK, Reason.BLOCKED_LOCALLY
_MANY = (DNS, TCP)
BREATH = 250  # rows between two pauses: about a millisecond of work, so that nobody's loop is held
DEPTH = 4  # how far a row follows its parents: port → name → Connector, and one to spare


class Case:
    """Rules take rows out of `open` and put causes into `found`.

    - `open`: readings that fail, or warn of what a rule knows, and are not explained yet; in the order of their ids.
    - `children`: rows that are not asked, by the row that tells why.
    - `ups`: addresses that lately said something. `rare_ups`: those that did where we look less often than usual, and
      how many seconds ago: that may be from before a fault. `accepting`: those that lately accepted a connection of a
      Resource; `working`: the ports at which any did.
    - `previous`: ids of the causes that were held last time. `covered`: addresses that a cause in the network explains.
    - `alike`: several ports that fail at the same addresses in the same way; `rules_resource.hosts` finds them.
    - `by_check`: all readings of the checks of which there are few, and the names that resolve.
    - `silent`, `names`, `blocked`, `compared`: what of `open` (as it was at first) is silent, a name, blocked by this
      host, or was looked at from two seats: rules need not go through all that is open for a few.
    - `disagreeing`: outcomes of names on which nameservers disagreed lately, by row id.
    """

    def __init__(
        self,
        scene: Scene,
        hops: NextHops,
        known: dict[str, Reading | None] | None = None,
        previous: AbstractSet[str] = frozenset(),
    ) -> None:
        self.scene = scene
        self.hops = hops
        self.previous = previous
        self.covered: dict[str, Found] = {}
        self.alike: list[list[Reading]] = []
        self.open: dict[str, Reading] = {}
        self.children: dict[str, list[str]] = {}
        self.followers: dict[str, Reading] = {}
        self.ups: set[str] = set()
        self.rare_ups: dict[str, float] = {}
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
        self.silence = Silence(self.silent, scene.now)

    def read(self) -> Iterator[None]:
        """Read every row that changed, and put all of them where they belong; pause now and then."""
        yield from self._renew()
        sort, known = self._sort, self._known
        for count, reading in enumerate(known.values()):
            if count % BREATH == 0:
                yield
            if reading is not None and sort(reading):
                self._open(reading)
        if self.open:  # only then anybody asks what works
            fresh, note = self.scene.fresh, self._note_good
            for count, (row_id, held) in enumerate(known.items()):
                if count % BREATH == 0:
                    yield
                reading = held or self.reading(row_id)
                if reading is not None and reading.good and fresh(reading.row):
                    note(reading)

    def _open(self, reading: Reading) -> None:
        """Let a reading want an explanation."""
        self.open[reading.id] = reading
        if reading.silent:
            self.silent.append(reading)
        elif reading.check is DNS:
            self.names.append(reading)
        elif reading.reason is _BLOCKED:
            self.blocked.append(reading)
        if reading.compared:
            self.compared.append(reading)

    def _renew(self) -> Iterator[None]:
        """Bring what is known up to the scene; it stays in the order of the ids.

        A name or port that is well is read when somebody asks: read, each would keep the results of an earlier look
        alive beside the board's own, and there are tens of thousands.
        """
        rows, jobs, known = self.scene.rows, self.scene.jobs, self._known
        before, seconds = len(known), 0
        for count, (row_id, row) in enumerate(rows.items()):
            if count % BREATH == 0:
                yield
            reading = known.get(row_id)
            if reading is None or reading.row is not row:
                if row_id.endswith(SECOND_SEAT):
                    seconds += 1
                elif row.result.check in _MANY and row.result.outcome.status is _OK and not row.failing:
                    known[row_id] = None
                else:
                    known[row_id] = Reading(row, jobs.get(row.result.job))
        added = len(known) > before
        if len(known) > len(rows) - seconds:
            for gone in known.keys() - rows.keys():
                del known[gone]
        if added:
            yield
            ordered = sorted(known.items(), key=itemgetter(0))
            known.clear()
            known.update(ordered)

    def left(self, readings: Iterable[Reading]) -> Iterator[Reading]:
        """Yield those readings that nothing explains yet."""
        open_ = self.open
        for reading in readings:
            if reading.id in open_:
                yield reading

    def _sort(self, reading: Reading) -> bool:
        """Put a reading where it belongs; tell whether a rule has to look at it."""
        check = reading.check
        if reading.parent is not None:
            self.children.setdefault(reading.parent, []).append(reading.id)
            self.followers[reading.id] = reading
            return False
        if check is not DNS and check is not TCP:  # of other checks each row is kept: there are few, and all may matter
            self.by_check.setdefault(check, []).append(reading)
            if reading.ups and not reading.good:
                self._note_ups(reading)
            return reading.bad or reading.warns
        if reading.good:
            if reading.warns and check is DNS and matrix_of(reading.outcome) and self.scene.fresh(reading.row):
                self.disagreeing[reading.id] = reading
        elif reading.ups:
            self._note_ups(reading)
        return reading.bad

    def _note_good(self, reading: Reading) -> None:
        """Note what works by a row that is good now."""
        if reading.check is DNS:
            if reading.outcome.status is _OK or reading.outcome.reached:
                self.resolving.add(reading.result.target)
        elif reading.ups:
            self._note_ups(reading)
            if reading.check is TCP and reading.outcome.reached:
                self.accepting.update(reading.accepted)
                self.working.add(reading.result.target.rpartition(":")[2])

    def _note_ups(self, reading: Reading) -> None:
        if reading.interval_s <= self.scene.interval_s:
            self.ups.update(reading.ups)
            return
        age_s = self.scene.age_s(reading.row)
        for address in reading.ups:
            self.rare_ups[address] = min(age_s, self.rare_ups.get(address, age_s))

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
        found.ending = False  # whoever finds it anew has seen more than what is left of it
        found.values.update(values)
        for row_id in evidence:
            found.evidence[row_id] = None
            self.owner.setdefault(row_id, found.id)
            self.open.pop(row_id, None)
        self.explain(found, rows)
        return found

    def explain(self, found: Found, rows: Iterable[str]) -> None:
        """Let a cause explain rows that nothing explains yet."""
        explained, evidence, open_ = self.explained, found.evidence, self.open
        for row_id in rows:
            if row_id not in explained and row_id not in evidence:
                explained[row_id] = found.id
                found.rows[row_id] = None
                open_.pop(row_id, None)

    def let_go(self, found: Found) -> None:
        """Take a cause back: its rows want another explanation."""
        del self.found[found.id]
        for row_id in found.rows:
            del self.explained[row_id]
            reading = self._known.get(row_id)
            if reading is not None and reading.bad and reading.parent is None:
                self.open[row_id] = reading

    def holds(self, code: str) -> Iterator[Found]:
        """Yield what was found of a code so far, in the order of finding."""
        for found in tuple(self.found.values()):
            if found.kind.code == code:
                yield found

    def cover(self, found: Found, addresses: Iterable[str]) -> None:
        """Let a cause in the network stand for the silence of addresses; `claim_covered` gives it their rows."""
        covered = self.covered
        for address in addresses:
            covered.setdefault(address, found)

    def claim_covered(self) -> Iterator[None]:
        """Explain each row of whose addresses all that failed are covered, by the cause that covers the least."""
        if not self.covered:
            return
        covered, explained, open_ = self.covered, self.explained, self.open
        for count, reading in enumerate(self.silent):
            if count % BREATH == 0:
                yield
            row_id, downs = reading.id, reading.downs
            found = covered.get(downs[0])
            if found is None or row_id not in open_:
                continue
            if len(downs) > 1:
                if not all(a in covered for a in downs):
                    continue
                found = covered[min(downs)]
            if row_id not in explained and row_id not in found.evidence:
                explained[row_id] = found.id
                found.rows[row_id] = None
                del open_[row_id]

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
        explained, owner, followers = self.explained, self.owner, self.followers
        for _ in range(DEPTH):
            cause = explained.get(row_id) or owner.get(row_id)
            if cause is not None:
                return cause
            follower = followers.get(row_id)
            if follower is None or follower.parent is None:
                return None
            row_id = follower.parent
        return None

    def follow(self) -> Iterator[None]:
        """Let rows that are not asked follow their parents, and those that fail and follow nobody be open again."""
        for count, (row_id, reading) in enumerate(self.followers.items()):
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
        reading = self._known.get(row_id)
        if reading is None and row_id in self._known:
            row = self.scene.rows[row_id]
            reading = self._known[row_id] = Reading(row, self.scene.jobs.get(row.result.job))
        return reading
