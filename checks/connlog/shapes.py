"""The shapes in which an address may leave the Connector's log: a name, an IP, a CIDR, a pattern; else nothing.

What a log line gives as an address may be anything. Only text of one of these shapes goes on, lower case and in one
spelling, so that no e-mail, sentence or control character can become a label. What has none of these shapes is not even
remembered: the caches keep results, never refusals.
"""

import ipaddress
import re
from functools import lru_cache

from checks.net.endpoint import Endpoint

MAX_NAME = 253  # RFC 1035 §2.3.4, without the root's dot
MAX_RAW = 512  # characters that are looked at: no name, network or pattern is longer
_REMEMBERED = 4096  # a Connector's users come back to the same Resources; more distinct ones are read anew

_IP = re.compile(r"[0-9a-fA-F:.]{2,45}")  # 45: the longest spelling of an IPv6 address, with an IPv4 address in it
_LABELS = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_PATTERN = re.compile(r"[a-z0-9_.*?-]+")
_DIGITS = re.compile(r"[0-9]{1,5}")


def ip_of(text: str) -> str | None:
    """Return a literal IPv4 or IPv6 address in its canonical form; None when it is none, or carries a zone."""
    # A zone is free text behind `%`, and means something on one host only: it is no address here.
    if not _IP.fullmatch(text):
        return None
    try:
        return _ip(text)
    except ValueError:
        return None


def target_of(text: str) -> str:
    """Return what a user asked for, a name or an IP, in its one spelling; empty when it is neither."""
    try:
        return _target(text) if 0 < len(text) <= MAX_RAW else ""
    except ValueError:
        return ""


def rule_of(text: str) -> str:
    """Return a Resource's address: a name, an IP, a CIDR or a pattern with `*` and `?`; empty when it is none."""
    try:
        return _rule(text) if 0 < len(text) <= MAX_RAW else ""
    except ValueError:
        return ""


def port_of(value: int | str | None) -> int | None:
    """Return a port, 1 to 65535, given as a number or as its digits; else None."""
    if isinstance(value, str):
        value = int(value) if _DIGITS.fullmatch(value) else None
    return value if value is not None and 1 <= value <= 65535 else None


def ipv4_endpoint(host: str | None, port: int | str | None) -> Endpoint | None:
    """Return the endpoint of a literal IPv4 address and a port; None when they are not."""
    number = port_of(port)
    address = ip_of(host) if host is not None else None
    if address is None or number is None or ":" in address:
        return None
    return Endpoint(address, number)


def nameserver_of(text: str, default_port: int) -> Endpoint | None:
    """Return a nameserver as libevent writes it (`A.B.C.D:53`, `[v6]:53`, or the address alone); else None."""
    host, port = text, str(default_port)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    address, number = ip_of(host), port_of(port)
    return Endpoint(address, number) if address is not None and number is not None else None


@lru_cache(maxsize=_REMEMBERED)
def _ip(text: str) -> str:
    return str(ipaddress.ip_address(text))


@lru_cache(maxsize=_REMEMBERED)
def _target(text: str) -> str:
    address = ip_of(text.removeprefix("[").removesuffix("]"))
    if address is not None:
        return address
    name = text.lower().removesuffix(".")
    if len(name) > MAX_NAME or not _LABELS.fullmatch(name) or name.rpartition(".")[2].isdigit():
        raise ValueError("neither a name nor an address")
    return name


@lru_cache(maxsize=_REMEMBERED)
def _rule(text: str) -> str:
    if "/" in text:
        return _network(text)
    if "*" not in text and "?" not in text:
        return _target(text)
    pattern = text.lower().removesuffix(".")
    if len(pattern) > MAX_NAME or ".." in pattern or not _PATTERN.fullmatch(pattern):
        raise ValueError("not a pattern of names")
    return pattern


def _network(text: str) -> str:
    host, _, length = text.partition("/")
    if ip_of(host) is None or not _DIGITS.fullmatch(length):
        raise ValueError("not a network")
    return str(ipaddress.ip_network(text, strict=False))
