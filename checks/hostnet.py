"""What this host's network looks like: routes, interfaces and addresses, read from the kernel without any packet.

Routes and IPv6 addresses are read from the tables of /proc/net as the seat hands them out, interfaces and IPv4
addresses through its socket, so that both can be another network namespace's.
Source: proc(5), netdevice(7), rtnetlink(7), Linux include/uapi/linux/{route,if}.h.
"""

import array
import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from checks.net.seat import NetReader

RTF_UP, RTF_REJECT = 0x0001, 0x0200
_IFF_UP, _IFF_LOOPBACK, _IFF_RUNNING = 0x1, 0x8, 0x40
_SIOCGIFCONF, _SIOCGIFFLAGS = 0x8912, 0x8913
_NAME_BYTES = 16
_IFREQ_BYTES = _NAME_BYTES + 8 + 2 * struct.calcsize("P")  # struct ifreq; its union is as large as struct ifmap
_MAX_IFREQS = 1024  # hosts with thousands of container interfaces: their first thousand tell enough
# Where the way out is asked for: Twingate's own Relay block, then documentation networks that nobody routes specially
# (RFC 5737). Asking for the route to an address sends nothing.
PUBLIC_ADDRESSES = ("167.254.176.1", "192.0.2.1", "198.51.100.1", "203.0.113.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One usable route of the main table. `gateway` is empty when the destination is on the link."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    interface: str
    gateway: str
    metric: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """An interface with its addresses; `running` means up and with a carrier."""

    name: str
    up: bool
    running: bool
    loopback: bool
    addresses: tuple[str, ...]

    @property
    def usable(self) -> bool:
        """Tell whether anything could leave through it: a carrier, and an address of more than link-local scope."""
        return self.running and not self.loopback and any(not _confined(a) for a in self.addresses)


def read_routes(read_net: NetReader) -> tuple[Route, ...]:
    """Return the usable IPv4 and IPv6 routes of the main table. Raises: OSError."""
    return parse_routes(read_net("route")) + parse_ipv6_routes(_read_ipv6(read_net, "ipv6_route"))


def parse_routes(text: str) -> tuple[Route, ...]:
    """Read /proc/net/route; rejecting routes and lines of another shape are left out."""
    routes = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) < 8:
            continue
        try:
            flags, metric = int(fields[3], 16), int(fields[6])
            network = ipaddress.IPv4Network((_ipv4(fields[1]), str(ipaddress.IPv4Address(_ipv4(fields[7])))))
            gateway = ipaddress.IPv4Address(_ipv4(fields[2]))
        except (ValueError, struct.error):
            continue
        if flags & RTF_UP and not flags & RTF_REJECT:
            shown = "" if int(gateway) == 0 else str(gateway)
            routes.append(Route(network=network, interface=fields[0], gateway=shown, metric=metric))
    return tuple(routes)


def parse_ipv6_routes(text: str) -> tuple[Route, ...]:
    """Read /proc/net/ipv6_route; rejecting routes and lines of another shape are left out."""
    routes = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 10:
            continue
        try:
            network = ipaddress.IPv6Network((bytes.fromhex(fields[0]), int(fields[1], 16)))
            gateway = ipaddress.IPv6Address(bytes.fromhex(fields[4]))
            metric, flags = int(fields[5], 16), int(fields[8], 16)
        except ValueError:
            continue
        if flags & RTF_UP and not flags & RTF_REJECT:
            shown = "" if int(gateway) == 0 else str(gateway)
            routes.append(Route(network=network, interface=fields[9], gateway=shown, metric=metric))
    return tuple(routes)


def default_route(routes: Iterable[Route], version: int) -> Route | None:
    """Return the preferred default route of an IP version; the pair of halves that VPNs install counts as one."""
    ours = [r for r in routes if r.network.version == version and r.interface != "lo"]
    whole = [r for r in ours if r.network.prefixlen == 0]
    halves = [r for r in ours if r.network.prefixlen == 1]
    if len({r.network for r in halves}) == 2:
        return min(halves, key=lambda r: r.metric)  # more specific than any whole default route
    return min(whole, key=lambda r: r.metric, default=None)


def read_interfaces(sock: socket.socket, read_net: NetReader) -> tuple[Interface, ...]:
    """Return the interfaces of the namespace in which `sock` was made. Raises: OSError."""
    addresses: dict[str, list[str]] = {name: [] for name in _names(read_net("dev"))}
    for label, address in _ipv4_addresses(sock):
        addresses.setdefault(label.partition(":")[0], []).append(address)
    for name, address in parse_if_inet6(_read_ipv6(read_net, "if_inet6")):
        addresses.setdefault(name, []).append(address)
    found = []
    for name, values in addresses.items():
        flags = _flags(sock, name)
        found.append(
            Interface(
                name=name,
                up=bool(flags & _IFF_UP),
                running=bool(flags & _IFF_UP and flags & _IFF_RUNNING),
                loopback=bool(flags & _IFF_LOOPBACK),
                addresses=tuple(values),
            )
        )
    return tuple(found)


def parse_if_inet6(text: str) -> tuple[tuple[str, str], ...]:
    """Return (interface, address) of each line of /proc/net/if_inet6; lines of another shape are left out."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) != 6:
            continue
        with contextlib.suppress(ValueError):
            found.append((fields[5], str(ipaddress.IPv6Address(bytes.fromhex(fields[0])))))
    return tuple(found)


def _ipv4(text: str) -> bytes:
    """Return the address that /proc/net/route writes in this machine's own byte order. Raises: ValueError."""
    return struct.pack("=I", int(text, 16))


def _read_ipv6(read_net: NetReader, name: str) -> str:
    """Return a table of IPv6, which does not exist when IPv6 is disabled at boot. Raises: OSError."""
    try:
        return read_net(name)
    except FileNotFoundError:
        return ""


def _names(dev: str) -> tuple[str, ...]:
    lines = dev.splitlines()[2:]
    return tuple(line.partition(":")[0].strip() for line in lines if ":" in line)


def _ipv4_addresses(sock: socket.socket) -> tuple[tuple[str, str], ...]:
    buffer = array.array("B", bytes(_IFREQ_BYTES * _MAX_IFREQS))
    start, room = buffer.buffer_info()
    size, _ = struct.unpack("iP", fcntl.ioctl(sock, _SIOCGIFCONF, struct.pack("iP", room, start)))
    raw = buffer.tobytes()[:size]
    found = []
    for at in range(0, len(raw), _IFREQ_BYTES):
        name = raw[at : at + _NAME_BYTES].split(b"\0", 1)[0].decode("utf-8", "replace")
        packed = raw[at + _NAME_BYTES + 4 : at + _NAME_BYTES + 8]  # struct sockaddr_in: family, port, address
        found.append((name, str(ipaddress.IPv4Address(packed))))
    return tuple(found)


def _flags(sock: socket.socket, name: str) -> int:
    try:
        answer = fcntl.ioctl(sock, _SIOCGIFFLAGS, struct.pack(f"{_IFREQ_BYTES}s", name.encode()))
    except OSError:
        return 0  # gone since it was listed
    flags: int = struct.unpack_from("=H", answer, _NAME_BYTES)[0]
    return flags


def _confined(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_link_local or parsed.is_loopback
