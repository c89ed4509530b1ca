"""Raw sockets from connector-health-netns: of the Connector's network, deaf to its traffic, from real helpers."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.half_open import HalfOpen
from checks.model import Reason
from checks.net.connector_seat import connector_seat
from checks.net.errors import SeatError
from checks.net.helper import HelperClient
from checks.net.rawtcp import is_deaf
from checks.net.seat import Seat
from tests.support.half_open import begun
from tests.support.netns import Namespace, link, namespace
from tests.support.seat_helper import HELPER, Stander, answers, cookie, helper, open_descriptors, stander
from tests.support.servers import find, require, running, wait_until

SO_DETACH_FILTER = 27
FAMILIES = [socket.AF_INET, socket.AF_INET6]
FAR = "10.77.0.2"


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    """The Connector's network."""
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def far(space: Namespace) -> Iterator[int]:
    """A host beside it that listens on a port, and drops what comes to port 2001."""
    with namespace() as there, there.open_socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        link(space, there)
        there.nft("table ip f { chain i { type filter hook input priority 0; tcp dport 2001 drop; }; }")
        server.bind((FAR, 0))
        server.listen(16)
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, space: Namespace) -> Iterator[Stander]:
    """A running stand-in."""
    with stander(tmp_path_factory.mktemp("standin")) as made:
        made.start(space)
        yield made


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory, watched: Stander) -> Iterator[str]:
    """The socket of a helper that watches it."""
    with helper(tmp_path_factory.mktemp("helper"), "--process", watched.name) as (made, _):
        yield made


def seat_of(client: HelperClient, half_open: HalfOpen) -> Seat:
    """Make the Connector's seat as the daemon does."""
    return connector_seat(
        client, nameservers=None, search=None, timeout_s=1.0, connector_dns=lambda: None, half_open=half_open
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_deaf_before_anybody_holds_it(path: str, space: Namespace, family: int) -> None:
    """Of the Connector's namespace, with a filter that neither we nor root can take off any more."""
    client = HelperClient(path)
    with client.open_raw(family).raw as passed, space.open_socket(family, socket.SOCK_STREAM) as same:
        assert cookie(passed) == cookie(same)
        assert (passed.type, passed.gettimeout(), passed.get_inheritable()) == (socket.SOCK_RAW, 0, False)
        assert is_deaf(passed, family)
        with pytest.raises(PermissionError):
            passed.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
    client.close()


@pytest.mark.parametrize(
    "more",
    [
        {}, {"port": 4242}, {"family": 0}, {"family": 1}, {"family": 17}, {"family": -2}, {"family": "2"},
        {"family": None}, {"family": [2]}, {"family": {}}, {"family": 2.5}, {"type": 1},
    ],
)  # fmt: skip
def test_nothing_but_a_family_is_understood(path: str, more: dict[str, object]) -> None:
    """Whatever else is asked for, no descriptor comes, and the next request is answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(10)
        sock.connect(path)
        for request, error in (({"op": "raw", **more}, "bad_request"), ({"op": "mark"}, None)):
            sock.send(json.dumps(request).encode())
            data, descriptors, _, _ = socket.recv_fds(sock, 4096, 4)
            assert (json.loads(data).get("error"), descriptors) == (error, [])


@pytest.mark.parametrize("family", FAMILIES)
def test_nobody_chooses_or_gathers_ports(path: str, space: Namespace, family: int) -> None:
    """The answers to a service or to the Connector's connections are heard by nobody, whatever port is asked for.

    The helper holds the ports, also when who asked for them has gone: so none of them is ever anybody else's.
    """
    any_address = "::" if family == socket.AF_INET6 else "0.0.0.0"
    heard, passed = set(), []
    with space.open_socket(family, socket.SOCK_STREAM) as service, contextlib.ExitStack() as stack:
        service.bind((any_address, 0))
        taken = service.getsockname()[1]
        for _ in range(20):
            with stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)) as sock:
                sock.settimeout(10)
                sock.connect(path)
                for wanted in (taken, 443, 0, True, "x"):
                    sock.send(json.dumps({"op": "raw", "family": int(family), "port": wanted}).encode())
                    data, descriptors, _, _ = socket.recv_fds(sock, 4096, 4)
                    passed += [stack.enter_context(socket.socket(fileno=each)) for each in descriptors]
                    heard.add(json.loads(data)["port"])
    assert len(passed) == 100
    assert not heard & {taken, 443}
    assert len(heard) <= 8
    for port in heard:
        with space.open_socket(family, socket.SOCK_STREAM) as other, pytest.raises(OSError, match="in use"):
            other.bind((any_address, port))


async def test_the_seat_probes_half_open_from_the_connectors_network(path: str, far: int) -> None:
    """Accepted and refused as seen from there, through sockets that the helper made; all are given back."""
    before = open_descriptors()
    client = HelperClient(path)
    half_open = HalfOpen(client.open_raw, client.open_socket)
    seat = seat_of(client, half_open)
    assert seat.half_open is not None
    assert seat.half_open.available
    (attempt,) = await seat.half_open.attempt_all((FAR,), far, 2.0)
    assert attempt.accepted
    (attempt,) = await seat.half_open.attempt_all((FAR,), 1, 2.0)
    assert attempt.error
    assert attempt.error.reason is Reason.REFUSED
    half_open.close()
    client.close()
    assert open_descriptors() == before


async def test_it_follows_the_connector(tmp_path: Path, path: str, space: Namespace, far: int) -> None:
    """Started anew in another network, what is under way says nothing, and the next look begins there."""
    del path
    with namespace() as other, stander(tmp_path) as moving:
        moving.start(space)
        with helper(tmp_path, "--process", moving.name) as (made, _):
            client = HelperClient(made)
            half_open = HalfOpen(client.open_raw, client.open_socket)
            seat = seat_of(client, half_open)
            first = seat.mark()
            assert (await half_open.attempt_all((FAR,), far, 2.0))[0].accepted
            silent = begun(half_open, FAR, 2001, 30.0)
            moving.stop()
            moving.start(other)
            wait_until(lambda: seat.mark() not in (first, None), lambda: True, lambda: "it never moved")
            (attempt,) = await silent
            assert attempt.error
            assert attempt.error.reason is Reason.NOT_RUNNING
            (attempt,) = await half_open.attempt_all((FAR,), far, 2.0)
            assert attempt.error
            assert attempt.error.reason is Reason.NO_ROUTE
            moving.stop()
            half_open.stands_in("nowhere")
            (attempt,) = await half_open.attempt_all((FAR,), far, 2.0)
            assert attempt.error
            assert attempt.error.reason is Reason.NOT_RUNNING
            half_open.close()
            client.close()


async def test_a_helper_without_the_right_still_serves(tmp_path: Path, watched: Stander) -> None:
    """CAP_NET_RAW is taken from it: EPERM for raw sockets, the prober says so, and all other sockets are passed."""
    require("setpriv")
    argv = [find("setpriv") or "", "--bounding-set", "-net_raw", *HELPER]
    argv += ["--socket", str(tmp_path / "s"), "--process", watched.name]
    with running(argv, tmp_path / "log", lambda: answers(tmp_path / "s")):
        client = HelperClient(str(tmp_path / "s"))
        with pytest.raises(PermissionError) as caught:
            client.open_raw(socket.AF_INET)
        assert not isinstance(caught.value, SeatError)
        half_open = HalfOpen(client.open_raw, client.open_socket)
        assert not half_open.available
        client.open_socket(socket.AF_INET, socket.SOCK_STREAM).close()
        half_open.close()
        client.close()
