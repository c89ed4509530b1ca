"""What a trace saw, in sentences: ways, users and when."""

from checks.advice import duration
from checks.connlog.model import ConnectionKind
from checks.net.hops import HopTrace
from checks.net.icmp import Stop
from daemon.moments import ago
from daemon.trace.facts import EventCount, PortSeen, TraceFacts
from daemon.words import count

KINDS = {
    ConnectionKind.ESTABLISHED: "established",
    ConnectionKind.DNS_LOOKUP_ERROR: '"DNS lookup error"',
    ConnectionKind.UNABLE_TO_CONNECT: '"Unable to connect"',
    ConnectionKind.DENIED: "denied",
    ConnectionKind.CLOSED: "closed",
}
"""Kinds of connection events as the Admin Console and the guide call them."""


def hops_line(way: HopTrace) -> str:
    """Return the routers that answered, nearest first; a silent one is a gap in the numbers."""
    return ", ".join(f"{hop.ttl} {hop.address} ({duration(hop.seconds)})" for hop in way.hops)


_ENDS = {
    Stop.PROHIBITED: "{by} rejects them: administratively prohibited{icmp}",
    Stop.HOST_UNREACHABLE: "{by} says that the host is unreachable{icmp}",
    Stop.NET_UNREACHABLE: "{by} says that the network is unreachable: it has no route{icmp}",
    Stop.OWN_FIREWALL: "the firewall or policy of {place} itself stops them{icmp}",
    Stop.NO_ROUTE: "{place} has no route",
    Stop.LOOP: "they go round between {between}: a routing loop",
    Stop.REACHED: "the host itself answers over UDP: packets get there{dropped}",
    Stop.REFUSED: "{by} refuses the connection{icmp}",
    Stop.ACCEPTED: "a further try was accepted: it answers now and then, or slowly",
    Stop.NOT_TRIED: "not tried: {why}",
}


def end_of(way: HopTrace, place: str, *, failed: bool = True) -> str:
    """Return where and why packets stop: a clause.

    `place`: whose network they start from. `failed`: the port was tried, in vain.
    """
    last = way.last
    if way.stop is Stop.SILENCE:
        if last is None:
            return "silence from the start: not even the first router answers"
        return f"silence after {last.address} (router {last.ttl}): it, or what comes next, drops them"
    if way.stop is Stop.HOST_UNREACHABLE and way.by is None:
        return f"{place} itself finds no such host: nobody answers on the link"
    return _ENDS[way.stop].format(
        by=way.by,
        place=place,
        icmp=f" (ICMP type {way.icmp[0]} code {way.icmp[1]})" if way.icmp else "",
        between=" and ".join(dict.fromkeys(hop.address for hop in way.hops[-2:])),
        why=way.evidence or "no time was left",
        dropped=", and it, or a filter before it, drops this port" if failed else "",
    )


def tried_in_vain(port: PortSeen) -> bool:
    """Tell whether a port was tried and did not accept: one that must not be touched says nothing."""
    return port.verdict != "not_touched"


def way_sentence(port: PortSeen, place: str) -> str:
    """Return the way to one address, as a line of evidence."""
    if port.way is None:
        return ""
    by = " by UDP" if port.way.method == "udp" else ""
    through = f" go through {hops_line(port.way)};" if port.way.hops else ":"
    return f"packets to {port.address}{by}{through} {end_of(port.way, place, failed=tried_in_vain(port))}"


def place_of(facts: TraceFacts) -> str:
    """Return whose network the probes started from."""
    return "the Connector's network" if facts.seat == "connector" else "this host"


def event_line(event: EventCount, now: float) -> str:
    """Return what the log shows of one kind of event."""
    when = f"last {ago(now - event.last_at)} ago"
    if not event.count:
        return f"none {KINDS[event.kind]} in the last hour, {when}"
    users = f" of {count(event.users, 'user')}" if event.users else ""
    return f"{event.count} {KINDS[event.kind]}{users} in the last hour, {when}"
