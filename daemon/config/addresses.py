"""Names, addresses, networks, endpoints and URLs as they are written in the file."""

import ipaddress
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from checks.net.endpoint import Endpoint, is_address, parse_endpoint
from daemon.config.problems import BadValueError
from daemon.config.values import Leaf, plain_text_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_PATTERN = re.compile(r"[A-Za-z0-9_.*?-]+")
_MAX_NAME = 253  # RFC 1035 §2.3.4, without the root's dot
_SCHEMES = {"http": "http://", "https": "https://"}


def parse_name(value: object) -> str:
    """Read a host name (RFC 1123; underscores as in SRV and Windows names); lower case, without the final dot.

    Raises: BadValueError.
    """
    text = plain_text_of(value)
    name = text.removesuffix(".").lower()
    if "://" in text:
        raise BadValueError("a URL", "only its host")
    if not name.isascii():
        raise BadValueError("not ASCII", _ascii_form(name))
    if is_address(name):
        raise BadValueError("an address", "a host name")
    if len(name) > _MAX_NAME:
        raise BadValueError(f"longer than {_MAX_NAME} characters")
    labels = name.split(".")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise BadValueError(_label_fault(label))
    if labels[-1].isdigit():
        raise BadValueError("neither an address nor a host name")
    return name


def _label_fault(label: str) -> str:
    if not label:
        return "has an empty part between dots"
    if ":" in label:
        return "contains a colon"
    if len(label) > 63:
        return "has a part longer than 63 characters"
    if label[0] == "-" or label[-1] == "-":
        return "has a part that begins or ends with a hyphen"
    return "contains a character that no host name has"


def _ascii_form(name: str) -> str:
    try:
        return f'the ASCII form of the name, "{name.encode("idna").decode()}"'
    except UnicodeError:
        return "the ASCII form of the name (xn--…)"


def _parse_ip(text: str) -> str:
    if "%" in text:
        raise BadValueError("has a zone", "an address without %")
    return str(ipaddress.ip_address(text))


def parse_host(value: object) -> str:
    """Read a host name or a literal address; addresses in their canonical form. Raises: BadValueError."""
    text = plain_text_of(value)
    if text.startswith("[") and text.endswith("]") and is_address(text[1:-1]):
        text = text[1:-1]
    return _parse_ip(text) if is_address(text) else parse_name(text)


def parse_network(value: object) -> Network:
    """Read a network in CIDR form, or a single address. Raises: BadValueError."""
    text = plain_text_of(value)
    address, slash, length = text.partition("/")
    if "%" in text or not is_address(address) or (slash and not (length.isascii() and length.isdigit())):
        raise BadValueError("not a network")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadValueError("the prefix is too long") from None
    if str(network.network_address) != str(ipaddress.ip_address(address)):
        raise BadValueError("has bits set behind its prefix", f"{network}, or the address alone")
    return network


def parse_resource_address(value: object) -> str:
    """Read what Twingate calls an address: a name, an address, a network or a pattern with `*` and `?`.

    Raises: BadValueError.
    """
    text = plain_text_of(value)
    if "/" in text and "://" not in text:
        return str(parse_network(text))
    if is_pattern(text):
        if not _PATTERN.fullmatch(text) or ".." in text or len(text) > _MAX_NAME:
            raise BadValueError("not a pattern of host names")
        return text.removesuffix(".").lower()
    host, colon, port = text.rpartition(":")
    if colon and port.isascii() and port.isdigit() and not is_address(text):
        raise BadValueError("has a port", f'"{host.strip("[]")}", and the port under tcp')
    return parse_host(text)


def is_pattern(address: str) -> bool:
    """Tell whether a Resource's address is a pattern."""
    return "*" in address or "?" in address


def matches(pattern: str, name: str) -> bool:
    """Tell whether `name` matches a pattern: `*` is any text, also none; `?` is one character; case is ignored.

    Written out because a regular expression with many `.*` takes exponential time.
    """
    pattern, name = pattern.lower(), name.lower()
    at = star = 0
    position, resume = 0, -1
    while position < len(name):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, position
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", name[position]):
            at += 1
            position += 1
        elif resume >= 0:
            resume += 1
            at, position = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def _parse_endpoint(value: object, default_port: int | None, *, literal: bool) -> Endpoint:
    text = plain_text_of(value)
    if "://" in text:
        raise BadValueError("a URL")
    try:
        endpoint = parse_endpoint(text, default_port)
    except ValueError as error:
        # The sentence begins with the value, which the message shows anyway.
        raise BadValueError(str(error).removeprefix(f"{text!r} ")) from None
    host = parse_host(endpoint.host)
    if literal and not is_address(host):
        raise BadValueError("a name, which nobody could resolve without a nameserver")
    return replace(endpoint, host=host)


def endpoint(default_port: int | None, *, literal: bool = False) -> Leaf:
    """Make the leaf of `host[:port]`; without `default_port` the port is required; `literal`: no names."""
    host = "address" if literal else "host"
    form = f"{host}:port" if default_port is None else f"{host} or {host}:port"

    def parse(value: object) -> Endpoint:
        return _parse_endpoint(value, default_port, literal=literal)

    def show(value: Endpoint) -> str:
        return str(value)

    description = f"{form}, IPv6 as [v6]:port" + (f"; default port {default_port}" if default_port else "")
    return Leaf(
        expected=f"{form} (IPv6 as [v6]:port)",
        parse=parse,
        schema={"type": "string", "minLength": 1, "description": description},
        show=show,
    )


def _check_url(text: str, *, query: bool) -> None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise BadValueError("not a URL") from None
    if parts.scheme not in _SCHEMES or not text.lower().startswith(_SCHEMES[parts.scheme]):
        raise BadValueError("not an http or https URL")
    if "@" in parts.netloc:
        raise BadValueError("contains credentials; they belong in a file")
    if not parts.hostname or port == 0:
        raise BadValueError("has no host" if not parts.hostname else "has port 0")
    parse_host(parts.hostname)
    if "#" in text or " " in text or "\\" in text:
        raise BadValueError("contains a fragment, a space or a backslash")
    if "?" in text and not query:
        raise BadValueError("contains a query")
    if not text.isascii():
        raise BadValueError("not ASCII", "other characters written as %XX")


def url(*, query: bool = False) -> Leaf:
    """Make the leaf of an http or https URL without credentials; `query`: a query is allowed."""

    def parse(value: object) -> str:
        text = plain_text_of(value)
        _check_url(text, query=query)
        return text

    pattern = r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s@/?#\\]+(/[^\s?#\\]*)?" + (r"(\?[^\s#\\]*)?$" if query else "$")
    expected = "a URL such as https://host:port/path"
    return Leaf(expected=expected, parse=parse, schema={"type": "string", "pattern": pattern})


def _parse_docker_host(value: object) -> str:
    text = plain_text_of(value)
    scheme, separator, rest = text.partition("://")
    if scheme == "unix" and separator and rest.startswith("/"):
        return text
    if scheme == "tcp" and separator:
        return f"tcp://{_parse_endpoint(rest, None, literal=False)}"
    if scheme not in _SCHEMES:
        raise BadValueError("not an address of a Docker daemon")
    _check_url(text, query=False)
    return text


def _leaf(expected: str, parse: Any, **schema: object) -> Leaf:  # noqa: ANN401 - a parser of any of the values here
    return Leaf(expected=expected, parse=parse, schema={"type": "string", "minLength": 1, **schema})


HOST = _leaf("a host name or an address", parse_host)
DOMAIN = _leaf("a domain name", parse_name)
RESOURCE_ADDRESS = _leaf("a name, an address, a network or a pattern with * or ?", parse_resource_address)
DOCKER_HOST = _leaf("unix:///path, tcp://host:port or a URL", _parse_docker_host)
NETWORK = replace(_leaf("a network such as 10.0.0.0/8, or an address", parse_network), show=str)
