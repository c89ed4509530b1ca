"""What is read of a host that runs short of connections, and what follows: fewer probes, then none that connects."""

import asyncio
import contextlib
import json
import logging
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from checks.model import Reason, Status
from daemon.headroom import FLOOR, LOOK_S, Headroom, conntrack_use, port_use
from tests.support.netns import namespace
from tests.support.scheduling import half_open, job
from tests.support.virtual import virtual_time

MOST = 1000
PORTS = 28232
CONNECT, LOOK, QUESTION = job("a"), half_open("b"), job("c", connections=0)


class Host:
    """A /proc of a host whose figures a test sets."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("sys/net/netfilter", "sys/net/ipv4", "net"):
            (root / folder).mkdir(parents=True)
        self.shares: list[float] = []
        self.headroom = Headroom(self.shares.append, root)
        self.conntrack(0.0)
        self.ports(0.0)

    def write(self, path: str, text: str | bytes) -> None:
        """Write one file."""
        (self.root / path).write_bytes(text if isinstance(text, bytes) else text.encode())

    def conntrack(self, share: float) -> None:
        """Have this share of the table in use."""
        self.write("sys/net/netfilter/nf_conntrack_count", f"{round(share * MOST)}\n")
        self.write("sys/net/netfilter/nf_conntrack_max", f"{MOST}\n")

    def ports(self, share: float) -> None:
        """Have this share of the ports in use, most of them in TIME_WAIT."""
        used = round(share * PORTS)
        self.write("sys/net/ipv4/ip_local_port_range", "32768\t60999\n")
        tcp = f"TCP: inuse {used // 4} orphan 0 tw {used // 2} alloc 9 mem 1"
        self.write("net/sockstat", f"sockets: used 9\n{tcp}\nUDP: inuse 5 mem 3\n")
        self.write("net/sockstat6", f"TCP6: inuse {used - used // 4 - used // 2}\nUDP6: inuse 2\n")

    def starved(self) -> bool:
        """Ask whether nothing is sent."""
        return self.headroom.starved

    def looks(self, number: int = 1) -> float:
        """Look so many times; return the share of the rate that is used then."""
        for _ in range(number):
            self.headroom.look()
        return self.shares[-1] if self.shares else 1.0


@pytest.fixture
def host(tmp_path: Path) -> Host:
    """Make a host with room for all."""
    return Host(tmp_path)


def test_what_is_read(host: Host) -> None:
    """The figures are those of the files, each with its sysctl."""
    host.conntrack(0.75)
    host.ports(0.5)
    conntrack, ports = conntrack_use(host.root), port_use(host.root)
    assert str(conntrack) == "750 of 1000 conntrack entries are in use (75%, net.netfilter.nf_conntrack_max)"
    assert str(ports) == "14116 of 28232 local ports are in use (50%, net.ipv4.ip_local_port_range)"


@pytest.mark.parametrize("which", ["conntrack", "ports"])
def test_rate_is_halved_while_it_is_tight_and_doubled_when_it_has_eased(host: Host, which: str) -> None:
    """Above 70 % each look halves the rate down to its floor, below 65 % each doubles it; between them it stays."""
    use = host.conntrack if which == "conntrack" else host.ports
    use(0.70)
    assert host.looks() == 1.0
    use(0.72)
    assert [host.looks() for _ in range(6)] == [0.5, 0.25, 0.125, 0.0625, FLOOR, FLOOR]
    use(0.68)
    assert host.looks(5) == FLOOR
    use(0.60)
    assert [host.looks() for _ in range(5)] == [0.125, 0.25, 0.5, 1.0, 1.0]
    assert not host.starved()


def test_no_connection_is_opened_when_hardly_any_is_left(host: Host) -> None:
    """From 90 % on, what opens connections is unknown, with figure and sysctl, until it is below 85 %."""
    host.conntrack(0.89)
    host.looks()
    assert host.headroom.refusal(CONNECT) is None
    host.conntrack(0.9)
    host.looks()
    outcome = host.headroom.refusal(CONNECT)
    assert outcome is not None
    assert (outcome.status, outcome.reason) == (Status.UNKNOWN, Reason.PROBER_STARVED)
    assert "900 of 1000 conntrack entries" in outcome.summary
    assert "sysctl net.netfilter.nf_conntrack_max" in outcome.action
    assert host.headroom.refusal(QUESTION) is None, "a DNS question opens none"
    host.conntrack(0.86)
    host.looks()
    assert host.starved()
    host.conntrack(0.84)
    host.looks()
    assert not host.starved()
    assert host.headroom.refusal(CONNECT) is None


def test_half_open_needs_no_port(host: Host) -> None:
    """Without ports a half-open look is sent all the same; a full table of connections keeps it back too."""
    host.ports(0.95)
    host.looks()
    assert host.headroom.refusal(CONNECT) is not None
    assert host.headroom.refusal(LOOK) is None
    host.ports(0.0)
    host.conntrack(0.95)
    host.looks()
    assert host.headroom.refusal(LOOK) is not None


def test_floor_that_does_not_help(host: Host) -> None:
    """When it goes on filling at the lowest rate, nothing more is opened; a table that only stays full is borne."""
    host.conntrack(0.75)
    host.looks(30)
    assert not host.starved()
    host.conntrack(0.78)
    host.looks()
    assert host.starved()
    refused = host.headroom.refusal(CONNECT)
    assert refused is not None
    assert "780 of 1000" in refused.summary
    host.conntrack(0.5)
    host.looks()
    assert not host.starved()


def test_what_fills_no_more_is_asked_again(host: Host) -> None:
    """Nothing is opened only while more than 70 % is in use: a table that stays at 68 % then keeps no probe back."""
    host.conntrack(0.75)
    host.looks(5)
    host.conntrack(0.78)
    host.looks()
    assert host.starved()
    host.conntrack(0.68)
    assert host.looks() == FLOOR
    assert not host.starved()
    host.conntrack(0.72)
    host.looks(3)
    assert not host.starved(), "fuller than now, but less than at the floor"


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff\xfe\x00",
        b"-5\n",
        b"many\n",
        "٣٤\n".encode(),
        b"9" * 100_000,
        b"0\n",
        b"TCP:\nTCP: inuse\n",
        b"5 4\n",
    ],
)
@pytest.mark.parametrize(
    "path",
    [
        "sys/net/netfilter/nf_conntrack_count",
        "sys/net/netfilter/nf_conntrack_max",
        "sys/net/ipv4/ip_local_port_range",
        "net/sockstat",
        "net/sockstat6",
    ],
)
def test_garbage_is_held_against_nobody(host: Host, path: str, garbage: bytes) -> None:
    """A file that is empty, absurd or endless means that nothing is known: no exception, no lower rate."""
    host.write(path, garbage)
    assert host.looks(3) == 1.0
    assert host.headroom.refusal(CONNECT) is None


@pytest.mark.parametrize("kind", ["absent", "a directory", "a dangling link"])
def test_what_cannot_be_read_is_not_known(tmp_path: Path, kind: str) -> None:
    """Without conntrack, and where /proc is hidden, nothing is limited."""
    if kind != "absent":
        for path in ("sys/net/netfilter/nf_conntrack_count", "net/sockstat"):
            (tmp_path / path).parent.mkdir(parents=True)
            if kind == "a directory":
                (tmp_path / path).mkdir()
            else:
                (tmp_path / path).symlink_to("nowhere")
    headroom = Headroom(lambda _: pytest.fail("nothing is known"), tmp_path)
    headroom.look()
    assert headroom.refusal(CONNECT) is None


def test_log_tells_changes_once(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Each change is one line with its figure; what goes on is none."""
    caplog.set_level(logging.INFO, "connector_health.headroom")
    for share in (0.5, 0.75, 0.75, 0.95, 0.95, 0.75, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5):
        host.conntrack(share)
        host.looks()
    said = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert said == [
        "fewer connections are opened",
        "no connections are opened",
        "fewer connections are opened",
        "connections are opened at the full rate again",
    ]
    assert "950 of 1000 conntrack entries" in caplog.records[1].getMessage()


@virtual_time
async def test_looks_each_ten_seconds(host: Host) -> None:
    """As a root task it looks at once and then every ten seconds."""
    host.conntrack(0.8)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2.5 * LOOK_S):
            await host.headroom.run()
    assert host.shares == [0.5, 0.25, 0.125]


def test_job_that_opens_several(host: Host) -> None:
    """How many connections a job opens does not matter."""
    host.conntrack(1.2)
    host.looks()
    assert host.headroom.refusal(replace(CONNECT, connections=8)) is not None


_BUSY = """
import json, socket
from pathlib import Path
from daemon.headroom import Headroom, conntrack_use, port_use
Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("40000 40019")
server = socket.create_server(("127.0.0.1", 5000))
held = [socket.create_connection(("127.0.0.1", 5000)) for _ in range(16)]
shares = []
headroom = Headroom(shares.append)
headroom.look()
ports, conntrack = port_use(), conntrack_use()
print(json.dumps([ports.used, ports.most, conntrack and conntrack.used, shares, headroom.starved]))
"""


def test_real_figures_of_a_namespace() -> None:
    """The kernel's own files are read right: sixteen connections from twenty ports leave hardly any."""
    with namespace() as ns:
        ns.nft("table inet t { chain c { type filter hook output priority 0; ct state new counter; }; }\n")
        used, most, tracked, shares, starved = json.loads(ns.run(f"{sys.executable} -", stdin=_BUSY))
    assert most == 20
    assert used == most, "both ends are sockets of this namespace: more cannot be in use than there are"
    assert tracked is None or tracked >= 16
    assert (shares, starved) == ([0.5], True)
