"""The causes that were found, and how much each explains."""

from daemon.metrics.exposition import Family, block
from daemon.metrics.families import gauge
from daemon.view import View

MAX_CAUSES = 200  # as many as of one alert: beyond, nearly all are single ports, and `resources` counts those


def diagnosis_families(view: View) -> list[Family]:
    """Return a series for each cause; if there are too many, those that explain most."""
    there = gauge("diagnosis", "1 for each cause found for what fails now; target is empty where there is but one.")
    explains = gauge("diagnosis_explains", "How many rows fail, or are not asked, because of this cause.")
    causes = {cause.id: cause for cause in reversed(view.diagnosis.causes)}
    kept = sorted(causes, key=lambda cause_id: (-len(causes[cause_id].explains), cause_id))[:MAX_CAUSES]
    for cause in (causes[cause_id] for cause_id in sorted(kept)):
        labels = block((("code", cause.code), ("fault_domain", cause.domain.value), ("target", cause.target)))
        there.add(1, labels)
        explains.add(len(cause.explains), labels)
    return [there, explains]
