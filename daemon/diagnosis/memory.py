"""What a diagnosis remembers of the one before: no cause flips its name, and none ends before its effects do."""

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass

from checks.model import Status
from checks.net.answers import AnswerClass
from daemon.diagnosis.case import BREATH, Case, Found
from daemon.diagnosis.reading import Reading, matrix_of

SETTLE_INTERVALS = 2
"""A cause by inference held for so many intervals has seen each row at least once more, and keeps its rows from then
on. Before that, what fails one after the other is still coming in, and a wider cause may take its place."""
LINGER_INTERVALS = 2  # of the slowest of its rows: then each was looked at again, and once more to be sure
CONFIRM_S = 5.0  # what a confirmation takes on top of that, with its time-out
MAX_LINGER_S = 600.0  # a row that is looked at more rarely must not hide a new fault for longer


@dataclass(slots=True, kw_only=True)
class Held:
    """A cause as it was last time. `first_at`, `ended_at`: seconds of the injected clock; `since`: Unix seconds.

    `members`: the rows whose getting well ends it: its own where it has any, else those that showed it.
    """

    found: Found
    since: float
    first_at: float
    ended_at: float | None = None
    linger_s: float = 0.0
    members: tuple[str, ...] = ()


class Memory:
    """The causes held, and the disagreements of nameservers seen lately."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}
        self._disagreed: dict[str, Reading] = {}

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
            if held.ended_at is None:
                held.ended_at, held.linger_s = now, _linger_s(case, held.found)
            if now - held.ended_at <= held.linger_s:
                yield from _continue(case, held.found, kept=False)

    def keep(self, causes: Mapping[str, tuple[Found, float]], now: float) -> None:
        """Remember what was found this time, with its `since`."""
        kept: dict[str, Held] = {}
        for cause_id, (found, since) in causes.items():
            held = self.held.get(cause_id) or Held(found=found, since=since, first_at=now)
            held.found = found
            held.members = tuple(found.rows) if found.inferred else tuple(found.evidence)
            kept[cause_id] = held
        self.held = kept

    def recall_disagreements(self, case: Case) -> None:
        """Add disagreements that the last look could not see: nameservers are asked in turn, and all only now and then.

        One is forgotten when the nameserver that differed gives an address, or was not asked again for so long that it
        would have been its turn.
        """
        self._disagreed.update(case.disagreeing)
        for row_id, reading in list(self._disagreed.items()):
            if row_id in case.disagreeing:
                continue
            latest = case.reading(row_id)
            if latest is None or latest.bad or self._contradicted(reading, latest, case):
                del self._disagreed[row_id]
            else:
                case.disagreeing[row_id] = reading

    @staticmethod
    def _contradicted(before: Reading, latest: Reading, case: Case) -> bool:
        cells, now = matrix_of(before.outcome), matrix_of(latest.outcome)
        turns = (len(cells) + 1) * case.scene.interval_s
        if latest.result.started_at - before.result.started_at > turns:
            return True
        differed = (by for by, cell in cells.items() if cell.get("class") != AnswerClass.ADDRESS)
        return any(now.get(by, {}).get("class") == AnswerClass.ADDRESS for by in differed)

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


def _continue(case: Case, before: Found, *, kept: bool) -> Iterator[None]:
    """Let a cause go on explaining those of its rows that still are bad; without any it is over."""
    left = [i for i in before.rows if i in case.open or (i in case.followers and case.followers[i].bad)]
    shown = [i for i in before.evidence if i in case.open]
    yield
    if not any(case.open[i].bad for i in shown) and not left:
        return
    found = case.add(before.kind.code, before.target, before.values, evidence=before.evidence, inferred=before.inferred)
    found.kept = kept
    found.severity, found.labels, found.domain = before.severity, before.labels, before.domain
    found.alert, found.possible = before.alert, before.possible
    case.explain(found, left)


def _linger_s(case: Case, found: Found) -> float:
    jobs = case.scene.jobs
    longest = case.scene.interval_s
    for row_id in (*found.evidence, *found.rows):
        reading = case.reading(row_id)
        job = jobs.get(reading.result.job) if reading is not None else None
        if job is not None:
            longest = max(longest, job.interval_s)
    return min(LINGER_INTERVALS * longest + CONFIRM_S, MAX_LINGER_S)
