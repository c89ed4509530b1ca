import errno
import ipaddress
import resource
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pytest

from checks.host import HostSpec, probe
from checks.hostnet import default_route, parse_if_inet6, parse_ipv6_routes, parse_routes
from checks.model import Outcome, Reason, Status
from checks.net.errors import SeatError
from checks.net.seat import Context, NetReader
from tests.support.fakes import context
from tests.support.netns import Namespace, link, namespace

ROUTES = """Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
eth0\t0000000A\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0
*\t0000010A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0
down0\t00000000\t0100000A\t0002\t0\t0\t1\t00000000\t0\t0\t0
short line
eth0\tzzzzzzzz\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0
"""
NONE = "00000000000000000000000000000000"
ROUTES_V6 = f"""20010db8000000000000000000000000 40 {NONE} 00 {NONE} 00000400 00000001 00000000 00000001     eth0
{NONE} 00 {NONE} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200       lo
nonsense
"""


@pytest.fixture
def here() -> Iterator[Namespace]:
    """A host with an address on one link and no route beyond it."""
    with namespace() as ours, namespace() as gateway:
        link(ours, gateway)
        yield ours


async def look(ns: Namespace, spec: HostSpec | None = None) -> Outcome:
    """Probe from a namespace."""
    with ns.entered():
        outcome = (await probe(spec or HostSpec(), context()))["network"]
    assert len(outcome.summary) <= 120
    return outcome


async def test_a_default_route_is_a_way_out(here: Namespace) -> None:
    """Ok, with route, source address and interfaces as facts."""
    here.run("ip route add default via 10.77.0.2 metric 42")
    outcome = await look(here)
    assert outcome.status is Status.OK
    assert outcome.facts["default_route"] == {"interface": "v0", "gateway": "10.77.0.2", "metric": 42}
    assert (outcome.facts["source_address"], outcome.facts["ipv4_way_out"]) == ("10.77.0.1", True)
    assert outcome.facts["loopback_only"] is False


@pytest.mark.parametrize(
    ("commands", "reason", "said"),
    [
        ([], Reason.NO_ROUTE, "no default route"),
        (["ip route add 203.0.113.0/24 via 10.77.0.2"], Reason.NO_ROUTE, "only some public addresses"),
        (["ip route add unreachable default"], Reason.NO_ROUTE, "no default route"),
        (["ip -6 addr add 2001:db8::1/64 dev v0 nodad", "ip -6 route add default via 2001:db8::2",
          "ip -4 addr flush dev v0"], Reason.NO_IPV4, "IPv6 only"),
        (["ip route add default via 10.77.0.2", "ip route add prohibit 0.0.0.0/1", "ip route add prohibit 128.0.0.0/1"],
         Reason.NO_ROUTE, "leads nowhere"),
    ],
)  # fmt: skip
async def test_without_a_way_out_the_host_is_critical(
    here: Namespace, commands: list[str], reason: Reason, said: str
) -> None:
    """Each way to lose the way out, made with real routes."""
    for command in commands:
        here.run(command)
    outcome = await look(here)
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, reason)
    assert said in outcome.summary
    assert outcome.facts["loopback_only"] is False


@pytest.mark.parametrize(
    "commands",
    [
        ["ip route add 0.0.0.0/1 via 10.77.0.2", "ip route add 128.0.0.0/1 via 10.77.0.2"],
        ["ip route add default via 10.77.0.2 table 100", "ip rule add from all lookup 100"],
    ],
    ids=["two halves", "policy routing"],
)
async def test_a_default_route_may_have_other_forms(here: Namespace, commands: list[str]) -> None:
    """What a VPN or policy routing installs is a default route as well: the kernel's answer counts."""
    for command in commands:
        here.run(command)
    assert (await look(here)).status is Status.OK


async def test_a_link_without_carrier_is_no_way_out(here: Namespace) -> None:
    """The kernel keeps the route of an unplugged interface; nothing leaves through it."""
    here.run("ip route add default via 10.77.0.2")
    here.run("ip link add d0 type veth peer name d1")
    here.run("ip addr add 10.99.0.1/24 dev d0")
    here.run("ip link set d0 up")
    here.run("ip route replace default via 10.99.0.2 dev d0")
    outcome = await look(here)
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.NO_ROUTE)
    assert "d0" in outcome.summary


@pytest.mark.parametrize("with_link", [False, True])
async def test_loopback_alone_is_told_apart(with_link: bool) -> None:
    """Nothing but loopback, or a link that has link-local addresses only: the Resources can't be judged from here."""
    with namespace() as ours, namespace() as other:
        if with_link:
            link(ours, other)
            ours.run("ip addr flush dev v0 scope global")
        outcome = await look(ours)
    assert (outcome.status, outcome.reason) == (Status.CRITICAL, Reason.NO_ROUTE)
    assert outcome.facts["loopback_only"] is True


def seated(
    ns: Namespace, read_net: NetReader | None = None, name: Literal["host", "connector"] = "connector"
) -> Context:
    """Make a context that stands in a namespace without us being there."""
    here = context(sockets=ns.open_socket)
    mark = (4711, 1, 2)

    def read(table: str) -> str:
        return ns.run(f"cat /proc/net/{table}")

    return replace(here, seat=replace(here.seat, name=name, read_net=read_net or read, mark=lambda: mark))


async def test_another_namespace_is_read_through_its_own_sockets_and_tables(here: Namespace) -> None:
    """The Connector's namespace: sockets and tables come from the seat, and none of them is ours."""
    here.run("ip route add default via 10.77.0.2 metric 42")
    outcome = (await probe(HostSpec(), seated(here)))["network"]
    assert outcome.status is Status.OK
    assert outcome.facts["source_address"] == "10.77.0.1"
    assert outcome.facts["default_route"] == {"interface": "v0", "gateway": "10.77.0.2", "metric": 42}


async def test_the_connector_s_network_is_called_so(here: Namespace) -> None:
    """What fails there is not blamed on this host, and the command by hand looks there too."""
    here.run("ip route add unreachable default")
    outcome = (await probe(HostSpec(), seated(here)))["network"]
    assert outcome.summary == "no default route: nothing leaves the Connector's network over IPv4"
    assert "this host: nsenter -t 4711 -n ip route get 203.0.113.1; nsenter -t 4711 -n ip -br addr" in outcome.action


async def test_without_ipv6_there_are_no_ipv6_tables(here: Namespace) -> None:
    """A kernel without IPv6 has neither ipv6_route nor if_inet6: that is no fault."""
    here.run("ip route add default via 10.77.0.2")

    def read(table: str) -> str:
        if "6" in table:
            raise FileNotFoundError(table)
        return here.run(f"cat /proc/net/{table}")

    assert (await probe(HostSpec(), seated(here, read)))["network"].status is Status.OK


@pytest.mark.parametrize("reason", [Reason.NOT_RUNNING, Reason.PERMISSION_DENIED])
async def test_a_seat_that_is_gone_is_unknown(here: Namespace, reason: Reason) -> None:
    """The Connector's network can't be read while nobody stands there: the reason is the seat's."""

    def read(_table: str) -> str:
        raise SeatError(reason, "nobody is there")

    outcome = (await probe(HostSpec(), seated(here, read)))["network"]
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, reason)
    assert outcome.summary == "the Connector's network could not be read: nobody is there"


def proc_with(folder: Path, used: int, file_nr: str) -> Path:
    """Write a /proc with that many open descriptors."""
    (folder / "self/fd").mkdir(parents=True)
    for number in range(used):
        (folder / "self/fd" / str(number)).touch()
    (folder / "sys/fs").mkdir(parents=True)
    (folder / "sys/fs/file-nr").write_text(file_nr)
    return folder


@pytest.mark.parametrize(
    ("used", "file_nr", "status"),
    [
        (79, "900\t0\t1000\n", Status.OK),
        (81, "900\t0\t1000\n", Status.WARNING),
        (10, "901\t0\t1000\n", Status.WARNING),
        (10, "950\t60\t1000\n", Status.OK),
        (10, "garbage", Status.OK),
    ],
)
async def test_few_file_descriptors_left_are_a_warning(
    here: Namespace, tmp_path: Path, used: int, file_nr: str, status: Status
) -> None:
    """Under 20 % of ours free, or over 90 % of the host's in use."""
    here.run("ip route add default via 10.77.0.2")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
    try:
        outcome = await look(here, HostSpec(proc=proc_with(tmp_path, used, file_nr)))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (outcome.status, outcome.reason) == (status, None if status is Status.OK else Reason.FDS_LOW)


@pytest.mark.parametrize(
    ("number", "reason"), [(errno.EMFILE, Reason.PROBER_STARVED), (errno.EACCES, Reason.PERMISSION_DENIED)]
)
async def test_what_can_not_be_asked_is_unknown(number: int, reason: Reason) -> None:
    """Our own limits and permissions are not the host's fault."""

    def fail(_family: int, _kind: int) -> socket.socket:
        raise OSError(number, "scripted")

    outcome = (await probe(HostSpec(), context(sockets=fail)))["network"]
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, reason)


async def test_unreadable_tables_are_unknown(here: Namespace) -> None:
    """A /proc that hides the routes: permission_denied, not a network that is down."""

    def read(table: str) -> str:
        raise FileNotFoundError(table)

    outcome = (await probe(HostSpec(), seated(here, read, "host")))["network"]
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PERMISSION_DENIED)


def test_routes_are_read_as_the_kernel_writes_them() -> None:
    """Byte order, metric, gateway; rejecting, down and broken lines are left out; the lowest metric wins."""
    routes = parse_routes(ROUTES)
    assert [str(r.network) for r in routes] == ["0.0.0.0/0", "0.0.0.0/0", "10.0.0.0/24"]
    chosen = default_route(routes, 4)
    assert chosen is not None
    assert (chosen.interface, chosen.gateway, chosen.metric) == ("eth0", "10.0.0.1", 100)
    assert routes[2].gateway == ""


def test_ipv6_routes_and_addresses_are_read_as_the_kernel_writes_them() -> None:
    """The kernel's own rejecting default route through lo is none."""
    routes = parse_ipv6_routes(ROUTES_V6)
    assert [r.network for r in routes] == [ipaddress.ip_network("2001:db8::/64"), ipaddress.ip_network("::/0")]
    assert default_route(routes, 6) == routes[1]
    assert routes[1].gateway == "fe80::1"
    text = f"fe800000000000000000000000000001 02 40 20 80     eth0\nbroken\n{'z' * 32} 02 40 20 80 eth1\nff 1 2 3 4 e\n"
    assert parse_if_inet6(text) == (("eth0", "fe80::1"),)
