"""What `healthctl trace` is asked about: from one word of the command line to one Resource and its configuration.

In this order: the name of a configured Resource, its address, one of these with `:PORT`, an address that the pattern or
network of a Resource covers, and last any address at all.
"""

import contextlib
from dataclasses import dataclass

import msgspec

from checks.net.endpoint import is_address, parse_port
from daemon.config.addresses import is_pattern, parse_resource_address
from daemon.config.flags import config_for_flags, with_flags
from daemon.config.load import Loaded
from daemon.config.ports import PortRange
from daemon.config.problems import BadValueError, ConfigError
from daemon.config.schema import Config, Resource
from daemon.learnable import allows, covers
from daemon.trace.facts import Target


class UnknownTargetError(Exception):
    """The word names nothing that can be traced; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to trace, and the configuration narrowed to it: one Resource, with the port that was asked for."""

    target: Target
    config: Config


def find_target(loaded: Loaded | None, word: str) -> Wanted:
    """Return what a word means. `loaded`: None without a configuration. Raises: UnknownTargetError."""
    resources = loaded.config.resources if loaded is not None else ()
    for text, port in _readings(word):
        named = [r for r in resources if r.name == text] or [r for r in resources if r.name.lower() == text.lower()]
        address = _address(text)
        behind = named or [r for r in resources if address is not None and r.address == address]
        if loaded is not None and behind:
            return _of_resource(loaded.config, behind, port)
        if loaded is not None and address is not None:
            wide = [r for r in resources if covers(r, address)]
            if wide:
                return _behind(loaded.config, wide, address, port)
    return _ad_hoc(loaded, word)


def _readings(word: str) -> list[tuple[str, int | None]]:
    """Return what the word may mean: all of it, then what stands before a port."""
    readings: list[tuple[str, int | None]] = [(word, None)]
    before, colon, after = word.rpartition(":")
    if colon and before and not is_address(word):
        with contextlib.suppress(ValueError):
            readings.append((before, parse_port(after)))
    return readings


def _address(text: str) -> str | None:
    try:
        return parse_resource_address(text.removeprefix("[").removesuffix("]") if text.startswith("[") else text)
    except BadValueError:
        return None


def _of_resource(config: Config, behind: list[Resource], port: int | None) -> Wanted:
    chosen = next((r for r in behind if port is None or allows(r, port)), behind[0])
    target = Target(
        resource=chosen.name,
        address=chosen.address,
        port=port,
        not_allowed=port is not None and not allows(chosen, port),
        others=tuple(r.name for r in behind if r is not chosen),
    )
    return Wanted(target=target, config=_only(config, _with_port(chosen, port)))


def _behind(config: Config, wide: list[Resource], address: str, port: int | None) -> Wanted:
    """Return the trace of one address that a pattern or network covers."""
    chosen = next((r for r in wide if port is None or allows(r, port)), wide[0])
    target = Target(
        resource=chosen.name,
        address=address,
        rule=chosen.address,
        port=port,
        not_allowed=port is not None and not allows(chosen, port),
    )
    one = msgspec.structs.replace(_with_port(chosen, port), address=address, samples=())
    return Wanted(target=target, config=_only(config, one))


def _ad_hoc(loaded: Loaded | None, word: str) -> Wanted:
    """Return the trace of an address that is nobody's. Raises: UnknownTargetError."""
    try:
        flags = config_for_flags(None, (word,))
    except ConfigError as error:
        raise UnknownTargetError(f"it is no address either: {error.problems[0].message}") from error
    (resource,) = flags.config.resources
    if is_pattern(resource.address) or "/" in resource.address:
        raise UnknownTargetError("a pattern or network that is no Resource's: name one address behind it")
    if not resource.tcp or len(resource.tcp) > 1 or not resource.tcp[0].single:
        raise UnknownTargetError("an address that is no Resource's is traced with its port: ADDRESS:PORT")
    config = with_flags(loaded, flags).config if loaded is not None else flags.config
    port = resource.tcp[0].first
    return Wanted(target=Target(resource=None, address=resource.address, port=port), config=config)


def _with_port(resource: Resource, port: int | None) -> Resource:
    if port is None:
        return resource
    return msgspec.structs.replace(resource, tcp=(PortRange(port, port),), probe_ports=())


def _only(config: Config, resource: Resource) -> Config:
    return msgspec.structs.replace(config, resources=(resource,))
