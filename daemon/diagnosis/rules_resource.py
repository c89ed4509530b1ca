"""Resources: a host of which no port answers, a port that several names lead to."""

import math
import shlex
from collections.abc import Iterator
from operator import itemgetter

from checks.model import Reason
from checks.tcp import TcpSpec
from daemon.advice import split_action
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.found import Found
from daemon.diagnosis.reading import TCP, Reading
from daemon.slices import sort_steps

NAMES = 2  # that lead to one port of one address: it is the same socket, so no accident
PORTS = 2  # of one address that have to fail: a single one is a port that fails
_Key = tuple[str, ...]
_REFUSED = Reason.REFUSED
_SILENT = "Nothing came back from it: it is down, its address is wrong, or a firewall drops all that we send."
_REFUSING = (
    "Something answers for it with a refusal: its services are stopped, or a firewall rejects (its own, one on the "
    "way, or this host's)."
)
_SEE_HOST = "See that the host is up and at this address, then look at firewall, security group and the way back to us."
_SEE_SERVICES = "On that host see which services run and where they listen (`ss -ltn`), and its own firewall."


def hosts(case: Case) -> Iterator[None]:
    """ResourceHostDown: at least PORTS ports of one address are silent, or all of them refuse."""
    first: dict[_Key, Reading] = {}
    groups: dict[_Key, list[Reading]] = {}
    quiet: set[str] = set()  # addresses that are silent at some port: they do not refuse at all of them
    kept = any(found.kept for found in case.holds("ResourceHostDown"))
    for count, reading in enumerate(case.open.values()):
        if count % BREATH == 0:
            yield
        if reading.downs:
            quiet.update(reading.downs)
        key = _key(reading)
        if not key:
            continue
        earlier = first.setdefault(key, reading)
        if earlier is not reading:
            held = groups.get(key)
            if held is None:
                held = groups[key] = [earlier]
            held.append(reading)
    case.alike = list(groups.values())
    if kept:  # then one port may be enough
        groups |= {key: [reading] for key, reading in first.items() if key not in groups}
    yield
    for key, readings in (yield from sort_steps(list(groups.items()), key=itemgetter(0))):
        refusing = not readings[0].silent
        if refusing and not any(a in quiet or a in case.accepting for a in key):
            _host(case, key, readings, refusing=True)
        elif not refusing and not any(_is_up(case, a) for a in key):
            _host(case, key, readings, refusing=False)
        yield


def _is_up(case: Case, address: str) -> bool:
    return address in case.ups or case.rare_ups.get(address, math.inf) < case.silence.seconds((address,))


def services(case: Case) -> Iterator[None]:
    """ServiceDown: one port of one address, to which several names lead: a proxy, a load balancer."""
    groups: dict[tuple[_Key, str], list[Reading]] = {}
    several: set[tuple[_Key, str]] = set()
    kept = any(found.kept for found in case.holds("ServiceDown"))
    several_ports = case.left([reading for readings in case.alike for reading in readings])
    for count, reading in enumerate(case.open.values() if kept else several_ports):
        if count % BREATH == 0:
            yield
        key = _key(reading)
        if key:
            service = (key, port_of(reading))
            group = groups.setdefault(service, [])
            group.append(reading)
            if kept or len(group) == NAMES:
                several.add(service)
    for count, service in enumerate(sorted(several)):
        if count % BREATH == 0:
            yield
        (address, *_), port = service
        target = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        readings = groups[service]
        if len(readings) >= NAMES or case.keeps("ServiceDown", target):
            _service(case, target, (address, port), readings)


def _service(case: Case, target: str, place: tuple[str, str], readings: list[Reading]) -> None:
    address, port = place
    first = readings[0]
    values = {
        "observed": first.outcome.summary,
        "advice": split_action(first.outcome.action).text,
        "ask": first.asks(address, port),
    }
    found = case.add("ServiceDown", target, values, rows=[r.id for r in readings], inferred=True)
    found.values["count"] = len(found.rows)
    found.labels = {"address": address, "port": port}


def _key(reading: Reading) -> _Key:
    """Return the addresses that failed, if all of them did in the same way; else nothing."""
    if reading.check is not TCP or not reading.bad or reading.good:
        return ()
    if reading.silent:
        return reading.downs if len(reading.downs) == 1 else tuple(sorted(reading.downs))
    if reading.reason is _REFUSED and not reading.downs:
        return reading.ups if len(reading.ups) == 1 else tuple(sorted(reading.ups))
    return ()


def _host(case: Case, key: _Key, readings: list[Reading], *, refusing: bool) -> None:
    configured = {address_of(reading) for reading in readings}
    target = configured.pop() if len(configured) == 1 else key[0]
    held = case.keeps("ResourceHostDown", target)
    if len(readings) < (1 if held else PORTS):
        return
    first = readings[0]
    values: dict[str, object] = {
        "how": "refuses" if refusing else "is silent",
        "observed": first.outcome.summary,
        "meaning": _REFUSING if refusing else _SILENT,
        "advice": _SEE_SERVICES if refusing else _SEE_HOST,
        "sample": shlex.quote(key[0]),
        "ask": first.asks(key[0], port_of(first)),
    }
    if not refusing and any(address in case.scene.dead_next_hops for address in key):
        values["meaning"] = (
            "It is on this link and gives no link address: it is down, unplugged, or has another address."
        )
    found = case.add("ResourceHostDown", target, values, rows=[r.id for r in readings], inferred=True)
    found.values["ports"] = _ports(case, found)
    found.labels = {"address": target}


def _ports(case: Case, found: Found) -> str:
    """Name the ports of a host that fail: several names may lead to the same one."""
    ports = {port_of(reading) for row_id in found.rows if (reading := case.reading(row_id)) is not None}
    return f"on all {len(ports)} ports" if len(ports) != 1 else f"on port {ports.pop()}, the only one tried"


def address_of(reading: Reading) -> str:
    """Return the address of a port as it is configured."""
    job = reading.job
    if job is not None and isinstance(job.spec, TcpSpec):
        return job.spec.address
    return reading.result.target.rpartition(":")[0].strip("[]") or reading.result.target


def port_of(reading: Reading) -> str:
    """Return the port of a row, as its target writes it."""
    return reading.result.target.rpartition(":")[2]


def labels_of(reading: Reading) -> dict[str, str]:
    """Return what tells the alert of a single failure from others."""
    labels = {"address": reading.result.target}
    if reading.check is TCP:
        labels["address"] = address_of(reading)
        if not reading.unresolved:
            labels["port"] = port_of(reading)
    if reading.resources:
        labels["resource"] = reading.resources[0]
    return labels
