"""Sockets towards a nameserver, and what it means when there is none."""

import errno
import socket

from checks.model import Reason
from checks.net.answers import AnswerClass, Said
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError, SeatError, net_error
from checks.net.seat import SocketFactory
from checks.net.tcp import family_of

MAX_MESSAGE = 65535  # what the two length bytes of DNS over TCP can say; no UDP datagram is longer either

_OURS = frozenset({Reason.PROBER_STARVED, Reason.PERMISSION_DENIED})

Address = tuple[str, int] | tuple[str, int, int, int]


def make_socket(open_socket: SocketFactory, nameserver: Endpoint, kind: int) -> socket.socket:
    """Make a socket of the nameserver's family. Raises: NetError, which tells our own want from the host's."""
    try:
        return open_socket(family_of(nameserver.host), kind)
    except OSError as error:
        if error.errno == errno.EAFNOSUPPORT:
            raise NetError(Reason.ADDRESS_FAMILY_UNAVAILABLE, net_error(error).evidence) from error
        found = net_error(error)
        if found.reason is Reason.PROBER_STARVED:
            raise found from error
        why = found.evidence if isinstance(error, SeatError) else f"no socket could be made: {found.evidence}"
        raise NetError(Reason.PERMISSION_DENIED, why) from error


def socket_address(nameserver: Endpoint) -> Address:
    """Return the socket address; a scoped one with its number, so that nothing would resolve it in a thread.

    Raises: OSError, when there is no interface of that name.
    """
    host, percent, scope = nameserver.host.partition("%")
    if not percent:
        return host, nameserver.port
    number = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    return host, nameserver.port, 0, number


def failed(error: OSError | NetError, nameserver: Endpoint, *, over_tcp: bool) -> Said:
    """Return what it says about the answer that the kernel reported an error."""
    if isinstance(error, OSError):
        error = _network_error(error, family_of(nameserver.host), over_tcp=over_tcp)
    if error.reason in _OURS:
        return Said(AnswerClass.UNASKED, error.reason, error.evidence)
    klass = AnswerClass.ERROR if error.reason is Reason.MALFORMED_ANSWER else AnswerClass.TIMEOUT
    return Said(klass, error.reason, error.evidence)


def _network_error(error: OSError, family: int, *, over_tcp: bool) -> NetError:
    found = net_error(error, family)
    if found.reason is Reason.RESET:
        return NetError(Reason.MALFORMED_ANSWER, "truncated over UDP, and reset over TCP within the answer")
    if over_tcp:
        return NetError(found.reason, f"truncated over UDP, then over TCP: {found.evidence}")
    if found.reason is Reason.REFUSED:
        return NetError(found.reason, "port unreachable (ICMP): no nameserver listens there")
    return found
