"""How many TCP probes a second a configuration asks for, against what it allows."""

import math

from daemon.config.addresses import is_pattern
from daemon.config.schema import Config, Resource


def rate_fault(needed_per_second: float, max_rate: float) -> str:
    """Say that the rate is too low and which one is needed; empty when it suffices."""
    if needed_per_second <= max_rate:
        return ""
    needed = math.ceil(needed_per_second)
    return (
        f"too low for the intervals, got {max_rate:g}, expected at least {needed}:"
        f" the Resources need {needed} TCP probes a second; raise it, or the intervals"
    )


def smallest_rate(config: Config) -> float:
    """Return how many TCP probes a second are needed at the very least.

    A name counts as one address (how many it has is known only later), and what may never be probed as none.
    """
    shortest: dict[tuple[str, int], float] = {}
    for resource in config.resources:
        if resource.probe in ("dns", "never"):
            continue
        for host in _hosts(resource):
            for port in _ports(resource, config.probing.max_ports_per_resource):
                interval = _interval(config, resource, port)
                key = (host, port)
                shortest[key] = min(interval, shortest.get(key, interval))
    return math.fsum(1 / interval for interval in shortest.values())


def _hosts(resource: Resource) -> tuple[str, ...]:
    if resource.samples:
        return resource.samples
    return () if "/" in resource.address or is_pattern(resource.address) else (resource.address,)


def _ports(resource: Resource, limit: int) -> list[int]:
    if resource.probe_ports:
        return list(resource.probe_ports[:limit])
    found: list[int] = []
    for ports in resource.tcp or ():
        found.extend(range(ports.first, min(ports.last, ports.first + limit) + 1))
        if len(found) >= limit:
            break
    return found[:limit]


def _interval(config: Config, resource: Resource, port: int) -> float:
    interval = resource.interval or config.schedule.interval
    policy = config.probing.ports.get(port)
    if policy == "half_open":
        return math.inf  # may be impossible here, and then it is never probed
    return max(interval, policy or 0.0)
