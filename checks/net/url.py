"""URLs of the two kinds that are probed, parsed strictly: what the operator wrote, and what a redirect says."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from checks.net.endpoint import Endpoint, is_address

DEFAULT_PORTS = {"https": 443, "http": 80}
MAX_URL = 2048  # longer than any address of an API; a redirect may say anything
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._")


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """An http or https URL: where to connect, and what to ask for there (`target`: path and query)."""

    scheme: str
    endpoint: Endpoint
    target: str

    @property
    def tls(self) -> bool:
        """Tell whether it is spoken over TLS."""
        return self.scheme == "https"

    @property
    def host_header(self) -> str:
        """The value of the Host header: without the port when it is the scheme's own."""
        host = f"[{self.endpoint.host}]" if ":" in self.endpoint.host else self.endpoint.host
        return host if self.endpoint.port == DEFAULT_PORTS[self.scheme] else str(self.endpoint)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.target}"


def parse_url(text: str) -> Url:
    """Parse an absolute http or https URL of ASCII characters, without user name; a fragment is dropped.

    Raises: ValueError with one sentence, when it is anything else.
    """
    if len(text) > MAX_URL:
        raise ValueError(f"the URL is longer than {MAX_URL} characters")
    if not all("!" <= c <= "~" for c in text) or "\\" in text:  # urlsplit would drop some of them in silence
        raise ValueError(f"{text!r} holds a character that has no place in a URL")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from error
    if parts.scheme not in DEFAULT_PORTS:
        raise ValueError(f"{text!r} is not an http:// or https:// URL")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user name or password in it is not accepted")
    if port == 0 or not is_host(host):
        raise ValueError(f"{text!r} names no host that can be connected to")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Url(scheme=parts.scheme, endpoint=Endpoint(host, port or DEFAULT_PORTS[parts.scheme]), target=target)


def is_host(host: str) -> bool:
    """Tell whether `host` (lower case) is a literal address or has the form of a DNS name."""
    if is_address(host):
        return "%" not in host
    labels = host.removesuffix(".").split(".")
    return set(host) <= _HOST_CHARACTERS and len(host) <= 253 and all(1 <= len(label) <= 63 for label in labels)
