"""`host[:port]` and `[v6]:port`: parsed and written in one place."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """A host name or literal address, and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def short(self, default_port: int) -> str:
        """Write it without the port when that is the usual one; this form names targets in ids and labels."""
        return self.host if self.port == default_port else str(self)

    @property
    def literal(self) -> bool:
        """Tell whether the host is an IP address rather than a name."""
        return is_address(self.host)


def parse_endpoint(text: str, default_port: int | None) -> Endpoint:
    """Parse `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.

    Raises: ValueError with one sentence, when it is none of these, or has no port and `default_port` is None.
    """
    host, port_text = text, ""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError(f"{text!r} is not of the form [v6]:port")
        if not is_address(host) or ":" not in host:
            raise ValueError(f"{host!r} is not an IPv6 address")
        port_text = rest[1:]
        if rest == ":":
            raise ValueError(f"{text!r} has an empty port")
    elif not is_address(text):
        host, colon, port_text = text.partition(":")
        if colon and not port_text:
            raise ValueError(f"{text!r} has an empty port")
    if not host:
        raise ValueError("the host is empty")
    if not port_text:
        if default_port is None:
            raise ValueError(f"{text!r} has no port")
        return Endpoint(host.lower(), default_port)
    return Endpoint(host.lower(), parse_port(port_text))


def parse_port(text: str) -> int:
    """Parse a port, 1 to 65535. Raises: ValueError."""
    if not (text.isascii() and text.isdigit() and len(text) <= 5) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{text!r} is not a port (1 to 65535)")
    return int(text)


def is_address(host: str) -> bool:
    """Tell whether `host` is a literal IPv4 or IPv6 address."""
    # Nearly every name is told by its end: those of thousands of Resources would only fill the cache.
    return (":" in host or host[-1:].isdigit()) and _is_address(host)


@lru_cache(maxsize=65536)
def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether `host` is a literal loopback address."""
    if ":" not in host:
        return host.startswith("127.") and is_address(host)
    return is_address(host) and ipaddress.ip_address(host).is_loopback
