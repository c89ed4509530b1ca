"""Causes beside the rows that they explain: who reads a cause need not read each of its rows as well."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType

from checks.model import Status
from daemon.causes import Domain
from daemon.document import CauseFound, Row
from daemon.row_looks import is_second
from daemon.slices import Steps, at_once, batches
from daemon.words import count, some

_PLACE = itemgetter(0)
_CUTS_OFF = frozenset({"HostNetworkDown", "NoIPv4", "NextHopDown"})
_FAR = frozenset({"clock", "nat", "provider"})  # checks that ask the internet, and know nothing without it
# targets of which each host has one: they say nothing
_SOLE = frozenset({"", "local", "network", "process", "relays", "system", "udp"})


@dataclass(frozen=True, slots=True)
class Told:
    """A cause to tell, the rows that it explains in their order, and the Resources behind these, each once."""

    cause: CauseFound
    rows: tuple[Row, ...]
    resources: tuple[str, ...]

    @property
    def label(self) -> str:
        """What it is called: its code, and which one."""
        return label(self.cause)

    @property
    def blast(self) -> str:
        """Say what it explains: Resources where there are any, else rows; empty where it stands alone."""
        # The number is the diagnosis' own: this document may hold but a part of the rows.
        number = max(self.cause["resources"], len(self.resources))
        if number:
            named = f": {some(self.resources, of=number)}" if self.resources else ""
            return f"explains {count(number, 'Resource')}{named}"
        if self.rows:
            return f"explains {count(len(self.rows), 'row')}: {some(row['id'] for row in self.rows)}"
        return ""

    @property
    def hit(self) -> str:
        """Name the Resources that it hits, else the rows; how many they are stands in the text of the cause."""
        if self.resources:
            return f"hits {some(self.resources, of=max(self.cause['resources'], len(self.resources)))}"
        return f"hits {some(row['id'] for row in self.rows)}" if self.rows else ""


@dataclass(frozen=True, slots=True)
class Causes:
    """All causes of a document, put to their rows.

    - `told`: those that say more than one row does, in their order.
    - `by`: by the id of a row, the cause told that explains it.
    - `evidence`: ids of rows that show a cause told, and that no cause told explains; where the host is cut off, also
      of those that have no verdict because whom they ask is far away: their own advice would lead astray.
    - `alone`: by the id of a row, the cause that says no more than this row does.
    """

    told: tuple[Told, ...] = ()
    by: Mapping[str, Told] = field(default_factory=lambda: MappingProxyType({}))
    evidence: frozenset[str] = frozenset()
    alone: Mapping[str, CauseFound] = field(default_factory=lambda: MappingProxyType({}))

    def covers(self, row: Row) -> bool:
        """Tell whether a cause told says what there is to say of this row."""
        return row["id"] in self.by or row["id"] in self.evidence


NO_CAUSES = Causes()


def put_together(causes: Iterable[CauseFound], rows: Iterable[Row]) -> Causes:
    """Put causes to the rows of the same document; a row that two explain is told with the first."""
    return at_once(together_steps(list(causes), list(rows)))


def together_steps(causes: Sequence[CauseFound], rows: Sequence[Row]) -> Steps[Causes]:
    """Do the same in steps."""
    if not causes:
        return NO_CAUSES
    known: dict[str, tuple[int, Row]] = {}
    for placed in batches(list(enumerate(rows))):
        known.update((row["id"], (place, row)) for place, row in placed if not is_second(row))
        yield
    told: list[Told] = []
    by: dict[str, Told] = {}
    alone: dict[str, CauseFound] = {}
    cut_off = False
    for together in batches(causes):
        for cause in together:
            cut_off = cut_off or (cause["code"] in _CUTS_OFF and cause["fault_domain"] == Domain.HOST)
            if repeats_a_row(cause):
                alone.update((row_id, cause) for row_id in cause["evidence"])
                continue
            one = yield from _told(cause, known, by)
            told.append(one)
            for mine in batches(one.rows):
                by.update((row["id"], one) for row in mine)
                yield
        yield
    shown = {row_id for one in told for row_id in one.cause["evidence"] if row_id not in by}
    if cut_off:
        for batch in batches(rows):
            unknown = (row for row in batch if row["status"] == Status.UNKNOWN and row["check"] in _FAR)
            shown.update(row["id"] for row in unknown if not is_second(row))
            yield
    return Causes(tuple(told), by, frozenset(shown), alone)


def _told(cause: CauseFound, known: Mapping[str, tuple[int, Row]], by: Mapping[str, Told]) -> Steps[Told]:
    placed: list[tuple[int, Row]] = []
    for ids in batches(list(dict.fromkeys(cause["explains"]))):
        placed += [known[row_id] for row_id in ids if row_id in known and row_id not in by]
        yield
    mine = [row for _, row in sorted(placed, key=_PLACE)]
    names: dict[str, None] = {}
    for batch in batches(mine):
        names.update((name, None) for row in batch for name in row["resources"])
        yield
    return Told(cause, tuple(mine), tuple(names))


def repeats_a_row(cause: CauseFound) -> bool:
    """Tell whether a cause says no more than one row does: one Resource's name or port that fails by itself.

    Such a cause is the row, so it does not explain it.
    """
    shown = cause["evidence"]
    return cause["fault_domain"] == Domain.RESOURCE and len(shown) == 1 and shown[0] not in cause["explains"]


def label(cause: CauseFound) -> str:
    """Return the code of a cause, and which one it is about, where there could be others."""
    return cause["code"] if cause["target"] in _SOLE else f"{cause['code']} {cause['target']}"
