"""What a diagnosis remembers of the one before: no cause flips its name, and none ends before its effects do."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from checks.model import Status
from checks.net.answers import AnswerClass
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.found import Found
from daemon.diagnosis.reading import Reading, matrix_of
from daemon.jobs import Result
from daemon.pace import pace_s

SETTLE_INTERVALS = 2
"""A cause by inference held for so many intervals has seen each row at least once more, and keeps its rows from then
on. Before that, what fails one after the other is still coming in, and a wider cause may take its place."""
LINGER_INTERVALS = 2  # of a row: then it was looked at again, and once more to be sure
CONFIRM_S = 5.0  # what a confirmation takes on top of that, with its time-out
MAX_LINGER_S = 600.0  # a row that is looked at more rarely must not hide a new fault for longer


@dataclass(slots=True, kw_only=True)
class Held:
    """A cause as it was last time. `first_at`, `ended_at`: seconds of the injected clock; `since`: Unix seconds.

    `members`: the rows whose getting well ends it: its own where it has any, else those that failed.
    """

    found: Found
    since: float
    first_at: float
    ended_at: float | None = None
    members: tuple[str, ...] = ()


@dataclass(slots=True)
class _Disagreement:
    """A disagreement, the last look at its name, and how many looks since then did not show it."""

    reading: Reading
    latest: Result
    looks: int = 0

    def contradicted(self, latest: Reading) -> bool:
        """Tell whether the present look shows that it is over, or as the last of many does not show it."""
        if latest.good and latest.result is not self.latest:
            self.latest, self.looks = latest.result, self.looks + 1
        cells, now = matrix_of(self.reading.outcome), matrix_of(latest.outcome)
        if self.looks > len(cells) + 1:
            return True
        differed = (by for by, cell in cells.items() if cell.get("class") != AnswerClass.ADDRESS)
        return any(now.get(by, {}).get("class") == AnswerClass.ADDRESS for by in differed)


class Memory:
    """The causes held, and the disagreements of nameservers seen lately."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self._disagreed: dict[str, _Disagreement] = {}

    def resume(self, case: Case, now: float) -> Iterator[None]:
        """Let causes that end explain what has not recovered yet, and settled ones go on; `now` by the clock."""
        for held in sorted(self.held.values(), key=lambda h: (h.first_at, h.found.id)):
            yield
            over = yield from self._is_over(case, held)
            if not over:
                held.ended_at = None
                settled = now - held.first_at >= SETTLE_INTERVALS * case.scene.interval_s
                if held.found.inferred and settled:
                    yield from _continue(case, held.found, kept=True)
                continue
            held.ended_at = now if held.ended_at is None else held.ended_at
            yield from _continue(case, held.found, kept=False, ended_s=now - held.ended_at)

    def keep(self, case: Case, causes: Mapping[str, tuple[Found, float]], now: float) -> Iterator[None]:
        """Remember, in steps, what was found this time, with its `since`.

        A name that one of two nameservers still gives an address for suffers from a cause and does not show it: it is
        well in every second look.
        """
        kept: dict[str, Held] = {}
        for count, (cause_id, (found, since)) in enumerate(causes.items()):
            if count % BREATH == 0:
                yield
            held = self.held.get(cause_id) or Held(found=found, since=since, first_at=now)
            held.found = found
            if not found.ending:  # else what got well would be forgotten, and the rest be taken for the cause itself
                held.members = tuple(found.evidence)
                if found.inferred:
                    held.members = tuple(i for i in found.rows if (r := case.reading(i)) is not None and r.bad)
            kept[cause_id] = held
        self.held = kept

    def recall_disagreements(self, case: Case) -> None:
        """Add disagreements that the last look could not see: nameservers are asked in turn, and all only now and then.

        One is forgotten when the nameserver that differed gives an address, or after so many looks that it must have
        been its turn. Looks are counted, not seconds: clocks are set, and a process may stand still.
        """
        for row_id, reading in case.disagreeing.items():
            self._disagreed[row_id] = _Disagreement(reading, reading.result)
        for row_id, held in list(self._disagreed.items()):
            if row_id in case.disagreeing:
                continue
            latest = case.reading(row_id)
            if latest is None or latest.bad or held.contradicted(latest):
                del self._disagreed[row_id]
            else:
                case.disagreeing[row_id] = held.reading

    @staticmethod
    def _is_over(case: Case, held: Held) -> Generator[None, None, bool]:
        """Tell whether a row that showed the cause shows now that it is over."""
        for count, row_id in enumerate(held.members):
            if count % BREATH == 0:
                yield
            reading = case.reading(row_id)
            if reading is not None and _well(case, reading):
                return True
        return False


def _well(case: Case, reading: Reading) -> bool:
    return reading.good and (reading.outcome.status is Status.OK or reading.bad) and case.scene.fresh(reading.row)


def _continue(case: Case, before: Found, *, kept: bool, ended_s: float = 0.0) -> Iterator[None]:
    """Let a cause go on explaining those of its rows that still are bad; without any it is over.

    `ended_s`: for how many seconds it has been ending: a row that was looked at twice since then fails by itself.
    """
    left = [i for i in before.rows if i in case.open or (i in case.followers and case.followers[i].bad)]
    shown = [i for i in before.evidence if i in case.open]
    if not kept:
        left = [i for i in left if ended_s <= _linger_s(case, i)]
        shown = [i for i in shown if ended_s <= _linger_s(case, i)]
    yield
    if not any(case.open[i].bad for i in shown) and not left:
        return
    found = case.add(before.kind.code, before.target, before.values, evidence=before.evidence, inferred=before.inferred)
    found.kept, found.ending = kept, not kept
    found.severity, found.labels, found.domain = before.severity, before.labels, before.domain
    found.alert, found.possible = before.alert, before.possible
    case.explain(found, left)


def _linger_s(case: Case, row_id: str) -> float:
    """Return for how many seconds after the end of a cause a row that still is bad is taken for its effect."""
    reading = case.reading(row_id)
    job = case.scene.jobs.get(reading.result.job) if reading is not None else None
    interval_s = case.scene.interval_s
    if reading is not None and job is not None:
        interval_s = max(interval_s, pace_s(job, reading.row, case.scene.now))
    return min(LINGER_INTERVALS * interval_s + CONFIRM_S, MAX_LINGER_S)
