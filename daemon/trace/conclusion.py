"""What a trace concludes, in the terms of Twingate's troubleshooting guide. Types, and what a host can't know."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from checks.model import Status
from daemon.causes import Domain


class Code(StrEnum):
    """Closed: stable names of all conclusions. The first five concern the whole Connector, not this Resource."""

    HOST_NETWORK = "host_network"
    CONNECTOR_DOWN = "connector_down"
    CLOCK = "clock"
    CONTROL_PLANE = "control_plane"
    RELAYS = "relays"
    CONNECTOR_DNS = "connector_dns"
    CONNECTOR_CONNECT = "connector_connect"
    POLICY = "policy"
    APPLICATION = "application"
    USER_SIDE = "user_side"
    NOT_PROBEABLE = "not_probeable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Also:
    """A further finding, beside the one that was concluded."""

    code: Code
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conclusion:
    """What is wrong, or what is not.

    - `status`: critical, this Connector would fail a user now; warning, some users may fail; ok, nothing is wrong on
      this side; unknown, it can't be told.
    - `link`: the link of the chain that is broken; None when none is on this side.
    - `evidence`: what was observed, one line each. `next_step` and the `commands` that repeat it by hand.
    - `disagreements`: where the Connector's log and our own probes tell different stories.
    - `cannot_know`: what no host can see, and where to look for it.
    """

    code: Code
    status: Status
    title: str
    text: str
    link: Domain | None = None
    evidence: tuple[str, ...] = ()
    next_step: str = ""
    commands: tuple[str, ...] = ()
    disagreements: tuple[str, ...] = ()
    also: tuple[Also, ...] = ()
    cannot_know: tuple[str, ...] = ()


_AUDIT = (
    "The activity log in the Admin Console: whether the user's Client asked for this Resource, and by which Connector."
)
_OFFSET = "The Controller's own view of this Connector's clock (Admin Console, Connector details: Time Offset)."
_POSTURE = "The user's device: its posture and trust, its Client, its DNS and routes."
_POLICY = "Identity and policy: whether the user's group may use this Resource, and how lately the user had to sign in."
_OTHERS = "The other Connectors of the Remote Network: a Client may be sent to another one. Run the same trace there."
_BEHIND = "What the application says to a user who is connected: its own log, users, certificates and access lists."

CANNOT_KNOW: Mapping[Code, tuple[str, ...]] = MappingProxyType(
    {
        Code.HOST_NETWORK: (_OTHERS,),
        Code.CONNECTOR_DOWN: (_AUDIT, _OTHERS),
        Code.CLOCK: (_OFFSET, _OTHERS),
        Code.CONTROL_PLANE: (_OTHERS,),
        Code.RELAYS: (_OTHERS,),
        Code.CONNECTOR_DNS: (_AUDIT, _OTHERS),
        Code.CONNECTOR_CONNECT: (_AUDIT, _OTHERS),
        Code.POLICY: (_POLICY, _AUDIT, _POSTURE),
        Code.APPLICATION: (_BEHIND, _AUDIT, _POSTURE),
        Code.USER_SIDE: (_AUDIT, _POLICY, _POSTURE, _OFFSET, _OTHERS),
        Code.NOT_PROBEABLE: (_AUDIT, _POLICY, _POSTURE),
        Code.UNKNOWN: (_AUDIT, _POLICY, _POSTURE, _OFFSET, _OTHERS),
    }
)
"""What is out of a host's sight and could still matter, by conclusion."""
