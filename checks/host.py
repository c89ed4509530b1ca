"""Can anything leave this host at all: a default route, a way out over IPv4, and file descriptors left?

What must hold: there is a default route, and the kernel knows a way from an IPv4 address of this host to public
addresses through an interface with a carrier. Relays are reached over IPv4 only: a host that has IPv6 alone looks
healthy and carries nobody. No packet is sent: the kernel is asked for its routes.

- ok: both hold.
- warning: `fds_low`, less than 20 % of this process's file descriptors are free, or more than 90 % of the host's
  are used.
- critical: `no_route`, no default route (two halves, as VPNs install them, count as one, and so does a default route
  in another table that policy routing uses), or no IPv4 way out. `no_ipv4`, the way out is IPv6 only.
- unknown: `permission_denied` or `prober_starved`, the kernel (or the helper that stands in the Connector's network)
  did not let us ask. `not_running`, the Connector whose network it is does not run.

From the Connector's seat all this is about the Connector's network namespace, which may be a container's own.

A missing default route silences nothing. When no interface but loopback is up with an address (fact `loopback_only`),
the Resources are skipped: nothing could be learned about them from here.

Measured: nothing. Facts: `default_route` (interface, gateway, metric), `source_address` (of this host), `ipv4_way_out`,
`loopback_only`, `interfaces`, `fds` (used and limit of this process).
What it can't see: whether the gateway forwards (see `control_plane` and `relay`).

By hand: ip route get 203.0.113.1; ip -br addr; ulimit -n
Source: proc(5), ip-route(8); Twingate, "Connector best practices" (outbound only; Relays need IPv4).
"""

import resource
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from checks.advice import one_line
from checks.hostnet import PUBLIC_ADDRESSES, Interface, Route, default_route, read_interfaces, read_routes
from checks.model import Json, Outcome, Reason, Rows, Status
from checks.net.errors import SeatError, net_error
from checks.net.seat import Context, Seat

TARGET = "network"
CRITICAL_REASONS = frozenset({Reason.NO_ROUTE, Reason.NO_IPV4})
FREE_FDS = 0.2  # share of this process's descriptors; the Connector's own guide counts 8 for each tunnel
USED_HOST_FDS = 0.9
MAX_INTERFACES = 32  # of a host full of containers, the first ones tell enough


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    """`proc` is this process's /proc, for its descriptors; the network's tables are the seat's."""

    timeout_s: float = 5.0
    proc: Path = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """What was read. `ways` are the public addresses with a route, and this host's address towards each."""

    routes: tuple[Route, ...]
    interfaces: tuple[Interface, ...]
    ways: Mapping[str, str]


async def probe(spec: HostSpec, context: Context) -> Rows:
    """Ask the kernel for its routes, addresses and descriptors; one row."""
    try:
        network = _read(context.seat)
    except OSError as error:
        return {TARGET: _unreadable(context.seat, error)}
    facts = _facts(network)
    ours, host = _descriptors(spec.proc)
    if ours:
        facts["fds"] = {"used": ours[0], "limit": ours[1]}
    if host:
        facts["host_fds"] = {"used": host[0], "limit": host[1]}
    return {TARGET: _no_way_out(context.seat, network, facts) or _few_descriptors(ours, host, facts) or _fine(facts)}


def _read(seat: Seat) -> _Network:
    with seat.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        interfaces = read_interfaces(sock, seat.read_net)
    ways = {public: way for public in PUBLIC_ADDRESSES if (way := _source_towards(seat, public))}
    return _Network(routes=read_routes(seat.read_net), interfaces=interfaces, ways=ways)


def _source_towards(seat: Seat, public: str) -> str | None:
    """Return our address on the way to `public`; None when there is no way."""
    # Connecting a UDP socket makes the kernel choose route and source address, by all its tables and rules, and sends
    # nothing. A loopback source means that the address is routed back to ourselves.
    with seat.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((public, 9))
        except OSError:
            return None
        source: str = sock.getsockname()[0]
        return None if source.startswith("127.") else source


def _facts(network: _Network) -> dict[str, Json]:
    route = default_route(network.routes, 4)
    return {
        "default_route": None
        if route is None
        else {"interface": route.interface, "gateway": route.gateway, "metric": route.metric},
        "source_address": next(iter(network.ways.values()), None),
        "ipv4_way_out": bool(network.ways) and not _no_carrier(network, route),
        "loopback_only": not network.ways and not any(i.usable for i in network.interfaces),
        "interfaces": tuple(
            {"name": i.name, "addresses": i.addresses, "up": i.up, "running": i.running}
            for i in network.interfaces[:MAX_INTERFACES]
        ),
    }


def _place(seat: Seat) -> str:
    return "the Connector's network" if seat.name == "connector" else "this host"


def _by_hand(seat: Seat, *commands: str) -> str:
    """Return how to repeat commands by hand: in the Connector's own network namespace when it has one."""
    mark = seat.mark()
    inside = f"nsenter -t {mark[0]} -n " if isinstance(mark, tuple) else ""
    return "Repeat it by hand on this host: " + "; ".join(inside + command for command in commands)


def _no_carrier(network: _Network, route: Route | None) -> bool:
    """Tell whether the default route leads through an interface that is down or unplugged; the kernel still uses it."""
    return route is not None and any(i.name == route.interface and not i.running for i in network.interfaces)


def _no_way_out(seat: Seat, network: _Network, facts: dict[str, Json]) -> Outcome | None:
    route, here = default_route(network.routes, 4), _place(seat)
    by_hand = _by_hand(seat, f"ip route get {PUBLIC_ADDRESSES[-1]}", "ip -br addr")
    if facts["loopback_only"]:
        return _critical(
            Reason.NO_ROUTE,
            "no interface but loopback is up with an address",
            f"Bring the network up: look for the cable, DHCP, or the container's network. {by_hand}",
            facts,
        )
    if not network.ways:
        if default_route(network.routes, 6) is not None:
            return _critical(
                Reason.NO_IPV4,
                f"{here} has a way out over IPv6 only, and Relays need IPv4",
                f"Give {here} an IPv4 address with a way to the internet (NAT is fine). {by_hand}",
                facts,
            )
        had = "no default route" if route is None else f"a default route through {route.interface} that leads nowhere"
        return _critical(
            Reason.NO_ROUTE,
            f"{had}: nothing leaves {here} over IPv4",
            f"Add a default route, or find out who removed it (DHCP, NetworkManager, VPN). {by_hand}",
            facts,
        )
    if route is not None and _no_carrier(network, route):
        return _critical(
            Reason.NO_ROUTE,
            f"the default route leads through {route.interface}, which is down or has no carrier",
            f"Look at the cable or the virtual link of {route.interface}. {_by_hand(seat, 'ip -br link')}",
            facts,
        )
    if route is None and len(network.ways) < len(PUBLIC_ADDRESSES):
        return _critical(
            Reason.NO_ROUTE,
            "no default route: only some public addresses have a route",
            f"Add a default route: Twingate's addresses change at any time. {by_hand}",
            facts,
        )
    return None


def _few_descriptors(
    ours: tuple[int, int] | None, host: tuple[int, int] | None, facts: dict[str, Json]
) -> Outcome | None:
    if ours and ours[1] - ours[0] < ours[1] * FREE_FDS:
        what = f"{ours[0]} of this process's {ours[1]} file descriptors are in use"
        fix = "Raise LimitNOFILE= of this service, or lower schedule.concurrency. By hand: ls /proc/PID/fd | wc -l"
    elif host and host[0] > host[1] * USED_HOST_FDS:
        what = f"{host[0]} of this host's {host[1]} file descriptors are in use"
        fix = "Find out who holds them (lsof), or raise fs.file-max. By hand: cat /proc/sys/fs/file-nr"
    else:
        return None
    return Outcome(status=Status.WARNING, summary=what, reason=Reason.FDS_LOW, action=fix, facts=facts)


def _fine(facts: dict[str, Json]) -> Outcome:
    route = facts["default_route"]
    through = f"through {route['interface']}" if isinstance(route, Mapping) else "by policy routing"
    return Outcome(status=Status.OK, summary=f"IPv4 leaves {through} from {facts['source_address']}", facts=facts)


def _critical(reason: Reason, summary: str, action: str, facts: dict[str, Json]) -> Outcome:
    return Outcome(status=Status.CRITICAL, summary=summary, reason=reason, action=action, facts=facts)


_UNREADABLE = {
    Reason.PROBER_STARVED: "Raise LimitNOFILE= of this service.",
    Reason.NOT_RUNNING: "See the row of the check connector: it tells why the Connector does not run.",
}


def _unreadable(seat: Seat, error: OSError) -> Outcome:
    """Return what is said when tables or sockets can't be had."""
    why = net_error(error)
    whose = "the Connector's" if seat.name == "connector" else "the host's"
    action = "Let this service read /proc/net."
    if isinstance(error, SeatError):
        action = "Let connector-health-netns, which reads it for us, run with its capabilities."
    return Outcome(
        status=Status.UNKNOWN,
        summary=one_line(f"{whose} network could not be read: {why.evidence}"),
        reason=why.reason if why.reason in _UNREADABLE else Reason.PERMISSION_DENIED,
        action=_UNREADABLE.get(why.reason, action),
    )


def _descriptors(proc: Path) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """Return (used, limit) of this process and of the host; None where they can't be read."""
    ours = host = None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    try:
        ours = (sum(1 for _ in (proc / "self" / "fd").iterdir()), limit) if limit != resource.RLIM_INFINITY else None
        allocated, unused, most = (proc / "sys/fs/file-nr").read_text().split()
        host = (int(allocated) - int(unused), int(most))
    except (OSError, ValueError):
        pass  # what can't be read is not judged: the routes are what this check is about
    return ours, host
