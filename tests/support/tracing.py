"""A trace run inside the tests' own namespaces: a Connector that stands there, its log, nameservers beside it."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import dns.message

from checks.connlog.model import RawLine
from checks.net.endpoint import Endpoint
from checks.net.resolvconf import Settings
from checks.net.seat import Seat
from checks.net.stub import StubResolver
from checks.runtime.model import LogPlace, Runtime, Sighting, Wanted
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.trace.conclude import conclude
from daemon.trace.conclusion import Conclusion
from daemon.trace.facts import TraceFacts
from daemon.trace.gather import BUDGET_S, gather
from daemon.trace.target import find_target
from daemon.vantage.seats import Seats
from daemon.vantage.watch import ConnectorWatch
from tests.support.connector_log import analytics
from tests.support.netns import Namespace
from tests.support.played_log import Source
from tests.support.servers import answers_udp, find, require, running
from tests.support.sightings import RUNNING, Looks
from tests.support.stubs import FixedSettings

READS_USERS = MappingProxyType({"TWINGATE_NETWORK": "acme", "TWINGATE_LOG_ANALYTICS": "v2"})
PLACE = LogPlace(kind="docker", id="container-1", driver="json-file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One trace: what is asked for, from where, by which nameservers, and what the Connector is and has logged.

    `log`: (seconds ago, line). `config` is added to the configuration. `also`: a second place, as the host's own.
    """

    word: str
    ns: Namespace
    nameservers: Sequence[Endpoint] = ()
    sighting: Sighting = field(default_factory=lambda: replace(RUNNING, environment=READS_USERS))
    log: Sequence[tuple[float, str]] = ()
    config: str = ""
    resources: str = "[]"
    budget_s: float = BUDGET_S
    also: Namespace | None = None


def used(kind: str, address: str, port: int, ago_s: float, **more: object) -> tuple[float, str]:
    """Make an ANALYTICS line of a user's connection so many seconds ago."""
    ip = {} if kind != "failed_to_connect" else {"error_message": "CONNECTION_FAILED"}
    return ago_s, analytics(kind, address=address, rule=address, resource_port=port, **ip, **more)


def seat_in(ns: Namespace, nameservers: Sequence[Endpoint], *, connector: bool, timeout_s: float = 5.0) -> Seat:
    """Return a seat that stands in a namespace."""

    def read_net(name: str) -> str:
        with ns.entered():
            return Path("/proc/thread-self/net", name).read_text()

    settings = FixedSettings(Settings(nameservers=tuple(nameservers)))
    return Seat(
        name="connector" if connector else "host",
        resolver=StubResolver(settings, ns.open_socket, timeout_s),
        open_socket=ns.open_socket,
        read_net=read_net,
        mark=lambda: (4711, 1, 2),
    )


async def traced(case: Case) -> tuple[TraceFacts, Conclusion]:
    """Run one trace and conclude."""
    now = time.time()  # noqa: TID251 - the log's lines are dated by the clock that the trace reads
    loaded = parse_config(_config(case).encode(), "test.yaml")
    sighting = replace(case.sighting, log=PLACE, started_at=now - 7200 if case.sighting.started_at else None)
    lines = [RawLine(at=now - ago, text=text.encode(), cursor=str(n)) for n, (ago, text) in enumerate(case.log)]
    first = seat_in(case.ns, case.nameservers, connector=True)
    host = seat_in(case.also, case.nameservers, connector=False) if case.also is not None else None

    class Watch(ConnectorWatch):
        def __init__(self, config: Config) -> None:
            async def find_it(_: Wanted) -> Runtime:
                return Looks(sighting)

            super().__init__(config, find=find_it)

        async def look(self) -> Sighting:
            seen = await super().look()
            self.seats = Seats(first, host)
            return seen

    source = Source([lines] if lines else [])
    facts = await gather(
        find_target(loaded, case.word), budget_s=case.budget_s, make_watch=Watch, make_source=source.make
    )
    return facts, conclude(facts)


def _config(case: Case) -> str:
    standard = {
        "clock": "{servers: [], controller_date: false}",
        "relays": "{endpoints: []}",
        "provider": "{enabled: never}",
        "schedule": "{timeout: 1500ms}",
        "dns": "{timeout: 1s}",
        "state": "{path: /nonexistent/state.db}",
    }
    own = {line.partition(":")[0] for line in case.config.splitlines() if line[:1].isalpha()}
    lines = [f"{key}: {value}" for key, value in standard.items() if key not in own]
    head = "connector: {name: t1, runtime: docker, vantage: connector, helper: /nonexistent/socket}"
    return "\n".join([head, *lines, case.config, f"resources: {case.resources}"]) + "\n"


@contextlib.contextmanager
def nameserver(folder: Path, ns: Namespace, address: str, *lines: str) -> Iterator[Endpoint]:
    """Run unbound in a namespace with these further lines (the first ones belong to `server:`)."""
    require("unbound")
    conf = folder / f"unbound-{address}.conf"
    conf.write_text(
        f'server:\n  directory: "{folder}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n  use-syslog: no\n'
        f"  do-daemonize: no\n  num-threads: 1\n  module-config: iterator\n  do-not-query-localhost: no\n"
        f"  interface: {address}\n  access-control: 10.0.0.0/8 allow\n"
        + "\n".join(['  local-zone: "ready.test." static', *lines])
        + "\n"
    )
    question = dns.message.make_query("ready.test.", "A").to_wire()

    def ready() -> bool:
        with ns.entered():
            return answers_udp(53, question, address)

    argv = ["ip", "netns", "exec", ns.name, find("unbound") or "unbound", "-d", "-c", str(conf)]
    with running(argv, folder / f"unbound-{address}.log", ready):
        yield Endpoint(address, 53)
