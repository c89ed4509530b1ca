"""Resources: a host of which no port answers."""

import shlex
from collections.abc import Iterator, Mapping

from checks.model import CheckName, Reason
from checks.tcp import TcpSpec
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.reading import Reading

PORTS = 2  # of one address that have to fail: a single one is a port that fails
_Key = tuple[str, ...]
_SILENT = "Nothing came back from it: it is down, its address is wrong, or a firewall drops all that we send."
_REFUSING = (
    "The host is up, and nothing listens there: its services are stopped, or its own firewall rejects with resets."
)
_SEE_HOST = "See that the host is up and at this address, then look at firewall, security group and the way back to us."
_SEE_SERVICES = "On that host see which services run and where they listen (`ss -ltn`), and its own firewall."


def hosts(case: Case) -> Iterator[None]:
    """ResourceHostDown: at least PORTS ports of one address are silent, or all of them refuse."""
    times: dict[_Key, int] = {}
    for count, reading in enumerate(case.open.values()):
        if count % BREATH == 0:
            yield
        key = _key(reading)
        if key:
            times[key] = times.get(key, 0) + 1
    several = {key for key, number in times.items() if number >= PORTS}
    kept = any(found.kept for found in case.holds("ResourceHostDown"))
    if not several and not kept:
        return
    groups: dict[_Key, list[Reading]] = {}
    quiet: set[str] = set()  # addresses that are silent at some port: they do not refuse at all of them
    for count, reading in enumerate(case.open.values()):
        if count % BREATH == 0:
            yield
        quiet.update(reading.downs)
        key = _key(reading)
        if key and (kept or key in several):
            groups.setdefault(key, []).append(reading)
    for key, readings in sorted(groups.items()):
        refusing = not readings[0].silent
        if refusing and not any(a in quiet or a in case.accepting for a in key):
            _host(case, key, readings, refusing=True)
        elif not refusing and not any(a in case.ups for a in key):
            _host(case, key, readings, refusing=False)
        yield


def _key(reading: Reading) -> _Key:
    """Return the addresses that failed, if all of them did in the same way; else nothing."""
    if reading.check is not CheckName.TCP or not reading.bad or reading.good:
        return ()
    if reading.silent:
        return reading.downs if len(reading.downs) == 1 else tuple(sorted(reading.downs))
    if reading.reason is Reason.REFUSED and not reading.downs:
        return reading.ups if len(reading.ups) == 1 else tuple(sorted(reading.ups))
    return ()


def _host(case: Case, key: _Key, readings: list[Reading], *, refusing: bool) -> None:
    configured = {address_of(case, reading) for reading in readings}
    target = configured.pop() if len(configured) == 1 else key[0]
    held = case.keeps("ResourceHostDown", target)
    if len(readings) < (1 if held else PORTS):
        return
    first = readings[0]
    values: dict[str, object] = {
        "count": len(readings),
        "how": "refuses" if refusing else "is silent",
        "observed": first.outcome.summary,
        "meaning": _REFUSING if refusing else _SILENT,
        "advice": _SEE_SERVICES if refusing else _SEE_HOST,
        "sample": shlex.quote(key[0]),
        "port": port_of(first),
    }
    if not refusing and any(address in case.scene.dead_next_hops for address in key):
        values["meaning"] = (
            "It is on this link and gives no link address: it is down, unplugged, or has another address."
        )
    found = case.add("ResourceHostDown", target, values, rows=[r.id for r in readings], inferred=True)
    found.values["count"] = len(found.rows)
    found.labels = {"address": target}


def address_of(case: Case, reading: Reading) -> str:
    """Return the address of a port as it is configured."""
    job = case.scene.jobs.get(reading.result.job)
    if job is not None and isinstance(job.spec, TcpSpec):
        return job.spec.address
    return reading.result.target.rpartition(":")[0].strip("[]") or reading.result.target


def port_of(reading: Reading) -> str:
    """Return the port of a row, as its target writes it."""
    return reading.result.target.rpartition(":")[2]


def labels_of(case: Case, reading: Reading) -> Mapping[str, str]:
    """Return what tells the alert of a single failure from others."""
    labels = {"address": reading.result.target}
    if reading.check is CheckName.TCP:
        labels["address"] = address_of(case, reading)
        if not reading.unresolved:
            labels["port"] = port_of(reading)
    if reading.resources:
        labels["resource"] = reading.resources[0]
    return labels
