"""The file `web.config_file`, as types: the format that Prometheus and its exporters share, key by key.

Source: prometheus/exporter-toolkit, docs/web-configuration.md and web/tls_config.go. Where that format lets somebody
ask for a protection and then goes without it in silence, this refuses: see `web_rules`.
"""

import re
from typing import Annotated, Literal, TypeAlias

from msgspec import field

from daemon.config.problems import BadValueError
from daemon.config.schema import Place, Section
from daemon.config.shapes import AtMost
from daemon.config.values import MAX_DURATION, Leaf, plain_text_of, text_of, whole

MAX_USERS = 1000  # each is one line; more belong to a proxy with a directory behind it
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_GO_DURATION = re.compile(r"(?:[0-9]{1,12}(?:\.[0-9]{1,9})?(?:ns|us|µs|μs|ms|s|m|h)){1,8}")
_GO_PART = re.compile(r"([0-9.]+)([a-zµμ]+)")
_YES = {"yes": True, "on": True, "no": False, "off": False}


def _secret(value: object) -> object:
    """Take anything: what is wrong with it is said elsewhere, in words that do not repeat it."""
    return value


def _user(value: object) -> str:
    text = text_of(value)
    if not text or ":" in text or not text.isprintable() or len(text) > 255:
        raise BadValueError("not a user name")
    return text


def _interval(value: object) -> float:
    """Read a duration as Go writes it (`1s`, `1m30s`). A bare number would be nanoseconds there: who means those?"""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    if not isinstance(value, str) or not _GO_DURATION.fullmatch(value):
        raise BadValueError("not a duration with its unit")
    seconds: float = sum(float(number) * _UNITS[unit] for number, unit in _GO_PART.findall(value))
    if seconds > MAX_DURATION:
        raise BadValueError("too long", f"at most {MAX_DURATION / 3600:.0f}h")
    return seconds


def _switch(value: object) -> bool:
    """Read true or false, and the words for them that YAML 1.1 knows: these files are written for it."""
    if isinstance(value, str) and value.lower() in _YES:
        return _YES[value.lower()]
    if not isinstance(value, bool):
        raise BadValueError("not true or false")
    return value


def _header(value: object) -> str:
    """Read the value of a header; blank: none."""
    return "" if value in (None, "") else plain_text_of(value)


def _leaf(expected: str, parse: object) -> Leaf:
    return Leaf(expected=expected, parse=parse, schema={})  # type: ignore[arg-type]  # each takes a scalar


Secret: TypeAlias = Annotated[object, _leaf("a secret", _secret)]
Pem: TypeAlias = Annotated[str, _leaf("text in PEM form", text_of)]
User: TypeAlias = Annotated[str, _leaf("a name without a colon", _user)]
Interval: TypeAlias = Annotated[float, _leaf("0, or a duration such as 500ms, 1s, 1m30s", _interval)]
Burst: TypeAlias = Annotated[int, whole(0, 1_000_000)]
Switch: TypeAlias = Annotated[bool, _leaf("true or false", _switch)]
Header: TypeAlias = Annotated[str, _leaf("the value of a header, in one line", _header)]
San: TypeAlias = Annotated[str, _leaf("a DNS name, IP address, e-mail address or URI", plain_text_of)]
Version: TypeAlias = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
ClientAuth: TypeAlias = Literal[
    "NoClientCert",
    "RequestClientCert",
    "RequireAnyClientCert",
    "RequireClientCert",  # the toolkit's older name of the one before
    "VerifyClientCertIfGiven",
    "RequireAndVerifyClientCert",
]
Curve: TypeAlias = Literal["X25519", "CurveP256", "CurveP384", "CurveP521"]
Cipher: TypeAlias = Literal[
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
]


class TlsServer(Section, frozen=True, kw_only=True):
    """The server's certificate, and what it asks of clients."""

    cert: Pem | None = None
    key: Secret = None
    client_ca: Pem | None = None
    cert_file: Place | None = None
    key_file: Place | None = None
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca_file: Place | None = None
    client_allowed_sans: tuple[San, ...] = ()
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Cipher, ...] = ()
    prefer_server_cipher_suites: Switch = True
    curve_preferences: tuple[Curve, ...] = ()

    @property
    def on(self) -> bool:
        """Tell whether TLS is wanted: a section that is left out has no certificate."""
        return self.cert is not None or self.cert_file is not None


class Headers(Section, frozen=True, kw_only=True):
    """The headers that an operator may set: the toolkit's list, and no other."""

    content_security_policy: Header = field(name="Content-Security-Policy", default="")
    x_frame_options: Header = field(name="X-Frame-Options", default="")
    x_content_type_options: Header = field(name="X-Content-Type-Options", default="")
    x_xss_protection: Header = field(name="X-XSS-Protection", default="")
    strict_transport_security: Header = field(name="Strict-Transport-Security", default="")


class HttpServer(Section, frozen=True, kw_only=True):
    """What is said in HTTP."""

    http2: Switch = True
    headers: Headers = Headers()


class RateLimit(Section, frozen=True, kw_only=True):
    """A token bucket for requests; `interval` 0: none."""

    interval: Interval = 0.0
    burst: Burst = 0


class WebFile(Section, frozen=True, kw_only=True):
    """The whole file."""

    tls_server_config: TlsServer = TlsServer()
    http_server_config: HttpServer = HttpServer()
    basic_auth_users: Annotated[dict[User, Secret], AtMost(MAX_USERS)] = field(default_factory=dict)
    rate_limit: RateLimit = RateLimit()
