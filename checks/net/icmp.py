"""What routers and hosts say of a packet by ICMP, as the kernel hands it to the socket that sent it. No verdicts here.

Source: ip(7) and ipv6(7) (IP_RECVERR, IPV6_RECVERR, struct sock_extended_err), RFC 792, RFC 1812 section 5.2.7.1,
RFC 4443.
"""

import errno
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

MAX_REPLY = 512  # bytes: the head of our own packet comes back, and it is empty

_IP_RECVERR, _IPV6_RECVERR = 11, 25
_RECEIVED = ((socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR))
_ORIGIN_ICMP, _ORIGIN_ICMP6 = 2, 3
_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err; the offender's socket address follows
_TIME_EXCEEDED, _TIME_EXCEEDED6 = 11, 3


class Stop(StrEnum):
    """What became of the packets in the end."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    REACHED = "reached"  # by UDP: the target itself answered that nobody listens on the high port
    PROHIBITED = "prohibited"
    HOST_UNREACHABLE = "host_unreachable"
    NET_UNREACHABLE = "net_unreachable"
    OWN_FIREWALL = "own_firewall"
    NO_ROUTE = "no_route"
    LOOP = "loop"
    SILENCE = "silence"
    NOT_TRIED = "not_tried"


@dataclass(frozen=True, slots=True)
class Answer:
    """How one packet ended.

    - `stop` is None where a router on the way found its number of routers used up.
    - `by`: who said so; None: this host's kernel. `icmp`: type and code. `evidence`: the kernel's own words.
    """

    stop: Stop | None
    by: str | None = None
    icmp: tuple[int, int] | None = None
    evidence: str = ""


_STOPS: Mapping[int, Stop] = {
    0: Stop.NET_UNREACHABLE, 3: Stop.REFUSED, 6: Stop.NET_UNREACHABLE, 9: Stop.PROHIBITED, 10: Stop.PROHIBITED,
    11: Stop.NET_UNREACHABLE, 13: Stop.PROHIBITED,
}  # fmt: skip
_STOPS6: Mapping[int, Stop] = {
    0: Stop.NET_UNREACHABLE, 1: Stop.PROHIBITED, 4: Stop.REFUSED, 5: Stop.PROHIBITED, 6: Stop.PROHIBITED,
}  # fmt: skip


def want_errors(sock: socket.socket, family: int, ttl: int) -> None:
    """Let the packets of a socket pass `ttl` routers, and have its errors told in full. Raises: OSError."""
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        sock.setsockopt(socket.IPPROTO_IP, _IP_RECVERR, 1)


def read_error_queue(sock: socket.socket) -> Answer | None:
    """Return the first entry of a socket's error queue; None when there is none."""
    try:
        _, ancillary, _, _ = sock.recvmsg(MAX_REPLY, MAX_REPLY, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    return next((parse_error(data) for level, kind, data in ancillary if (level, kind) in _RECEIVED), None)


def parse_error(data: bytes) -> Answer | None:
    """Read an entry of the error queue; None when it is too short to be one."""
    if len(data) < _ERROR.size:
        return None
    number, origin, kind, code, *_ = _ERROR.unpack_from(data)
    if origin not in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
        return Answer(stop_of_errno(number), evidence=errno.errorcode.get(number, str(number)))
    by = _offender(data[_ERROR.size :])
    if kind == (_TIME_EXCEEDED if origin == _ORIGIN_ICMP else _TIME_EXCEEDED6):
        return Answer(None, by, (kind, code))
    stops = _STOPS if origin == _ORIGIN_ICMP else _STOPS6
    return Answer(stops.get(code, Stop.HOST_UNREACHABLE), by, (kind, code))


def stop_of_errno(number: int) -> Stop:
    """Return what it means that the kernel would not send a packet, or gave it up."""
    if number in (errno.EPERM, errno.EACCES):
        return Stop.OWN_FIREWALL
    return Stop.HOST_UNREACHABLE if number in (errno.EHOSTUNREACH, errno.EHOSTDOWN) else Stop.NO_ROUTE


def _offender(data: bytes) -> str | None:
    """Return the address of a socket address as the kernel lays it out; None when it names none."""
    family = struct.unpack_from("=H", data)[0] if len(data) >= 2 else 0
    if family == socket.AF_INET and len(data) >= 8:
        return socket.inet_ntop(socket.AF_INET, data[4:8])
    if family == socket.AF_INET6 and len(data) >= 24:
        return socket.inet_ntop(socket.AF_INET6, data[8:24])
    return None
