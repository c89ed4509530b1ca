"""A Twingate site on loopback: time source, nameserver, Controller, Relay, STUN, Resources; some of them broken."""

import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import trustme

from daemon.demo.tcp_servers import Http, TcpServer
from daemon.demo.udp_servers import Nameserver, StunServer, TimeSource, UdpServer

CONTROLLER = "acme.demo.test"
RELAY = "relay.demo.test"
STATUS_PAGE = "status.demo.test"
SLOW_S = 1.2  # how late the slow name is answered: long enough to be noticed, well within the time-out
SKEW_S = 6.0  # just beyond what the Controller tolerates
ALL_FINE = b'{"page":{"id":"demo"},"status":{"indicator":"none","description":"All Systems Operational"}}'

NAMES = {
    "orders-db.corp.internal": "127.0.0.1",
    "wiki.corp.internal": "127.0.0.1",
    "billing.corp.internal": "127.0.0.1",
    "reports.corp.internal": "127.0.0.1",
    CONTROLLER: "127.0.0.1",
    RELAY: "127.0.0.1",
    STATUS_PAGE: "127.0.0.1",
}
PLANTED = (
    "hr.corp.internal has no address (its name is missing from the zone)",
    "billing.corp.internal resolves, but its port is closed",
    f"reports.corp.internal works, but its name takes {SLOW_S:g} s to resolve",
)


class Lab:
    """The servers, and the faults that can be planted in them while they run."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._clock = TimeSource()
        self._names = Nameserver(NAMES, {"reports.corp.internal": SLOW_S})
        self._stun = (StunServer(), StunServer())
        self._udp = [UdpServer(server.answer) for server in (self._clock, self._names, self._stun[0], self._stun[1])]
        self._udp_ports: list[int] = []
        trusted, stranger = trustme.CA(), trustme.CA(organization_name="Corporate Proxy")
        self._ca_file = directory / "ca.pem"
        trusted.cert_pem.write_to_path(str(self._ca_file))
        self._good, self._bad = _context(trusted), _context(stranger)
        self._controller = TcpServer(tls=self._good, http=Http(self._now))
        self._status_page = TcpServer(tls=self._good, http=Http(self._now, ALL_FINE))
        self._relay = TcpServer(tls=self._good)
        self._orders, self._wiki, self._billing, self._reports = (TcpServer() for _ in range(4))
        self._tcp = (
            self._controller, self._status_page, self._relay, self._orders, self._wiki, self._billing, self._reports,
        )  # fmt: skip

    @property
    def faults(self) -> Mapping[str, tuple[str, Callable[[], Awaitable[None]]]]:
        """What can be broken live: its name, what happens, and how."""
        return {
            "clock": (f"the time source and the Controller are now {SKEW_S:g} s ahead of this host", self._skew),
            "nameserver": ("the nameserver has fallen silent", self._mute_names),
            "controller": ("the Controller refuses connections", self._controller.stop),
            "tls": ("something now answers for the Controller with a certificate of its own", self._intercept),
            "relay": ("the Relay refuses connections", self._relay.stop),
            "udp": ("the STUN servers have fallen silent, as if UDP were blocked", self._mute_stun),
            "resource": ("orders-db.corp.internal refuses connections", self._orders.stop),
        }

    async def start(self) -> None:
        """Start every server on a free port."""
        for server, host in zip(self._udp, ("127.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.2"), strict=True):
            self._udp_ports.append(await server.start(host))
        for tcp in self._tcp:
            await tcp.start()
        await self._billing.stop()

    def close(self) -> None:
        """Stop every server."""
        for server in self._udp:
            server.close()
        for tcp in self._tcp:
            tcp.close()

    def write_config(self, listen: str) -> Path:
        """Write the configuration that watches this lab, and return its path."""
        ntp, names, stun_1, stun_2 = self._udp_ports
        path = self.directory / "config.yaml"
        path.write_text(f"""\
# Written by `healthctl demo`: a Connector's site on loopback.
connector: {{name: demo-1, remote_network: Demo, runtime: none}}
clock: {{servers: ["127.0.0.1:{ntp}"]}}
control_plane: {{urls: ["https://{CONTROLLER}:{self._controller.port}"], ca_file: {self._ca_file}}}
relays: {{endpoints: ["{RELAY}:{self._relay.port}"], stun: ["127.0.0.1:{stun_1}", "127.0.0.2:{stun_2}"]}}
dns: {{nameservers: ["127.0.0.1:{names}"], search: [], timeout: 2s}}
provider: {{status_url: "https://{STATUS_PAGE}:{self._status_page.port}/api/v2/summary.json", enabled: on_failure}}
resources:
  - {{name: Orders DB, address: orders-db.corp.internal, tcp: [{self._orders.port}]}}
  - {{name: Wiki, address: wiki.corp.internal, tcp: [{self._wiki.port}]}}
  - {{name: Reports, address: reports.corp.internal, tcp: [{self._reports.port}]}}
  - {{name: Billing, address: billing.corp.internal, tcp: [{self._billing.port}]}}
  - {{name: HR, address: hr.corp.internal, tcp: [443]}}
  - {{name: Everything else, address: "*.corp.internal"}}
probing: {{allow: [127.0.0.0/8]}}   # the names of this lab lead to loopback, which is denied otherwise
schedule:
  interval: 5s
  timeout: 2s
  intervals: {{control_plane: 5s, relay: 5s, nat: 10s, provider: 30s, connector: 15s, host: 15s}}
web: {{listen: ["{listen}"]}}
state: {{path: {self.directory / "state.db"}}}
checks: {{host: false}}   # the lab needs no network, so what this host's looks like does not matter here
""")
        return path

    def _now(self) -> float:
        return time.time() + self._clock.offset_s  # noqa: TID251 - a server's Date is wall time

    async def _skew(self) -> None:
        self._clock.offset_s = SKEW_S

    async def _mute_names(self) -> None:
        self._names.silent = True

    async def _mute_stun(self) -> None:
        for server in self._stun:
            server.silent = True

    async def _intercept(self) -> None:
        self._controller.close()
        self._controller.tls = self._bad
        await self._controller.start()


def _context(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(CONTROLLER, RELAY, STATUS_PAGE).configure_cert(context)
    return context
