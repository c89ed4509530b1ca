"""The expressions that several panels share: whose series are meant, and how bad it is.

Only `connector_health_info` carries the Connector's name; every other series has the target's labels `job` and
`instance`. So each query is joined with it. `and on (job, instance)` is a filter that never fails; `group_left` brings
the name, and takes one info per target, as the rules do: two Connectors shown under one target must not break it.
"""

from daemon.diagnosis.catalogue import KINDS

CHOSEN = 'connector_health_info{connector="$connector", remote_network=~"$remote_network"}'
"""The one Connector that is looked at."""
SHOWN = 'connector_health_info{connector=~"$connector", remote_network=~"$remote_network"}'
"""All Connectors that are looked at."""
IN_NETWORKS = 'connector_health_info{remote_network=~"$remote_network"}'
NETWORKS = 'remote_network=~"$remote_network"'
OURS = 'job=~"$job"'
"""For metrics that every process has, and Prometheus has many of."""
_OWNER = ("connector", "remote_network")  # a name alone may stand in two Remote Networks
ALERT_LABELS = ("alert", "severity", "resource", "address", "port", "nameserver", "endpoint")

# How bad it is. A number, so that the worst of several is their maximum; its words are in style.LEVELS.
FINE, FAULT, SHADOW, INFO, UNSEEN, WARNING, CRITICAL, BLAMED = range(8)
_RANKS = (("critical", CRITICAL), ("warning", WARNING), ("info", INFO), ("none", SHADOW))
NOTES = "|".join(sorted(kind.code for kind in KINDS.values() if set(kind.severities) == {"info"}))
"""Causes that harm nobody by themselves, as a pattern."""
MOST = 20
"""How many lines of one graph can be told from each other."""


def chosen(expression: str) -> str:
    """Return what of it belongs to the Connector that is looked at."""
    return f"{_whole(expression)} and on (job, instance) {CHOSEN}"


def ranged(expression: str) -> str:
    """Return the same for a sum over the whole time range, in which its target may have changed (a pod's address)."""
    return f"{_whole(expression)} and on (job, instance) last_over_time({CHOSEN}[$__range])"


def best(metric: str, *by: str) -> str:
    """Return a gauge of the Connector, one series for each of these labels."""
    return f"max by ({', '.join(by)}) ({chosen(metric)})"


def worst(metric: str, *by: str) -> str:
    """Return a verdict of the Connector: 0 wins."""
    return f"min by ({', '.join(by)}) ({chosen(metric)})"


def rate(metric: str, *by: str) -> str:
    """Return a counter of the Connector per second."""
    return f"sum by ({', '.join(by)}) ({chosen(f'rate({metric}[$__rate_interval])')})"


def increase(metric: str, *by: str) -> str:
    """Return how much a counter of the Connector grew within the time range."""
    return f"sum by ({', '.join(by)}) ({ranged(f'increase({metric}[$__range])')})"


def named(expression: str, info: str = SHOWN) -> str:
    """Return it with the names of Connector and Remote Network, for those that are looked at."""
    join = "* on (job, instance) group_left (connector, remote_network)"
    return f"({expression}) {join} topk by (job, instance) (1, {info})"


def each(metric: str, *by: str) -> str:
    """Return a gauge of each Connector that is looked at, with its name."""
    return f"max by ({', '.join((*_OWNER, *by))}) ({named(metric)})"


def each_rate(metric: str, *by: str) -> str:
    """Return a counter of each Connector per second, with its name."""
    return f"sum by ({', '.join((*_OWNER, *by))}) ({named(f'rate({metric}[$__rate_interval])')})"


def largest(expression: str, most: int = MOST) -> str:
    """Return those that were largest on average over the time shown.

    Chosen once: `topk` alone chooses at each step anew, so that all come in at some time, and none without gaps. The
    choice looks at fewer moments than the graph ($__rate_interval is several intervals), and costs a fraction of it.
    """
    return f"({expression}) and topk({most}, avg_over_time(({expression})[$__range:$__rate_interval] @ end()))"


def ranked(metric: str, *matchers: str) -> str:
    """Return alerts with their rank as value."""
    parts = []
    for severity, rank in _RANKS:
        selected = ", ".join((f'severity="{severity}"', *matchers))
        parts.append(f"{rank} * {metric}{{{selected}}}")
    return " or ".join(parts)


def verdict(info: str) -> str:
    """Return the verdict on each Connector: its worst alert, else whether a fault is known, else that it is seen.

    A daemon that is starved decides nothing, so its silence is no *fine*.
    """
    alerts = ranked("connector_health_alert_active")
    worst_of_target = (
        f"max by (job, instance) ({alerts} or connector_health_diagnosis or {FAULT} * (connector_health_starved == 1)"
        f" or {FINE} * connector_health_info)"
    )
    return f"max by (connector, remote_network) ({named(worst_of_target, info)})"


def link(domain: str) -> str:
    """Return how one link of the chain stands: blamed, a fault that harms nobody, or without a known fault."""
    cause = f'connector_health_diagnosis{{fault_domain="{domain}"'
    blamed = chosen(f'{cause}, code!~"{NOTES}"}}')
    noted = chosen(f"{cause}}}")
    return f"{BLAMED} * max({blamed}) or {FAULT} * max({noted}) or {FINE} * max({CHOSEN})"


def share(part: str, whole: str) -> str:
    """Return a share; absent where there is nothing to take a share of."""
    return f"{part} / ({whole} > 0)"


def _whole(expression: str) -> str:
    return f"({expression})" if " or " in expression else expression
