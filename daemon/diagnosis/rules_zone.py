"""Zones: several names of one of them fail, and none of it resolves."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from checks.model import CheckName, Status
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.reading import Reading

NAMES = 3  # of one zone that have to fail: two may well be two mistakes
MULTICAST = "local"
_SHORT_ZONES = frozenset({"corp", "home", "internal", "intranet", "lan", "localdomain", "private"})
"""Zones of one label that a network may have of its own; `com` is nobody's fault."""


def zones(case: Case) -> Iterator[None]:
    """MulticastNames, ZoneFailing: the widest zone of which at least NAMES fail and none resolves."""
    failing = [r for r in case.left(case.names) if r.bad and not r.good]
    yield
    answers = bool(case.resolving) or any(r.outcome.status is Status.OK for r in case.of(CheckName.RESOLVER))
    if not failing or not answers:
        return
    members: dict[str, list[Reading]] = {}
    yield from _gather(case, failing, members)
    kept = {found.target for found in case.holds("ZoneFailing") if found.kept}
    enough = (zone for zone, inside in members.items() if len(inside) >= NAMES or zone in kept or zone == MULTICAST)
    for widest in sorted(enough, key=lambda zone: (zone not in kept, zone.count("."), zone)):
        yield
        left = list(case.left(members[widest]))
        if widest == MULTICAST and left:
            _found(case, "MulticastNames", widest, left)
        elif left and widest in kept:
            _found(case, "ZoneFailing", widest, left)
        elif len(left) >= NAMES:
            # Named as closely as what fails allows: nothing is known of the rest of a wider zone.
            inside = [
                zone for zone in _zones_of(left[0].result.target) if len(list(case.left(members[zone]))) == len(left)
            ]
            _found(case, "ZoneFailing", inside[0], left)


def _gather(case: Case, failing: Sequence[Reading], members: dict[str, list[Reading]]) -> Iterator[None]:
    """Sort what fails into zones of which nothing resolves."""
    for count, reading in enumerate(failing):
        if count % BREATH == 0:
            yield
        for zone in _zones_of(reading.result.target):
            inside = members.get(zone)
            if inside is None:
                inside = members[zone] = []
            inside.append(reading)
    for count, name in enumerate(case.resolving):
        if count % BREATH == 0:
            yield
        for zone in _zones_of(name):
            members.pop(zone, None)


def _found(case: Case, code: str, zone: str, readings: Sequence[Reading]) -> None:
    example = readings[0]
    values = {
        "count": len(readings),
        "observed": example.outcome.summary,
        "question": f"{example.result.target} A",
    }
    found = case.add(code, zone, values, rows=[r.id for r in readings], inferred=True)
    found.labels = {"address": zone}
    found.values["count"] = len(found.rows)


@lru_cache(maxsize=65536)  # as many names as there may be
def _zones_of(name: str) -> tuple[str, ...]:
    """Return the zones that a name may lie in, the narrowest first."""
    zones = []
    _, dot, zone = name.rstrip(".").lower().partition(".")
    while dot:
        _, dot, wider = zone.partition(".")
        if dot or zone in _SHORT_ZONES or zone == MULTICAST:
            zones.append(zone)
        zone = wider
    return tuple(zones)
