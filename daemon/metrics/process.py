"""`process_*` and `python_*`, with the names and meanings that every Prometheus client gives them.

A module of its own because the library costs 90 ms and 20 MiB to import: `healthctl check -o prometheus` does without.
"""

import functools

from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import Metric
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from daemon.metrics.exposition import Family, Kind, block


def process_families() -> list[Family]:
    """Return what the kernel and the interpreter say of this process now."""
    return [_adopted(metric) for metric in _registry().collect()]


@functools.cache
def _registry() -> CollectorRegistry:
    """Make a registry of our own: nobody else's metrics can slip in through the global one."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def _adopted(metric: Metric) -> Family:
    family = Family(metric.name, Kind(metric.type), metric.documentation)
    for sample in metric.samples:
        family.add(sample.value, block(sample.labels.items()))
    return family
