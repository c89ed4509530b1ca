"""What a probe may touch: decisions about addresses and ports, without any I/O.

Source: RFC 4291 section 2.5.5.2 (IPv4-mapped), RFC 6052 and RFC 8215 (NAT64), RFC 3056 (6to4).
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeAlias

from checks.model import Reason

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Method: TypeAlias = Literal["connect", "half_open"]

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
NO_RIGHT = (
    "Give this program the right to raw sockets while it starts (CAP_NET_RAW), or connector-health-netns where it "
    "looks from the Connector's network: healthctl explain half_open"
)
"""What to do where half-open probes are not available."""
_SET_TO_CONNECT = (
    "Take `connect` out of the Resource's `probe`, or of `probing.method`: this port is then probed half-open, where "
    "there is the right to (healthctl explain half_open)."
)
_IPV4_COMPATIBLE = ipaddress.IPv6Network("::/96")
_LOW_32 = 0xFFFFFFFF
# Linux connects the unspecified addresses to this host.
_UNSPECIFIED = {
    ipaddress.ip_address("0.0.0.0"): ipaddress.ip_address("127.0.0.1"),
    ipaddress.ip_address("::"): ipaddress.ip_address("::1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PortDecision:
    """How one port is probed.

    - `method` is None when it is not; then `reason` and `why` (one sentence for a person) tell why not, and `action`
      what to do, where anything can be done.
    - `min_interval_s`: seconds between two probes at least; 0 when the port has no such policy.
    - `confirmable`: False keeps the fast confirmation away.
    """

    method: Method | None
    reason: Reason | None = None
    why: str = ""
    action: str = ""
    min_interval_s: float = 0.0
    confirmable: bool = True


def denied(address: str, deny: tuple[Network, ...], allow: tuple[Network, ...], *, literal_allowed: bool) -> bool:
    """Tell whether no probe may go to a literal address.

    An IPv6 address that only wraps an IPv4 address counts as both: ::ffff:127.0.0.1 and the NAT64 form of a denied
    address are denied. `allow` wins. `literal_allowed`: the address itself stands in the operator's file.
    """
    if literal_allowed:
        return False
    forms = _forms(address)
    return _within(forms, deny) and not _within(forms, allow)


def method_for(
    port: int,
    *,
    method: Literal["auto", "connect", "half_open"],
    ports: Mapping[int, Literal["half_open"] | float],
    probe: Literal["auto", "connect", "half_open", "dns", "never"],
    half_open_available: bool = False,
) -> PortDecision:
    """Decide how a Resource's port is probed.

    `method` and `ports` are `probing.method` and `probing.ports` (seconds), `probe` is the Resource's own. A port
    with the policy `half_open` is never probed by connect, not even where the Resource says `probe: connect`: the
    policy protects the server. Change the policy in `probing.ports` to change that.
    """
    if probe in ("never", "dns"):
        return _refusal(Reason.NOT_PROBEABLE, f"the Resource is set to probe: {probe}")
    wanted = method if probe == "auto" else probe
    policy = ports.get(port)
    never_connect = policy == "half_open"
    if half_open_available and wanted != "connect":
        return PortDecision(method="half_open")
    if never_connect or wanted == "half_open":
        whose = (
            f"port {port} may only be probed half-open (a connect can harm the service)"
            if never_connect
            else ("the method is set to half_open")
        )
        if wanted == "connect":
            return _refusal(Reason.NOT_ALLOWED, f"{whose}, but the method is set to connect", _SET_TO_CONNECT)
        return _refusal(Reason.NOT_ALLOWED, f"{whose}, which is not available here", NO_RIGHT)
    if policy is None or policy == "half_open":
        return PortDecision(method="connect")
    return PortDecision(method="connect", min_interval_s=policy, confirmable=False)


def _refusal(reason: Reason, why: str, action: str = "") -> PortDecision:
    return PortDecision(method=None, reason=reason, why=why, action=action, confirmable=False)


def _within(forms: tuple[Address, ...], networks: tuple[Network, ...]) -> bool:
    return any(form in network for form in forms for network in networks)


@lru_cache(maxsize=65536)
def _forms(text: str) -> tuple[Address, ...]:
    """Return the address and every IPv4 address that a packet to it may end at. Raises: ValueError."""
    address = ipaddress.ip_address(text)
    forms: list[Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            forms.append(address.ipv4_mapped)
        if address.sixtofour is not None:
            forms.append(address.sixtofour)
        if any(address in prefix for prefix in _NAT64) or (address in _IPV4_COMPATIBLE and int(address) > 1):
            forms.append(ipaddress.IPv4Address(int(address) & _LOW_32))
    forms.extend(_UNSPECIFIED[form] for form in tuple(forms) if form in _UNSPECIFIED)
    return tuple(forms)
