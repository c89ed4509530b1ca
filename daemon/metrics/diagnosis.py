"""The causes that were found, and how much each explains."""

import heapq

from daemon.causes import Cause
from daemon.metrics.exposition import Family, block
from daemon.metrics.families import gauge
from daemon.slices import Steps, batches
from daemon.view import View

MAX_CAUSES = 200  # as many as of one alert: beyond, nearly all are single ports, and `resources` counts those
BATCH = 1000  # causes looked at between two pauses


def diagnosis_steps(view: View) -> Steps[list[Family]]:
    """Return a series for each cause; if there are too many, those that explain most."""
    there = gauge("diagnosis", "1 for each cause found for what fails now; target is empty where there is but one.")
    explains = gauge("diagnosis_explains", "How many rows fail, or are not asked, because of this cause.")
    kept: list[Cause] = []
    for batch in batches(view.diagnosis.causes, BATCH):
        once = {cause.id: cause for cause in (*reversed(batch), *reversed(kept))}  # of two with one id, the first
        kept = heapq.nsmallest(MAX_CAUSES, once.values(), key=lambda cause: (-len(cause.explains), cause.id))
        yield
    for cause in sorted(kept, key=lambda cause: cause.id):
        labels = block((("code", cause.code), ("fault_domain", cause.domain.value), ("target", cause.target)))
        there.add(1, labels)
        explains.add(len(cause.explains), labels)
    return [there, explains]
