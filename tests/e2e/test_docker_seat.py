"""A Connector in a real container: names and Resources as its seat shows them, over its restarts and Docker's."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.model import Reason, Status
from checks.net.connector_seat import connector_seat
from checks.net.endpoint import Endpoint
from checks.net.errors import SeatError
from checks.net.helper import HelperClient
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Context, Seat
from checks.net.stub import StubResolver
from checks.net.tcp import attempt
from checks.tcp import TcpSpec
from checks.tcp import probe as probe_tcp
from tests.support.dockerd import SETTINGS, DockerHost, dockerd
from tests.support.netns import Namespace
from tests.support.seat_helper import cookie, helper
from tests.support.servers import wait_until

TCP = (socket.AF_INET, socket.SOCK_STREAM)
PORT = 5432
SERVER = ["busybox", "httpd", "-f", "-p", str(PORT), "-h", "/www"]


@pytest.fixture(scope="module")
def docker() -> Iterator[DockerHost]:
    """A Connector and a database on a network of their own; the host's firewall keeps the host from the database."""
    with dockerd() as host:
        host.import_image("lab/server:1")
        host.network("lab", "172.30.7.0/24")
        host.run("db", SERVER, image="lab/server:1", network_mode="lab")
        host.run("office", network_mode="lab", env={"TWINGATE_LABEL_SITE": "hq"})
        inside_of(host).run(f"iptables -I OUTPUT -d {host.address('db', 'lab')} -p tcp --dport {PORT} -j REJECT")
        yield host


@pytest.fixture(scope="module")
def client(docker: DockerHost, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelperClient]:
    """A helper that was told nothing but to find the only Connector."""
    folder = tmp_path_factory.mktemp("helper")
    with helper(folder, "--docker-host", docker.url, "--container") as (path, _):
        made = HelperClient(path)
        yield made
        made.close()


@pytest.fixture
def seat(docker: DockerHost, client: HelperClient) -> Seat:
    """The Connector's seat, once it can be taken."""
    made = connector_seat(client, nameservers=None, search=None, timeout_s=2.0, connector_dns=lambda: None)
    taken(made, docker)
    return made


def inside_of(docker: DockerHost) -> Namespace:
    """Return the network that the containers call the host."""
    assert docker.inside
    return docker.inside


def taken(seat: Seat, docker: DockerHost) -> None:
    """Wait until somebody stands at the seat."""
    wait_until(lambda: seat.mark() is not None, lambda: True, lambda: f"nobody there: {docker.log[-2000:]}")


def host_seat(docker: DockerHost) -> Seat:
    """Return the seat of the host, which knows of Docker's nameserver and has none at that address."""
    sockets = inside_of(docker).open_socket
    settings = SystemSettings(hosts="/nonexistent", nameservers=(Endpoint("127.0.0.11", 53),), search=())
    return Seat(resolver=StubResolver(settings, sockets, 1.0), open_socket=sockets)


async def test_names_of_its_network_resolve_from_its_seat_only(docker: DockerHost, seat: Seat) -> None:
    """Docker's own nameserver, 127.0.0.11, is the Connector's; from the host the same question finds nobody."""
    assert [str(each) for each in seat.resolver.nameservers] == ["127.0.0.11:53"]
    found = await seat.resolver.resolve("db")
    assert found.addresses == (docker.address("db", "lab"),)
    assert (await host_seat(docker).resolver.resolve("db")).addresses == ()


async def test_each_resource_is_judged_where_it_is(docker: DockerHost, seat: Seat) -> None:
    """What only the Connector reaches is accepted from its seat alone; what only the host reaches, from the host's."""
    address, host = docker.address("db", "lab"), host_seat(docker)
    assert (await attempt(seat, address, PORT, 2)).accepted
    refused = await attempt(host, address, PORT, 2)
    assert refused.error is not None
    assert refused.error.reason is Reason.REFUSED
    with inside_of(docker).entered():
        ours = socket.create_server(("127.0.0.1", 6543))
    with ours:
        assert (await attempt(host, "127.0.0.1", 6543, 2)).accepted
        assert not (await attempt(seat, "127.0.0.1", 6543, 2)).accepted


async def test_a_named_resource_is_ok_from_its_seat(seat: Seat) -> None:
    """The whole check: the name by Docker's nameserver, the port by the Connector's network."""
    rows = await probe_tcp(TcpSpec(address="db", port=PORT, target=f"db:{PORT}"), Context(seat=seat))
    assert [outcome.status for outcome in rows.values()] == [Status.OK]


def test_its_settings_come_without_tokens(docker: DockerHost, client: HelperClient, seat: Seat) -> None:
    """Of the container's environment nothing but what the contract allows, and its process is Docker's."""
    del seat
    state = client.state()
    assert state.pid == docker.pid("office")
    assert dict(state.environment) == {"TWINGATE_NETWORK": "acme", "TWINGATE_LABEL_SITE": "hq"}
    assert SETTINGS["TWINGATE_ACCESS_TOKEN"] not in json.dumps(repr(state))


async def test_it_follows_docker_restart(docker: DockerHost, seat: Seat) -> None:
    """After `docker restart` the next socket stands in the new network, and names resolve there at once."""
    with seat.open_socket(*TCP) as before:
        mark = seat.mark()
        docker.restart("office")
        taken(seat, docker)
        assert seat.mark() != mark
        with seat.open_socket(*TCP) as after:
            assert cookie(after) != cookie(before)
    assert (await seat.resolver.resolve("db")).addresses == (docker.address("db", "lab"),)
    assert (await attempt(seat, docker.address("db", "lab"), PORT, 2)).accepted


def test_a_stopped_container_is_not_running(docker: DockerHost, seat: Seat) -> None:
    """`docker stop`: nobody stands there, and that is said, not taken for the host's seat."""
    docker.stop_container("office")
    with pytest.raises(SeatError, match="Docker runs no container of the image twingate/connector") as caught:
        seat.open_socket(*TCP)
    assert caught.value.reason is Reason.NOT_RUNNING
    docker.start_container("office")
    taken(seat, docker)


def test_a_docker_that_is_gone_does_not_take_the_helper_along(docker: DockerHost, seat: Seat) -> None:
    """dockerd and its containers stopped and started again: an error meanwhile, and the same client goes on."""
    docker.stop()
    with pytest.raises(SeatError) as caught:
        seat.open_socket(*TCP)
    assert caught.value.reason in (Reason.PERMISSION_DENIED, Reason.NOT_RUNNING)
    docker.start()
    docker.start_container("db")
    docker.start_container("office")
    taken(seat, docker)
    with seat.open_socket(*TCP) as theirs, inside_of(docker).open_socket(*TCP) as host:
        assert cookie(theirs) != cookie(host)


def test_of_two_connectors_none_is_guessed(docker: DockerHost, seat: Seat, tmp_path: Path) -> None:
    """With a second Connector on the host the name decides; without one it says what to do."""
    del seat
    docker.run("branch", network_mode="lab")
    try:
        with helper(tmp_path, "--docker-host", docker.url, "--container") as (path, _):
            client = HelperClient(path)
            with pytest.raises(SeatError, match="2 containers run twingate/connector: choose one by --container NAME"):
                client.mark()
            client.close()
        with helper(tmp_path, "--docker-host", docker.url, "--container", "branch") as (path, _):
            client = HelperClient(path)
            assert client.mark()[0] == docker.pid("branch")
            client.close()
    finally:
        docker.remove("branch")
