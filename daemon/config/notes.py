"""What is worth a warning although the configuration can be used."""

import ipaddress
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from checks.net.endpoint import is_loopback
from daemon.config.nodes import Node
from daemon.config.problems import Path, Problem, path_text
from daemon.config.rules import node_at
from daemon.config.schema import Config, Probing

REFUSED: dict[str, str] = {
    "resource_sources": "not in this version, expected []; list the Resources under resources",
}
"""Lists of the top level that must be empty in this version: ignoring them would watch less than was asked for."""

PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "ftp_proxy", "socks_proxy")


def warnings(config: Config, root: Node | None, file: str) -> Iterator[Problem]:
    """Yield what the operator should know."""
    for path, message in _findings(config):
        node = node_at(root, path) if root else None
        yield Problem(file, node.line if node else 0, node.column if node else 0, path_text(path), message)


def _findings(config: Config) -> Iterator[tuple[Path, str]]:
    if not config.connector.network and not config.control_plane.urls:
        yield (
            ("connector", "network"),
            "not set, nor is control_plane.urls: the control plane is not checked",
        )
    yield from _ports_without_policy(config.probing)
    yield from _slow(config)
    for index, alertmanager in enumerate(config.alerting.alertmanagers):
        if (alertmanager.bearer_file or alertmanager.basic) and _is_open(alertmanager.url):
            yield (
                ("alerting", "alertmanagers", index),
                "its credentials go over http:// and whoever is on the way reads them; use https:// with tls.ca_file",
            )
    for index, resource in enumerate(config.resources):
        if "/" in resource.address and not resource.samples:
            network = ipaddress.ip_network(resource.address)
            if network.num_addresses == 1:
                alone = network.network_address
                yield (
                    ("resources", index, "address"),
                    (f"a network of one address is not probed without samples; write {alone} to have it probed"),
                )


def _is_open(url: str) -> bool:
    """Tell whether what is sent there leaves this host without TLS."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname != "localhost" and not is_loopback(parts.hostname or "")


def _ports_without_policy(probing: Probing) -> Iterator[tuple[Path, str]]:
    """A mapping in the file replaces the default one: who adds a port may not want to drop the others."""
    dropped = sorted(set(Probing().ports) - set(probing.ports))
    if probing.ports and dropped:
        listed = ", ".join(map(str, dropped))
        yield (
            ("probing", "ports"),
            (
                f"replaces the default policies; ports without one now: {listed}. Add those that must not be probed by"
                " connect at full rate"
            ),
        )


def _slow(config: Config) -> Iterator[tuple[Path, str]]:
    timeout = config.schedule.timeout
    message = f"shorter than schedule.timeout ({timeout:g}s): probes of a silent target will miss turns"
    if config.schedule.interval < timeout:
        yield ("schedule", "interval"), message
    for index, resource in enumerate(config.resources):
        if resource.interval is not None and resource.interval < timeout:
            yield ("resources", index, "interval"), message


def proxy_warnings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Say which proxy variables are set. Their values are left out: they may hold a password."""
    names = sorted(name for name, value in environ.items() if value and name.lower() in PROXY_VARIABLES)
    return tuple(f"{name} is set and ignored: connections use no proxy, as the Connector's do not" for name in names)
