"""Which rows a wider cause has explained of late: that they come and go is its doing, and no narrower one's."""

from daemon.causes import NO_DIAGNOSIS, Diagnosis
from daemon.slices import Steps, batches

LATELY_S = 3600.0  # as long as firing often counts


class Others:
    """Remembers by whom each row was explained, and when, on the loop's clock."""

    def __init__(self) -> None:
        self._last: Diagnosis = NO_DIAGNOSIS  # what it explains is explained since `_noted_at`, and not in `_by`
        self._noted_at = 0.0
        self._by: dict[str, dict[str, float]] = {}
        self._width: dict[str, int] = {}  # the most rows that each cause has explained

    def note(self, diagnosis: Diagnosis, now: float) -> Steps[None]:
        """Take a diagnosis into account, in steps; the same again costs nothing."""
        if diagnosis is self._last:
            return
        before, noted_at = self._last.explained, self._noted_at
        self._last, self._noted_at = diagnosis, now
        for causes in batches(diagnosis.causes):
            for cause in causes:
                width = len(cause.explains)
                if width and width > self._width.get(cause_id := cause.id, 0):
                    self._width[cause_id] = width
            yield
        still = diagnosis.explained.get
        for rows in batches(list(before.items())):
            for row_id, by in rows:
                if still(row_id) != by:
                    self._by.setdefault(row_id, {})[by] = noted_at
            yield

    def explained(self, row_id: str, cause: str | None, now: float) -> bool:
        """Tell whether a wider cause than this one explained a row lately."""
        width = self._width.get(cause or "", 0)
        by = dict(self._by.get(row_id, {}))
        if (other := self._last.explained.get(row_id)) is not None:
            by[other] = self._noted_at
        return any(at >= now - LATELY_S and self._width.get(other, 0) > width for other, at in by.items())

    def forget(self, now: float) -> Steps[None]:
        """Forget, in steps, what is too old to count."""
        held: set[str] = set()
        for rows in batches(list(self._by.items())):
            for row_id, by in rows:
                kept = {other: at for other, at in by.items() if at >= now - LATELY_S}
                if kept:
                    self._by[row_id] = kept
                    held.update(kept)
                else:
                    del self._by[row_id]
            yield
        for explaining in batches(list(self._last.explained.values())):
            held.update(explaining)
            yield
        self._width = {other: width for other, width in self._width.items() if other in held}
