"""Reading what an exporter tells: the text format of Prometheus, as far as a benchmark needs it."""

import http.client
import re
from collections.abc import Mapping

Series = dict[str, float]
"""Values by name and labels, as they are written: `name{label="value"}`."""

BUCKET = re.compile(r'le="([^"]+)"')


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Ask a server on 127.0.0.1; return status and body. Raises: OSError while it does not listen."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()


def parse(text: str, prefix: str = "") -> Series:
    """Return the series whose name begins with a prefix."""
    found = {}
    for line in text.splitlines():
        if line.startswith(prefix) and not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            found[series] = float(value)
    return found


def total(series: Series, name: str, *labels: str) -> float:
    """Return the sum of a metric over all series that carry these labels (`check="tcp"`); 0 when there are none."""
    return sum(
        value
        for key, value in series.items()
        if key.partition("{")[0] == name and all(label in key for label in labels)
    )


def gained(before: Series, after: Series, name: str) -> dict[float, float]:
    """Return what a histogram counted between two scrapes: counts up to and including each bound, by bound."""
    bounds = {}
    for key, value in after.items():
        if key.startswith(f"{name}_bucket{{") and (found := BUCKET.search(key)):
            bounds[float(found[1])] = value - before.get(key, 0.0)
    return dict(sorted(bounds.items()))


def quantile(buckets: Mapping[float, float], share: float) -> float:
    """Return what `share` of the observations do not exceed, as Prometheus' histogram_quantile estimates it.

    Within a bucket observations are taken to lie evenly; the last finite bound stands for all beyond it. 0 without any.
    """
    whole = max(buckets.values(), default=0.0)
    wanted = share * whole
    bound_before, count_before = 0.0, 0.0
    for bound, count in buckets.items():
        if count >= wanted and whole:
            if bound == float("inf"):
                return bound_before
            inside = (wanted - count_before) / (count - count_before) if count > count_before else 1.0
            return bound_before + (bound - bound_before) * inside
        bound_before, count_before = bound, count
    return 0.0
