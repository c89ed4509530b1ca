"""Where we stand: the place in the network from which a probe's sockets are made and its names resolved."""

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from checks.connlog.summary import LogSummary
from checks.model import Reason
from checks.net.answers import Answer, Lookup
from checks.net.endpoint import Endpoint
from checks.runtime.model import Runtime

if TYPE_CHECKING:  # a try is made from a seat
    from checks.net.tcp import Attempt

SocketFactory = Callable[[int, int], socket.socket]
"""Makes a non-blocking socket of (family, type) that stands in this seat's network namespace. Raises: OSError."""


NetReader = Callable[[str], str]
"""Returns the text of /proc/net/NAME (`route`, `ipv6_route`, `if_inet6`, `dev`, `arp`) of a seat. Raises: OSError."""

MAX_NET_BYTES = 1 << 20  # a host with 10,000 routes; more is not looked at


def open_socket(family: int, kind: int) -> socket.socket:
    """Make a non-blocking socket in our own network namespace. Raises: OSError."""
    sock = socket.socket(family, kind)
    sock.settimeout(0)
    return sock


def read_net(name: str) -> str:
    """Return the text of /proc/net/NAME of our own network namespace. Raises: OSError."""
    with Path("/proc/thread-self/net", name).open("rb") as file:
        return file.read(MAX_NET_BYTES).decode("utf-8", "replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What the Connector's resolver would make of a name: addresses, or the reason why there are none.

    `addresses` are in answer order, all IPv4 if there is one, else IPv6. `evidence` is one clause for a person.
    """

    name: str
    addresses: tuple[str, ...] = ()
    reason: Reason | None = None
    evidence: str = ""
    seconds: float = 0.0


class Flight(Protocol):
    """Something under way that nobody awaits."""

    def cancel(self) -> None:
        """Hear nothing more of it."""


class Prober(Protocol):
    """Asks ports whether they accept, without a connection; see checks.half_open."""

    @property
    def available(self) -> bool:
        """Tell whether it may, and can."""

    def look(
        self, addresses: tuple[str, ...], port: int, timeout_s: float, done: "Callable[[list[Attempt]], None]"
    ) -> Flight:
        """Ask every literal address once; `done` hears of it once, never before this has returned."""

    async def attempt_all(self, addresses: tuple[str, ...], port: int, timeout_s: float) -> "list[Attempt]":
        """Ask every literal address once; the results are in their order."""

    def network_changed(self) -> None:
        """Links, addresses or routes changed."""


class Resolver(Protocol):
    """Turns names into addresses as the Connector's resolver would; a literal address resolves to itself."""

    async def resolve(self, name: str) -> Resolution:
        """Resolve `name`; bounded in time by the resolver's own settings; never raises for what the network says."""

    @property
    def nameservers(self) -> tuple[Endpoint, ...]:
        """The nameservers in use, in order; none when the settings could not be read."""

    async def lookup(self, name: str, *, thorough: bool, first: int, timeout_s: float | None = None) -> Lookup:
        """Ask every nameserver for `name` (`thorough`), or only number `first` of them, counted round and round.

        `timeout_s` is for each question (None: the resolver's own). Never raises for what the network says.
        """

    async def ask(self, nameserver: Endpoint, name: str, kind: str, timeout_s: float | None = None) -> Answer:
        """Ask one nameserver one question ("A", "AAAA", "NS") for an absolute name; ValueError when it can't be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place to probe from. Sockets keep the network namespace in which they were made.

    `mark` names the namespace as it is now: a different mark after a probe than before it tells that the Connector was
    started anew meanwhile, and that a failure says nothing. None: nobody stands there now. `half_open` probes ports
    without a connection; None: there is no right to. `close` lets go of what the resolver keeps open from question to
    question: whoever made the seat calls it when the seat is left, and it may still be used.
    """

    resolver: Resolver
    name: Literal["host", "connector"] = "host"
    open_socket: SocketFactory = open_socket
    read_net: NetReader = read_net
    mark: Callable[[], object] = lambda: "host"
    half_open: Prober | None = None
    close: Callable[[], None] = lambda: None
    wall_clock: Callable[[], float] = time.time  # noqa: TID251 - this is where `now` is injected


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What one run of a probe is given besides its spec: where it stands, and what is already known.

    - `memory`: what this probe alone remembers from run to run.
    - `addresses`: what the `dns` check last found for the target's name; None: resolve it yourself.
    - `thorough`: ask every source (a one-shot run, a failure, or the matrix is due), not the next in turn.
    - `confirming`: this run repeats one that was critical.
    - `ever_up`: this target has accepted at least once since it was first seen.
    - `egress`: whether a control-plane or relay endpoint lately answered over TCP; None: not known.
    - `clock_off`: the clock check lately found this host's clock beyond the tolerance.
    - `trouble`: something between this host and Twingate fails now.
    - `user_failed`: the Connector's log lately showed a user failing on this very target.
    - `connector`: how to look at the Connector's process; None: nobody looks.
    - `log`: what its log lately told; None: it is not read.
    - `connector_seat`: the Connector's own place, for what only it can reach (its loopback); None: nobody stands there.
    - `resolver_ok`: whether the nameservers lately answered us; None: not known.
    - `attempts`: what a half-open look has found already, at `addresses`: it is to be judged, not repeated.
    """

    seat: Seat
    memory: object = None
    addresses: tuple[str, ...] | None = None
    thorough: bool = True
    confirming: bool = False
    ever_up: bool = False
    egress: bool | None = None
    clock_off: bool = False
    trouble: bool = False
    user_failed: bool = False
    connector: Runtime | None = None
    log: LogSummary | None = None
    connector_seat: Seat | None = None
    resolver_ok: bool | None = None
    attempts: "Sequence[Attempt] | None" = None
