"""The Connector's own seat: sockets of its network namespace, names resolved as its own files and settings say."""

import asyncio
import time
from collections.abc import Callable

from checks.half_open import HalfOpen
from checks.model import Reason
from checks.net.answers import DNS_PORT
from checks.net.endpoint import Endpoint, parse_endpoint
from checks.net.errors import SeatError
from checks.net.helper import HelperClient
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Seat
from checks.net.stub import StubResolver

READ_AGAIN_S = 2.0  # a change of its files counts after that; every lookup asks, and three descriptors are not free
MAX_NAMESERVERS = 16  # of TWINGATE_DNS: more is a mistake


def parse_connector_dns(text: str) -> tuple[Endpoint, ...] | None:
    """Return the nameservers of TWINGATE_DNS, separated by commas; None when it names none."""
    found: dict[Endpoint, None] = {}
    for word in text.split(",", MAX_NAMESERVERS)[:MAX_NAMESERVERS]:
        try:
            endpoint = parse_endpoint(word.strip(), DNS_PORT)
        except ValueError:
            continue
        if endpoint.literal:
            found[endpoint] = None
    return tuple(found) or None


def connector_seat(
    client: HelperClient,
    *,
    nameservers: tuple[Endpoint, ...] | None,
    search: tuple[str, ...] | None,
    timeout_s: float,
    connector_dns: Callable[[], tuple[Endpoint, ...] | None],
    half_open: HalfOpen | None = None,
) -> Seat:
    """Return the seat behind a helper; it follows the Connector from one process to the next.

    `nameservers` and `search` are the configuration's (None: the Connector's own); `connector_dns` returns those of
    TWINGATE_DNS, which count before its resolv.conf. `timeout_s` bounds one DNS question; `half_open` probes through
    the same helper.
    """
    place = _Place(client, half_open)
    settings = SystemSettings(
        resolv_conf=place.resolv_conf,
        hosts=place.hosts,
        nameservers=nameservers,
        search=search,
        host_name=place.host_name,
        environment=connector_dns,
    )
    resolver = StubResolver(settings, client.open_socket, timeout_s)
    place.moved = resolver.renew
    return Seat(
        name="connector",
        resolver=resolver,
        open_socket=client.open_socket,
        read_net=client.read_net,
        mark=place.mark,
        half_open=half_open,
        close=resolver.renew,
    )


class _Place:
    """The Connector's files, and the mark by which a new Connector is known: its files are read at once.

    Where that is in another network namespace, the half-open prober begins anew there.
    """

    def __init__(self, client: HelperClient, half_open: HalfOpen | None) -> None:
        self._client = client
        self._half_open = half_open
        self.moved: Callable[[], None] = lambda: None  # the resolver's sockets belong to the place that was left
        self._mark: tuple[int, int, int] | None = None
        self.resolv_conf = _ConnectorFile(client, "resolv.conf")
        self.hosts = _ConnectorFile(client, "hosts")
        self._hostname = _ConnectorFile(client, "hostname")

    def host_name(self) -> str:
        """Return the Connector's host name; empty when it is not known."""
        self._hostname.refresh()
        return (self._hostname.text or "").strip()

    def mark(self) -> tuple[int, int, int] | None:
        """Return pid, start and namespace of the Connector; None when it does not run.

        Without the helper it is the last one known: nothing tells then that the Connector moved.
        """
        try:
            mark = self._client.mark()
        except SeatError as error:
            if error.reason is Reason.NOT_RUNNING:
                return None
            return self._mark
        if mark != self._mark:
            self._mark = mark
            self.moved()
            if self._half_open is not None:
                self._half_open.stands_in(mark[2])
            for file in (self.resolv_conf, self.hosts, self._hostname):
                file.forget()
        return mark


class _ConnectorFile:
    """A file of the Connector's /etc, read through the helper; a `SettingsFile`."""

    def __init__(self, client: HelperClient, name: str) -> None:
        self._client = client
        self._name = name
        self._read_at = float("-inf")
        self.text: str | None = None
        self.problem = ""

    def refresh(self) -> bool:
        """Read the file unless it was read lately; tell whether text or problem changed."""
        now = _now()
        if self._read_at <= now < self._read_at + READ_AGAIN_S:
            return False
        self._read_at = now
        before = self.text, self.problem
        self.problem = ""
        try:
            self.text = self._client.read_file(self._name)
        except FileNotFoundError:
            self.text = ""
        except OSError as error:
            self.problem = f"the Connector's /etc/{self._name} can't be read: {error}"
        return (self.text, self.problem) != before

    def forget(self) -> None:
        """Read the file again when next asked; its last text counts until then."""
        self._read_at = float("-inf")


def _now() -> float:
    """Return the loop's time; outside of a loop, as at start, the clock that it goes by."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()
