"""Which names this server answers to: a page elsewhere must not read us through a name that it makes point here.

That attack (DNS rebinding) needs a name of the attacker's in the Host header, which a browser always sends. So IP
literals, localhost, this host's own names and those of the configuration are served, and everything else is refused.
"""

import socket
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from checks.net.endpoint import is_address, parse_endpoint
from daemon.config.schema import Web

MAX_HOSTS_BYTES = 65536  # of /etc/hosts: our own line stands at the top, and some hosts keep a block list in it


class HostGuard:
    """Judges Host headers against a set of names."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset({"localhost", *(_plain(name) for name in names)})

    def allows(self, header: str) -> bool:
        """Tell whether to answer a request with this Host header (`name[:port]`, `1.2.3.4[:port]`, `[v6][:port]`)."""
        try:
            host = parse_endpoint(header.strip(), 1).host
        except ValueError:
            return False
        return is_address(host) or _plain(host) in self._names

    def allows_origin(self, header: str | None, asked: str) -> bool:
        """Tell whether a request that changes something may come from this Origin; None: it is from no page at all.

        An address may be anybody's: it must be the one that was asked, which the Host header (`asked`) tells.
        """
        if header is None:
            return True
        try:
            host = urlsplit(header).hostname
            return host is not None and (
                _plain(host) in self._names or (is_address(host) and host == parse_endpoint(asked.strip(), 1).host)
            )
        except ValueError:
            return False


def configured_hosts(web: Web) -> set[str]:
    """Return the host names of `web.listen` and `web.external_url`."""
    names = {endpoint.host for endpoint in web.listen}
    external = urlsplit(web.external_url).hostname if web.external_url else None
    return names | {external} if external else names


def own_names(hostname: str | None = None, hosts_file: Path = Path("/etc/hosts")) -> set[str]:
    """Return this host's names without asking DNS, which may be what is broken: its own, the short one, its aliases.

    Aliases are what stands on the same line of the hosts file (`127.0.1.1 gw.example.com gw`).
    """
    full = hostname or socket.gethostname()
    names = {full, full.partition(".")[0]}
    try:
        with hosts_file.open("rb") as file:
            lines = file.read(MAX_HOSTS_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return names
    for line in lines:
        _, *aliases = line.partition("#")[0].split() or [""]
        if not names.isdisjoint(aliases):
            names |= set(aliases)
    return names


def _plain(name: str) -> str:
    return name.lower().removesuffix(".")
