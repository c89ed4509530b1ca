"""A first form, so that what stands on it can be tested: it finds nothing yet."""

from collections.abc import Callable

from checks.net.endpoint import Endpoint
from checks.net.helper import HelperClient
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Seat
from checks.net.stub import StubResolver


def connector_seat(
    client: HelperClient,
    *,
    nameservers: tuple[Endpoint, ...] | None,
    search: tuple[str, ...] | None,
    timeout_s: float,
    connector_dns: Callable[[], tuple[Endpoint, ...] | None],
) -> Seat:
    """Placeholder."""
    del connector_dns
    settings = SystemSettings(nameservers=nameservers, search=search)
    resolver = StubResolver(settings, client.open_socket, timeout_s)
    return Seat(name="connector", resolver=resolver, open_socket=client.open_socket)


def parse_connector_dns(text: str) -> tuple[Endpoint, ...] | None:
    """Placeholder."""
    del text
    return None
