"""Ports and ranges of ports as they are written in the file."""

import re
from functools import lru_cache

import msgspec

from daemon.config.problems import BadValueError
from daemon.config.values import Leaf

_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_LAST = 65535
_PORT_SCHEMA = {"type": "integer", "minimum": 1, "maximum": _LAST}


class PortRange(msgspec.Struct, frozen=True, order=True):
    """Ports `first` to `last`, both included."""

    first: int
    last: int

    @property
    def single(self) -> bool:
        """Tell whether it is one port."""
        return self.first == self.last

    def __contains__(self, port: int) -> bool:
        return self.first <= port <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.single else f"{self.first}-{self.last}"


def _port(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValueError("not a port")
    if not 1 <= value <= _LAST:
        raise BadValueError("not a port")
    return value


@lru_cache(maxsize=1024)  # thousands of Resources have the same few ports
def _alone(port: int) -> PortRange:
    return PortRange(port, port)


def parse_ports(value: object) -> PortRange:
    """Read one port, or a range `first-last`. Raises: BadValueError."""
    if not isinstance(value, str):
        return _alone(_port(value))
    if not (found := _RANGE.fullmatch(value)):
        raise BadValueError("not a port or range")
    first, last = int(found[1]), int(found[2] or found[1])
    if first > last:
        raise BadValueError("the range is backwards", f'"{last}-{first}"')
    if not 1 <= first <= last <= _LAST:
        raise BadValueError("not a port or range")
    return PortRange(first, last)


def _show(ports: PortRange) -> int | str:
    return ports.first if ports.single else str(ports)


PORT = Leaf(expected=f"a port (1 to {_LAST})", parse=_port, schema=_PORT_SCHEMA)
PORTS = Leaf(
    expected=f'a port (1 to {_LAST}) or a range such as "8000-8010"',
    parse=parse_ports,
    schema={"oneOf": [_PORT_SCHEMA, {"type": "string", "pattern": f"^{_RANGE.pattern}$"}]},
    show=_show,
)
