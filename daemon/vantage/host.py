"""The seat on this host: its own network namespace, its resolv.conf and hosts file."""

from dataclasses import replace
from typing import NoReturn

from checks.half_open import HalfOpen
from checks.net.endpoint import Endpoint
from checks.net.errors import SeatError
from checks.net.resolvconf import SystemSettings
from checks.net.seat import Seat, open_socket, read_net
from checks.net.stub import StubResolver
from daemon.config.schema import Dns


def host_seat(dns: Dns, half_open: HalfOpen | None = None) -> Seat:
    """Return the seat on this host: its own resolver settings, or what the configuration says instead."""
    resolver = _resolver(dns, None)
    return Seat(resolver=resolver, half_open=half_open, close=resolver.renew)


def shared_seat(dns: Dns, connector_dns: tuple[Endpoint, ...] | None, half_open: HalfOpen | None = None) -> Seat:
    """Return the Connector's seat where it shares our network namespace (host network, same pod, same host).

    `connector_dns` are the nameservers of TWINGATE_DNS, which the Connector asks instead of those of resolv.conf.
    """
    resolver = _resolver(dns, connector_dns)
    return Seat(name="connector", resolver=resolver, half_open=half_open, close=resolver.renew)


def near_seat(connector: Seat, half_open: HalfOpen | None) -> Seat:
    """Return the Connector's seat where it stands in our own network namespace, but may have files of its own."""
    return replace(connector, open_socket=open_socket, read_net=read_net, half_open=half_open)


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
