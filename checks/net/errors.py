"""One table from what the kernel, TLS and the network say to a `Reason`."""

import errno
import os
import socket
import ssl

from checks.model import Reason

_BY_ERRNO = {
    errno.ECONNREFUSED: Reason.REFUSED,
    errno.ECONNRESET: Reason.RESET,
    errno.ECONNABORTED: Reason.RESET,
    errno.EPIPE: Reason.RESET,
    errno.ETIMEDOUT: Reason.TIMEOUT,
    errno.EHOSTUNREACH: Reason.UNREACHABLE,
    errno.EHOSTDOWN: Reason.UNREACHABLE,
    errno.ENETUNREACH: Reason.NO_ROUTE,
    errno.ENETDOWN: Reason.NO_ROUTE,
    errno.EINVAL: Reason.NO_ROUTE,
    errno.EPERM: Reason.BLOCKED_LOCALLY,
    errno.EACCES: Reason.BLOCKED_LOCALLY,
    # Our own limits: nothing was learned about the target.
    errno.EMFILE: Reason.PROBER_STARVED,
    errno.ENFILE: Reason.PROBER_STARVED,
    errno.EADDRNOTAVAIL: Reason.PROBER_STARVED,
    errno.ENOBUFS: Reason.PROBER_STARVED,
    errno.ENOMEM: Reason.PROBER_STARVED,
    errno.EAGAIN: Reason.PROBER_STARVED,
}
_BY_ERRNO_V6 = {
    errno.EADDRNOTAVAIL: Reason.ADDRESS_FAMILY_UNAVAILABLE,
    errno.EAFNOSUPPORT: Reason.ADDRESS_FAMILY_UNAVAILABLE,
}


class NetError(Exception):
    """A network operation failed in a way that has a name.

    `reason` is the verdict's reason, `evidence` what exactly was seen ("Connection refused (ECONNREFUSED)").
    """

    def __init__(self, reason: Reason, evidence: str) -> None:
        super().__init__(f"{reason}: {evidence}")
        self.reason = reason
        self.evidence = evidence


class SeatError(OSError):
    """The place from which a probe looks can't be taken: our ignorance, never the target's fault.

    `reason` is `not_running` (the Connector's process, whose place it is, is gone) or `permission_denied` (the helper
    that hands out its sockets is not there or refuses); `evidence` is one clause for a person.
    """

    def __init__(self, reason: Reason, evidence: str) -> None:
        super().__init__(evidence)
        self.reason = reason
        self.evidence = evidence


def net_error(error: OSError, family: int = socket.AF_INET) -> NetError:
    """Return the `NetError` for what the kernel or TLS raised while speaking to an address of `family`."""
    if isinstance(error, SeatError):
        return NetError(error.reason, error.evidence)
    if isinstance(error, ssl.SSLError):
        return NetError(Reason.TLS_FAILED, error.reason or str(error))
    if isinstance(error, TimeoutError) and error.errno is None:
        return NetError(Reason.TIMEOUT, "no answer within the time-out")
    number = error.errno or 0
    reason = _BY_ERRNO_V6.get(number) if family == socket.AF_INET6 else None
    reason = reason or _BY_ERRNO.get(number, Reason.UNREACHABLE)
    name = errno.errorcode.get(number, str(number))
    return NetError(reason, f"{os.strerror(number)} ({name})")
