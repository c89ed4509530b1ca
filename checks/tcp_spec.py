"""What the `tcp` check is given: one port of one address, and which addresses of it may be probed. No I/O."""

from dataclasses import dataclass
from typing import Literal

from checks.net.endpoint import is_address
from checks.policy import Method, Network, denied


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSpec:
    """One port of one address.

    - `address`: a name, or a literal address; `target`: `address:port` as it is shown.
    - `expect`: `learned` is `expect: auto` for a port that nobody wrote down by itself (range, source, sample, log).
    - `learned_sample`: known from the Connector's log alone, so at most a warning unless a user fails there too.
    - `require_all`: every address must accept (`addresses: all`).
    - `literal_allowed`: a literal `address` stands in the operator's file, which exempts it from `deny`.
    - `has_policy`: the port may be connected to only now and then; the fast confirmation must not.
    - `timeout_s`: seconds for the handshake of each address; all are tried at the same time.
    """

    address: str
    port: int
    target: str
    timeout_s: float = 5.0
    method: Method = "connect"
    expect: Literal["up", "down", "any", "learned"] = "up"
    require_all: bool = False
    deny: tuple[Network, ...] = ()
    allow: tuple[Network, ...] = ()
    literal_allowed: bool = False
    has_policy: bool = False
    max_addresses: int = 8
    learned_sample: bool = False


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a look goes: of `addresses` the `chosen` ones; what is `denied`, and how many are left out beyond that."""

    addresses: tuple[str, ...]
    chosen: tuple[str, ...]
    denied: tuple[str, ...] = ()
    left_out: int = 0


def aim_at(spec: TcpSpec, addresses: tuple[str, ...]) -> Aim:
    """Decide what to probe of the addresses of a target: no AAAA where there is an A, nothing that is denied."""
    wanted = addresses
    if len(addresses) > 1:
        wanted = tuple(dict.fromkeys(addresses))
        wanted = tuple(a for a in wanted if ":" not in a) or wanted
    exempt = spec.literal_allowed and is_address(spec.address)
    forbidden = tuple(a for a in wanted if denied(a, spec.deny, spec.allow, literal_allowed=exempt))
    if forbidden:
        wanted = tuple(a for a in wanted if a not in forbidden)
    chosen = wanted[: spec.max_addresses]
    return Aim(addresses, chosen, forbidden, len(wanted) - len(chosen))
