"""What tests of TCP probes share: listeners on loopback, sockets that fail, and a look that checks a row."""

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

from checks.model import Event, Outcome, Reason, Status
from checks.net.endpoint import Endpoint, is_address
from checks.net.seat import Context, Resolution, SocketFactory
from checks.tcp import TcpSpec, probe
from tests.support.fakes import FakeResolver, context

TIMEOUT_S = 0.3


@contextlib.contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    """Listen, and leave the kernel to accept."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(64)
        sock.setblocking(False)
        yield sock


@contextlib.contextmanager
def silent() -> Iterator[int]:
    """Yield a port that drops every SYN: its queue of connections is full."""
    with socket.socket() as sock, contextlib.ExitStack() as stack:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


def port_of(sock: socket.socket) -> int:
    """Return the port that a socket is bound to."""
    number: int = sock.getsockname()[1]
    return number


def spec(address: str, port: int, **more: Any) -> TcpSpec:  # noqa: ANN401 - fields of the spec
    """Make the spec of a port with a short time-out."""
    return TcpSpec(address=address, port=port, target=str(Endpoint(address, port)), **{"timeout_s": TIMEOUT_S, **more})


async def look(wanted: TcpSpec, where: Context | None = None) -> Outcome:
    """Probe once, and check what holds for the row of any outcome."""
    rows = await probe(wanted, where or context())
    assert list(rows) == [wanted.target]
    outcome = rows[wanted.target]
    assert len(outcome.summary) <= 120
    assert outcome.action or outcome.status is Status.OK
    assert outcome.event is (
        None if not outcome.status.conclusive else outcome.event if outcome.status is Status.CRITICAL else Event.NONE
    )
    return outcome


class Failing(socket.socket):
    """A socket whose connect() ends with a chosen error."""

    number = 0

    def connect(self, _: object) -> None:
        """Fail."""
        raise OSError(self.number, "scripted")


def sockets_that_fail(number: int, *, made: bool = True) -> SocketFactory:
    """Make sockets that fail with an error, in connect() or (`made=False`) before they exist."""

    def make(family: int, kind: int) -> socket.socket:
        if not made:
            raise OSError(number, "scripted")
        sock = Failing(family, kind)
        sock.settimeout(0)
        sock.number = number
        return sock

    return make


class FailingResolver(FakeResolver):
    """Fails every name in one way."""

    def __init__(self, reason: Reason) -> None:
        super().__init__()
        self.reason = reason

    async def resolve(self, name: str) -> Resolution:
        """Fail."""
        assert not is_address(name), "a literal address needs no lookup"
        return Resolution(name=name, reason=self.reason, evidence="scripted")
