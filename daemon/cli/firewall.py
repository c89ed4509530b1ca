"""`healthctl explain firewall`: the ways out that a configuration asks for: a page, nftables commands, or JSON."""

import asyncio
import sys
from typing import Literal, TypeAlias

from checks.runtime.model import AmbiguousError
from daemon.cli.exits import EXIT_UNKNOWN
from daemon.cli.main import accept_interrupts
from daemon.cli.nearest import safe
from daemon.cli.options import DEFAULT_CONFIG
from daemon.cli.output import complain, emit
from daemon.config.load import load_config
from daemon.config.problems import ConfigError
from daemon.config.schema import Config
from daemon.explain import firewall_nft, firewall_text
from daemon.explain.firewall import document, notes_on, read_local, ways_in, ways_out
from daemon.explain.firewall_model import Local, Way
from daemon.logs import configure

Output: TypeAlias = Literal["text", "nft", "json"]

SHOWN = 20  # names without an address that are listed on standard error


def run(config_path: str | None, output: Output, *, resolve: bool) -> int:
    """Print the ways out; return 0, 1 when a name had no address, or 3 when the configuration can't be used."""
    file = config_path or DEFAULT_CONFIG
    try:
        config = load_config(file).config
    except ConfigError as error:
        for problem in error.problems:
            complain(str(problem))
        return EXIT_UNKNOWN
    local = _local(config)
    missing: tuple[str, ...] = ()
    try:
        if resolve:
            ways, missing = _resolved(config, local)
        else:
            ways = ways_out(config, local)
    except AmbiguousError as error:
        complain(f"connector.container: {error}")
        return EXIT_UNKNOWN
    emit(_written(config, file, local, ways, output))
    for name in missing[:SHOWN]:
        complain(f"{safe(name)} has no address just now: its set is empty")
    if len(missing) > SHOWN:
        complain(f"and {len(missing) - SHOWN} more names have none")
    return 1 if missing else 0


def _local(config: Config) -> Local:
    """Read what this host's files say, if the configuration refers to them."""
    if "system" not in (config.dns.nameservers, config.clock.servers):
        return Local()
    local = read_local()
    for problem in local.problems:
        complain(f"note: {safe(problem)}")
    return local


def _resolved(config: Config, local: Local) -> tuple[list[Way], tuple[str, ...]]:
    from daemon.explain.firewall_resolve import resolved  # noqa: PLC0415 - brings the seats

    accept_interrupts()
    configure("logfmt", "warning", sys.stderr)
    found = asyncio.run(resolved(config, local))
    return found.ways, found.missing


def _written(config: Config, file: str, local: Local, ways: list[Way], output: Output) -> str:
    if output == "json":
        return document(config, file, local, ways)
    if output == "nft":
        return firewall_nft.render(file, ways)
    return firewall_text.render(file, ways, ways_in(config), notes_on(ways))
