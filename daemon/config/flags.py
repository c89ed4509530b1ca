"""A configuration from the flags of `healthctl check`, without a file."""

import re
from collections.abc import Sequence as Flags
from dataclasses import replace

import msgspec

from checks.net.endpoint import is_address
from daemon.config.addresses import parse_resource_address
from daemon.config.load import Loaded, convert_nodes
from daemon.config.nodes import Mapping, Scalar, Sequence
from daemon.config.problems import BadValueError, ConfigError, Problem, value_text

_RESOURCE = re.compile(r"resources\[(\d+)\]\.?(.*)")


def config_for_flags(network: str | None, resources: Flags[str]) -> Loaded:
    """Make the configuration of `--network N` and `--resource ADDRESS[:PORT[,PORT…]]`, each flag as often as wanted.

    The address is the Resource's name too; ports of several flags for one address are put together.
    Raises: ConfigError, with the flag in place of a file.
    """
    flags: dict[str, str] = {}
    ports: dict[str, list[str]] = {}
    for flag in resources:
        address, listed = _split(flag)
        name = _normal(address)
        flags.setdefault(name, flag)
        known = ports.setdefault(name, [])
        known.extend(port for port in dict.fromkeys(listed) if port not in known)
    root = _mapping(
        connector=_mapping(**({} if network is None else {"network": _scalar(network)})),
        resources=_sequence([_resource(name, listed) for name, listed in ports.items()]),
    )
    try:
        loaded = convert_nodes(root, "--resource", "/", [])
    except ConfigError as error:
        raise ConfigError([_in_flag(problem, list(flags.values())) for problem in error.problems]) from None
    return replace(loaded, warnings=tuple(_in_flag(problem, list(flags.values())) for problem in loaded.warnings))


def with_flags(loaded: Loaded, flags: Loaded) -> Loaded:
    """Return a file's configuration with what the flags name in place of its network and its Resources."""
    config = loaded.config
    network = flags.config.connector.network or config.connector.network
    config = msgspec.structs.replace(
        config,
        connector=msgspec.structs.replace(config.connector, network=network),
        resources=flags.config.resources or config.resources,
    )
    return replace(loaded, config=config)


def _split(flag: str) -> tuple[str, list[str]]:
    """Split `host`, `host:80,443`, `[v6]:80`, a bare IPv6 address or a network from its ports."""
    if is_address(flag):
        return flag, []
    address, colon, listed = flag.rpartition(":")
    if not colon or "/" in listed or "]" in listed:
        return flag, []
    return address, [port.strip() for port in listed.split(",")]


def _normal(address: str) -> str:
    try:
        return parse_resource_address(address)
    except BadValueError:
        return address


def _resource(name: str, ports: list[str]) -> Mapping:
    keys: dict[str, Scalar | Sequence] = {"name": _scalar(name), "address": _scalar(name)}
    if ports:
        keys["tcp"] = _sequence([_scalar(port) for port in ports])
    return _mapping(**keys)


def _in_flag(problem: Problem, flags: list[str]) -> Problem:
    if found := _RESOURCE.fullmatch(problem.path):
        return replace(problem, file=f"--resource {value_text(flags[int(found[1])])}", path=found[2])
    if problem.path == "connector.network":
        return replace(problem, file="--network", path="")
    return problem


def _scalar(value: str) -> Scalar:
    return Scalar(0, 0, value)


def _sequence(items: list[Scalar] | list[Mapping]) -> Sequence:
    return Sequence(0, 0, list(items))


def _mapping(**keys: Scalar | Sequence | Mapping) -> Mapping:
    return Mapping(0, 0, [(_scalar(key), node) for key, node in keys.items()])
