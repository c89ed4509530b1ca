"""The seat on this host: its own network namespace, its resolv.conf and hosts file."""

from typing import NoReturn

from checks.net.endpoint import Endpoint
from checks.net.errors import SeatError
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Seat, open_socket
from checks.net.stub import StubResolver
from daemon.config.schema import Dns


def host_seat(dns: Dns) -> Seat:
    """Return the seat on this host: its own resolver settings, or what the configuration says instead."""
    return Seat(resolver=_resolver(dns, None))


def shared_seat(dns: Dns, connector_dns: tuple[Endpoint, ...] | None) -> Seat:
    """Return the Connector's seat where it shares our network namespace (host network, same pod, same host).

    `connector_dns` are the nameservers of TWINGATE_DNS, which the Connector asks instead of those of resolv.conf.
    """
    return Seat(name="connector", resolver=_resolver(dns, connector_dns))


def no_seat(dns: Dns, error: SeatError) -> Seat:
    """Return the Connector's seat that can't be taken: whatever is tried from it fails with `error`."""

    def refuse(_family: int, _kind: int) -> NoReturn:
        raise error

    def unreadable(_name: str) -> NoReturn:
        raise error

    settings = SystemSettings(nameservers=_listed(dns), search=_searched(dns))
    resolver = StubResolver(settings, refuse, dns.timeout)
    return Seat(name="connector", resolver=resolver, open_socket=refuse, read_net=unreadable)


def _resolver(dns: Dns, connector_dns: tuple[Endpoint, ...] | None) -> StubResolver:
    nameservers = _listed(dns)
    settings = SystemSettings(nameservers=connector_dns if nameservers is None else nameservers, search=_searched(dns))
    return StubResolver(settings, open_socket, dns.timeout)


def _listed(dns: Dns) -> tuple[Endpoint, ...] | None:
    return None if isinstance(dns.nameservers, str) else dns.nameservers


def _searched(dns: Dns) -> tuple[str, ...] | None:
    return None if isinstance(dns.search, str) else dns.search
