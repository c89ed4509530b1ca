"""Which targets stand side by side in the network: what cuts one of them off often cuts off the others."""

import sys
from socket import AF_INET6, inet_ntop, inet_pton

_REST_OF_64 = bytes(8)


def subnet_of(address: str) -> str | None:
    """Return the /24 (IPv4) or /64 (IPv6) of a literal address in canonical form; None for what is none.

    The text is one object for all who ask: thousands of targets keep it.
    """
    if ":" in address:
        try:
            packed = inet_pton(AF_INET6, address.partition("%")[0])
        except (OSError, ValueError):  # ValueError: a NUL byte
            return None
        return sys.intern(inet_ntop(AF_INET6, packed[:8] + _REST_OF_64) + "/64")
    network, _, last = address.rpartition(".")
    if not last.isdecimal() or network.count(".") != 2:
        return None  # a name: no top-level domain is a number
    return sys.intern(network + ".0/24")
