"""Which destinations lie in networks whose routes changed: quick, for it is asked of each of 10,000 rows."""

import ipaddress
import socket
from collections.abc import Iterable

from checks.model import Json
from daemon.jobs import Result

_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class Destinations:
    """A set of networks; `address in destinations` tells whether a literal address lies in one of them."""

    def __init__(self, networks: Iterable[str]) -> None:
        self._prefixes: dict[int, dict[int, set[int]]] = {4: {}, 6: {}}  # version → bits left → networks
        for text in networks:
            network = ipaddress.ip_network(text)
            left = network.max_prefixlen - network.prefixlen
            self._prefixes[network.version].setdefault(left, set()).add(int(network.network_address) >> left)

    def __contains__(self, address: str) -> bool:
        version = 6 if ":" in address else 4
        prefixes = self._prefixes[version]
        if not prefixes:
            return False
        try:
            number = int.from_bytes(socket.inet_pton(_FAMILIES[version], address.partition("%")[0]), "big")
        except OSError:
            return False
        return any(number >> left in found for left, found in prefixes.items())


def addresses_of(result: Result) -> tuple[str, ...]:
    """Return the addresses that a row's last run connected to, or found for a name."""
    found: Json = result.outcome.facts.get("addresses")
    return tuple(str(address) for address in found) if isinstance(found, tuple | list) else ()
