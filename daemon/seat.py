"""Where the probes stand. In this version always in this host's own network namespace."""

from checks.net.resolvconf import SystemSettings
from checks.net.seat import Seat, open_socket
from checks.net.stub import StubResolver
from daemon.config.schema import Dns


def host_seat(dns: Dns) -> Seat:
    """Return the seat on this host: its resolv.conf and hosts file, or what the configuration says instead."""
    settings = SystemSettings(
        nameservers=None if isinstance(dns.nameservers, str) else dns.nameservers,
        search=None if isinstance(dns.search, str) else dns.search,
    )
    return Seat(resolver=StubResolver(settings, open_socket, dns.timeout), open_socket=open_socket)
