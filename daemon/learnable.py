"""What may be learned under one configuration: to which Resource a connection belongs, and what is out of bounds."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from checks.net.endpoint import Endpoint, is_address
from checks.policy import Network, denied
from daemon.config.addresses import is_pattern, matches, parse_host
from daemon.config.problems import BadValueError
from daemon.config.schema import Config, Relays, Resource

RELAY_DOMAIN = ".twingate.com"  # a Relay named outside of it could resolve to anything, past the deny list
_WILDCARDS = str.maketrans("", "", "*?")
_WHOLE_ADDRESS = 1000  # ranks an address written in full before every pattern and network


@dataclass(frozen=True, slots=True)
class _Wide:
    """A Resource, what its address takes in, and how much that says (`rank`: more is more precise).

    `end` is what a name must end with; nearly all names are told apart by it.
    """

    resource: Resource
    network: Network | None
    end: str
    rank: int

    def covers(self, address: str) -> bool:
        """Tell whether the Resource's own address rule takes this address in."""
        if self.network is not None:
            return is_address(address) and ipaddress.ip_address(address) in self.network
        return address.endswith(self.end) and matches(self.resource.address, address)


class Learnable:
    """Decides by the configuration alone; what a log line claims only helps to find the Resource sooner."""

    def __init__(self, config: Config) -> None:
        self._relays = config.relays
        self._probing = config.probing
        self._written: dict[str, Resource] = {}  # the first at each address
        self._shared: dict[str, list[Resource]] = {}  # and the others, where there are such
        self._forbidden: list[_Wide] = []
        self._wide: dict[str, list[_Wide]] = {}
        for resource in config.resources:
            for address in written_addresses(resource):
                if self._written.setdefault(address, resource) is not resource:
                    self._shared.setdefault(address, []).append(resource)
            if resource.probe in ("never", "dns"):
                self._forbidden.append(_wide(resource))
            elif resource.tcp is None or is_wide(resource.address):
                self._wide.setdefault(resource.address, []).append(_wide(resource))
        self._by_rank = sorted((one for few in self._wide.values() for one in few), key=lambda one: -one.rank)

    @property
    def rules(self) -> int:
        """How many addresses of Resources there are behind which something can be learned."""
        return len(self._wide)

    def rule_for(self, address: str, port: int, *, ip: str | None = None, hint: str = "") -> str | None:
        """Return the address of the Resource behind which this was used, or None when it must not be learned.

        `address` is in canonical form; `ip` is where a name led; `hint` is the rule that the log line names. Where
        several Resources fit, the one whose address says most decides. Never learned: what the configuration names
        already, what a Resource with `probe: never` or `probe: dns` covers, and what `probing.deny` holds.
        """
        if not self._permitted(address, ip):
            return None
        written = self._written.get(address)
        others = self._shared.get(address, ())
        if written is not None and any(_probes(resource, port) for resource in (written, *others)):
            return None
        if any(allows(one.resource, port) and one.covers(address) for one in self._forbidden):
            return None
        hinted = self._wide.get(hint.lower(), ())
        for candidates in (hinted, self._by_rank):
            for one in candidates:
                if allows(one.resource, port) and one.covers(address):
                    return one.resource.address
        return None

    def relay_allowed(self, endpoint: Endpoint) -> bool:
        """Tell whether a Relay in use may be probed and become proven.

        One that the operator named is proven already. Relays need IPv4.
        """
        host = endpoint.host
        if not self._relays.learn or not 1 <= endpoint.port <= 65535 or canonical(host) != host:
            return False
        if endpoint in self._relays.endpoints and endpoint not in Relays().endpoints:
            return False
        if self._probing.ports.get(endpoint.port) == "half_open":  # Relays are connected to
            return False
        if is_address(host):
            return ":" not in host and self._permitted(host, None)
        return host.endswith(RELAY_DOMAIN)

    def _permitted(self, address: str, ip: str | None) -> bool:
        literals = {text for text in (address, ip) if text is not None and is_address(text)}
        deny, allow = self._probing.deny, self._probing.allow
        return not any(denied(text, deny, allow, literal_allowed=text in self._written) for text in literals)


@lru_cache(maxsize=4096)
def canonical(address: str) -> str | None:
    """Return an address or name as the configuration would write it; None when it is neither."""
    try:
        return parse_host(address)
    except BadValueError:
        return None


def written_addresses(resource: Resource) -> tuple[str, ...]:
    """Return the names and literal addresses that stand in the file for a Resource."""
    return resource.samples if is_wide(resource.address) else (resource.address,)


def is_wide(address: str) -> bool:
    """Tell whether an address stands for many: a pattern or a CIDR."""
    return "/" in address or is_pattern(address)


def allows(resource: Resource, port: int) -> bool:
    """Tell whether a Resource permits a TCP port."""
    return resource.tcp is None or any(port in ports for ports in resource.tcp)


def covers(resource: Resource, address: str) -> bool:
    """Tell whether the pattern or network of a Resource takes in a name or literal address, in canonical form."""
    return _wide(resource).covers(address)


def _wide(resource: Resource) -> _Wide:
    address = resource.address
    if "/" in address:
        network = ipaddress.ip_network(address)
        return _Wide(resource, network, "", network.prefixlen)
    rank = len(address.translate(_WILDCARDS)) if is_pattern(address) else _WHOLE_ADDRESS
    return _Wide(resource, None, address.replace("?", "*").rpartition("*")[2], rank)


def _probes(resource: Resource, port: int) -> bool:
    """Tell whether the configuration names this port of the Resource, by itself or in a range."""
    return port in resource.probe_ports if resource.tcp is None else allows(resource, port)
