"""The Connector's seat: real helper, real namespaces, a Connector that is stopped, started and moved."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.host import HostSpec
from checks.host import probe as probe_host
from checks.model import Reason, Status
from checks.net.connector_seat import READ_AGAIN_S, connector_seat, parse_connector_dns
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError, SeatError
from checks.net.helper import HelperClient
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Context, Seat
from checks.net.tcp import attempt
from tests.support.asked import nameserver
from tests.support.nameservers import says
from tests.support.netns import Namespace, link, namespace
from tests.support.seat_helper import Stander, cookie, helper, stander
from tests.support.servers import wait_until

TCP = (socket.AF_INET, socket.SOCK_STREAM)


@pytest.fixture
def space() -> Iterator[Namespace]:
    """The network of the Connector."""
    with namespace() as made:
        yield made


@pytest.fixture
def watched(tmp_path: Path, space: Namespace) -> Iterator[Stander]:
    """A running stand-in."""
    with stander(tmp_path) as made:
        made.start(space)
        yield made


@pytest.fixture
def client(tmp_path: Path, watched: Stander) -> Iterator[HelperClient]:
    """A client of a helper beside it."""
    with helper(tmp_path, "--process", watched.name) as (path, _):
        made = HelperClient(path)
        yield made
        made.close()


def seat_of(client: HelperClient, **more: object) -> Seat:
    """Make the seat as the daemon does."""
    asked = {"nameservers": None, "search": None, "timeout_s": 1.0, "connector_dns": lambda: None}
    return connector_seat(client, **(asked | more))  # type: ignore[arg-type]


def marked(seat: Seat) -> bool:
    """Tell whether somebody stands there."""
    return seat.mark() is not None


async def test_what_only_the_connector_reaches_is_reached_from_its_seat(client: HelperClient, space: Namespace) -> None:
    """A Resource in its network accepts from the Connector's seat and not from ours, and the other way round."""
    seat = seat_of(client)
    with namespace() as server, namespace() as host:
        here = Seat(resolver=seat.resolver, open_socket=host.open_socket)
        _, address = link(space, server)
        with server.entered():
            only_there = socket.create_server((address, 5432))
        with host.entered():
            only_here = socket.create_server(("127.0.0.1", 5432))
        with only_there, only_here:
            assert (await attempt(seat, address, 5432, 2)).accepted
            assert not (await attempt(here, address, 5432, 0.3)).accepted
            assert (await attempt(here, "127.0.0.1", 5432, 2)).accepted
            refused = (await attempt(seat, "127.0.0.1", 5432, 2)).error
    assert isinstance(refused, NetError)
    assert refused.reason is Reason.REFUSED


async def test_the_host_check_describes_its_network(client: HelperClient, space: Namespace) -> None:
    """Routes, interfaces and the way out are those of the Connector's namespace."""
    with namespace() as router:
        address, gateway = link(space, router)
        space.run(f"ip route add default via {gateway}")
        outcome = (await probe_host(HostSpec(), Context(seat=seat_of(client))))["network"]
        assert outcome.status is Status.OK
        assert outcome.facts["source_address"] == address
        space.run("ip route del default")
        outcome = (await probe_host(HostSpec(), Context(seat=seat_of(client))))["network"]
    assert outcome.summary.endswith("nothing leaves the Connector's network over IPv4")
    pid = client.mark()[0]
    assert f"nsenter -t {pid} -n ip route get" in outcome.action


async def test_it_follows_the_connector_over_a_restart(client: HelperClient, watched: Stander) -> None:
    """Stopped: nobody stands there. Started in another network: the next sockets and files are of that."""
    seat = seat_of(client)
    before = seat.mark()
    with seat.open_socket(*TCP) as old:
        assert [str(each) for each in seat.resolver.nameservers] == ["10.77.0.2:53"]
        watched.stop()
        with pytest.raises(SeatError) as caught:
            seat.open_socket(*TCP)
        assert caught.value.reason is Reason.NOT_RUNNING
        assert seat.mark() is None
        with namespace() as elsewhere:
            (watched.root / "etc/resolv.conf").write_text("nameserver 10.88.0.2\n")
            watched.start(elsewhere)
            wait_until(lambda: marked(seat), lambda: True, lambda: "the helper does not find the new process")
            assert seat.mark() != before
            with seat.open_socket(*TCP) as new, elsewhere.open_socket(*TCP) as same:
                assert cookie(new) == cookie(same) != cookie(old)
            assert [str(each) for each in seat.resolver.nameservers] == ["10.88.0.2:53"]  # no need to wait for 2 s


async def test_its_questions_follow_the_connector(client: HelperClient, watched: Stander, space: Namespace) -> None:
    """A question after the restart is asked in the new network, though the sockets of the old one are still warm."""
    port = 5353
    seat = seat_of(client, nameservers=(Endpoint("127.0.0.1", port),), search=())

    async def found(where: Namespace, address: str) -> tuple[str, ...]:
        seat.mark()
        sock = where.open_socket(socket.AF_INET, socket.SOCK_DGRAM)
        async with nameserver(says(f"db.test. 60 IN A {address}"), port, sock):
            return (await seat.resolver.resolve("db.test")).addresses

    assert await found(space, "10.0.0.1") == ("10.0.0.1",)
    watched.stop()
    with namespace() as elsewhere:
        watched.start(elsewhere)
        wait_until(lambda: marked(seat), lambda: True, lambda: "the helper does not find the new process")
        assert await found(elsewhere, "10.0.0.2") == ("10.0.0.2",)
    seat.close()


async def test_it_recovers_from_a_restart_of_the_helper(tmp_path: Path, watched: Stander) -> None:
    """Without the helper: permission_denied, with what to do. When it is back the same client goes on."""
    path = str(tmp_path / "s")
    client = HelperClient(path)
    with pytest.raises(SeatError, match=r"there is no helper at .*: start connector-health-netns"):
        client.mark()
    with helper(tmp_path, "--process", watched.name):
        mark = client.mark()
    with pytest.raises(SeatError) as caught:
        client.open_socket(*TCP)
    assert caught.value.reason is Reason.PERMISSION_DENIED
    seat = seat_of(client)
    assert seat.mark() is None
    with helper(tmp_path, "--process", watched.name):
        assert client.mark() == mark  # on a connection made anew
        assert seat.mark() == mark
    assert seat.mark() == mark  # nothing tells that the Connector moved
    with helper(tmp_path, "--process", watched.name):
        client.open_socket(*TCP).close()
    client.close()


def test_a_helper_restarted_between_two_requests_is_not_noticed(tmp_path: Path, watched: Stander) -> None:
    """The request that meets the end of the old one is asked again of the new one."""
    client = HelperClient(str(tmp_path / "s"))
    for _ in range(3):
        with helper(tmp_path, "--process", watched.name):
            client.open_socket(*TCP).close()
    client.close()


@pytest.mark.parametrize("mode", [0o600, 0o000])
def test_a_socket_that_may_not_be_opened_says_so(tmp_path: Path, watched: Stander, mode: int) -> None:
    """A daemon outside of the group is told what is missing."""
    with helper(tmp_path, "--process", watched.name) as (path, _):
        Path(path).chmod(mode)
        for folder in (tmp_path, *tmp_path.parents[:2]):
            folder.chmod(0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(SeatError, match=r"this user may not connect to .*: make it a member"):
                HelperClient(path).mark()
        finally:
            os.seteuid(0)


async def test_its_files_count_as_they_are(client: HelperClient, watched: Stander) -> None:
    """Nameservers, search list, hosts and the domain of its host name are the Connector's own."""
    (watched.root / "etc/resolv.conf").write_text("nameserver 10.77.0.2\noptions ndots:2\n")
    (watched.root / "etc/hostname").write_text("standin.corp.internal\n")
    settings = settings_of(seat_of(client))
    assert settings.current().nameservers == (Endpoint("10.77.0.2", 53),)
    assert settings.current().search == ("corp.internal",)
    assert settings.current().ndots == 2
    assert settings.current().hosts == {"db": ("10.77.0.2",)}
    assert (await seat_of(client).resolver.resolve("db")).addresses == ("10.77.0.2",)


def settings_of(seat: Seat) -> SystemSettings:
    """Return what the seat's resolver goes by."""
    settings = seat.resolver._settings  # type: ignore[attr-defined]
    assert isinstance(settings, SystemSettings)
    return settings


async def test_whose_nameservers_count(client: HelperClient) -> None:
    """The configuration's before TWINGATE_DNS before resolv.conf; TWINGATE_DNS may change with the Connector."""
    mine, environment = (Endpoint("10.0.0.1", 53),), parse_connector_dns("10.0.0.2, 10.0.0.3:5353")
    assert environment == (Endpoint("10.0.0.2", 53), Endpoint("10.0.0.3", 5353))
    said = [environment, None, mine]
    following = settings_of(seat_of(client, connector_dns=lambda: said[0]))
    assert following.current().nameservers == environment
    assert following.current().search == ("corp.internal",)
    del said[0]
    assert following.current().nameservers == (Endpoint("10.77.0.2", 53),)
    del said[0]
    assert following.current().nameservers == mine
    configured = settings_of(seat_of(client, nameservers=mine, search=("a.test",), connector_dns=lambda: environment))
    assert (configured.current().nameservers, configured.current().search) == (mine, ("a.test",))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None), (" , ,", None), ("dns.corp.internal", None), ("10.0.0.1:x", None),
        ("10.0.0.1,nonsense,10.0.0.1,[2001:db8::1]:5353", ("10.0.0.1:53", "[2001:db8::1]:5353")),
        (",".join(f"10.0.0.{n}" for n in range(250)), tuple(f"10.0.0.{n}:53" for n in range(16))),
    ],
)  # fmt: skip
def test_twingate_dns_is_read_as_it_may_be_written(text: str, found: tuple[str, ...] | None) -> None:
    """Addresses separated by commas; what is none is passed over; not more than a person would write."""
    parsed = parse_connector_dns(text)
    assert (None if parsed is None else tuple(str(each) for each in parsed)) == found


class CountingClient(HelperClient):
    """Hands out scripted files and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__("/nonexistent")
        self.asked = 0
        self.says: str | OSError = "nameserver 10.0.0.7\n"

    def read_file(self, name: str) -> str:
        """Return the script's answer for resolv.conf, and no other file."""
        if name != "resolv.conf":
            raise FileNotFoundError(name)
        self.asked += 1
        if isinstance(self.says, OSError):
            raise self.says
        return self.says


@pytest.mark.looptime
async def test_its_files_are_read_again_every_two_seconds() -> None:
    """Every lookup asks for the settings; the helper is asked only now and then, and a change counts after that."""
    client = CountingClient()
    settings = settings_of(seat_of(client))
    for _ in range(100):
        assert settings.current().nameservers == (Endpoint("10.0.0.7", 53),)
    assert client.asked == 1
    client.says = "nameserver 10.0.0.8\n"
    await asyncio.sleep(READ_AGAIN_S)
    assert settings.current().nameservers == (Endpoint("10.0.0.8", 53),)
    assert client.asked == 2


@pytest.mark.looptime
async def test_without_the_helper_the_last_known_settings_stay() -> None:
    """Known settings stay, with the problem named; settings never known are unknown, not libc's defaults."""
    client = CountingClient()
    client.says = SeatError(Reason.PERMISSION_DENIED, "there is no helper")
    settings = settings_of(seat_of(client))
    assert settings.current().nameservers == ()
    assert settings.current().problems == ("the Connector's /etc/resolv.conf can't be read: there is no helper",)
    client.says = "nameserver 10.0.0.7\n"
    await asyncio.sleep(READ_AGAIN_S)
    assert settings.current().nameservers == (Endpoint("10.0.0.7", 53),)
    client.says = SeatError(Reason.NOT_RUNNING, "it does not run")
    await asyncio.sleep(READ_AGAIN_S)
    assert settings.current().nameservers == (Endpoint("10.0.0.7", 53),)
    assert settings.current().problems
    client.says = FileNotFoundError()
    await asyncio.sleep(READ_AGAIN_S)
    assert settings.current().nameservers == (Endpoint("127.0.0.1", 53),)
