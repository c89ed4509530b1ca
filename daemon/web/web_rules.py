"""Rules for `web.config_file` that span several keys, and what is refused although the format allows it.

The common reason of the refusals: a file asks for a protection, and the server would go without it.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from daemon.config.convert import Converter
from daemon.config.convert import Section as Built
from daemon.config.nodes import Mapping, Scalar
from daemon.config.problems import Path
from daemon.config.rules import node_at
from daemon.web.web_schema import Headers, RateLimit, TlsServer, WebFile

Finding = tuple[Path, str]

MAX_COST = 15
"""Of a bcrypt hash. 15 takes some 1.6 s of a core at each first login, a core that the Connector needs too; with 10,
the usual cost, it is 0.05 s. The format knows costs up to 31: a day."""
_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")
"""Of the salt's last character two bits count. Where others are set, the library raises at each login instead of
comparing; no program makes such a salt, only who writes one by hand."""
_VERSIONS = ("TLS10", "TLS11", "TLS12", "TLS13")
_OLD = _VERSIONS[:2]
_ENUMERATED = {"X-Frame-Options": ("deny", "sameorigin"), "X-Content-Type-Options": ("nosniff",)}


def check(converter: Converter) -> None:
    """Report what breaks a rule. Raises: TooManyProblemsError."""
    for section in converter.built:
        for below, message in _RULES[type(section.value)](section):
            converter.report(node_at(section.node, below), (*section.path, *below), message)


def _tls(section: Built) -> Iterator[Finding]:
    tls: TlsServer = section.value  # type: ignore[assignment]  # the table says so
    for inline, file in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
        if getattr(tls, inline) is not None and getattr(tls, file) is not None:
            yield (inline,), f"{inline} and {file} exclude each other, got both; remove one"
    for inline, file in (("cert", "cert_file"), ("key", "key_file")):
        if getattr(tls, inline) is None and getattr(tls, file) is None:
            yield (file,), f"missing, expected {file} or {inline}: without it there is no TLS; or remove the section"
    yield from _client(section, tls)
    yield from _versions(tls)


def _client(section: Built, tls: TlsServer) -> Iterator[Finding]:
    kind, at = tls.client_auth_type, ("client_auth_type",)
    has_ca = tls.client_ca is not None or tls.client_ca_file is not None
    if kind in ("RequireAnyClientCert", "RequireClientCert"):
        yield (
            at,
            (
                f'refused, got "{kind}": any certificate would do, one that a stranger made himself too; '
                "expected RequireAndVerifyClientCert with client_ca_file"
            ),
        )
        return
    verifies = kind in ("VerifyClientCertIfGiven", "RequireAndVerifyClientCert")
    if verifies and not has_ca:
        yield (
            at,
            f'"{kind}" needs client_ca_file or client_ca: else a certificate from any public authority would do',
        )
    if has_ca and kind == "NoClientCert":
        yield (
            ("client_ca" if tls.client_ca is not None else "client_ca_file",),
            (
                "no certificate is asked for, so nothing is checked against it; "
                "add client_auth_type: RequireAndVerifyClientCert, or remove it"
            ),
        )
    if not _given(section, "client_allowed_sans"):
        return
    if not tls.client_allowed_sans:
        yield ("client_allowed_sans",), "empty: that would refuse every client; list names, or remove it"
    elif kind != "RequireAndVerifyClientCert":
        yield (
            ("client_allowed_sans",),
            (
                f'has no effect with client_auth_type "{kind}", expected RequireAndVerifyClientCert: '
                "a client without a certificate has no name to compare"
            ),
        )


def _versions(tls: TlsServer) -> Iterator[Finding]:
    if tls.max_version in _OLD:
        yield (
            ("max_version",),
            f"too old, got {tls.max_version}, expected TLS12 or TLS13: OpenSSL speaks no older one",
        )
    elif _VERSIONS.index(tls.min_version) > _VERSIONS.index(tls.max_version):
        yield ("min_version",), f"above max_version ({tls.max_version}), got {tls.min_version}"
    elif tls.cipher_suites and tls.max_version == "TLS12" and not any("_WITH_" in name for name in tls.cipher_suites):
        yield ("cipher_suites",), "none of them is of TLS 1.2, and max_version is TLS12; add one, or raise max_version"


def _users(section: Built) -> Iterator[Finding]:
    file: WebFile = section.value  # type: ignore[assignment]
    for name, stored in file.basic_auth_users.items():
        found = _HASH.fullmatch(stored) if isinstance(stored, str) else None
        if not found:
            yield (
                ("basic_auth_users", name),
                (
                    "not a bcrypt hash, expected one that begins with $2a$, $2b$ or $2y$; "
                    "make it with: htpasswd -nBC 10 NAME (the value is not shown: it may be a password)"
                ),
            )
        elif not 4 <= int(found[1]) <= MAX_COST:
            yield (
                ("basic_auth_users", name),
                f"a hash of cost {found[1]}, expected 4 to {MAX_COST}; 10 is usual",
            )


def _rate(section: Built) -> Iterator[Finding]:
    rate: RateLimit = section.value  # type: ignore[assignment]
    if rate.interval and not rate.burst:
        yield ("burst",), "missing or 0 with an interval: that would refuse every request; expected 1 or more"


def _headers(section: Built) -> Iterator[Finding]:
    for name, allowed in _ENUMERATED.items():
        value = msgspec.to_builtins(section.value)[name]
        if value and value not in allowed:
            yield (name,), f'not a value of this header, got "{value}", expected {" or ".join(allowed)}'


def _given(section: Built, key: str) -> bool:
    node = section.node
    return isinstance(node, Mapping) and any(isinstance(k, Scalar) and k.value == key for k, _ in node.items)


class _NoRules(dict[type, Callable[[Built], Iterator[Finding]]]):
    def __missing__(self, _: Any) -> Callable[[Built], Iterator[Finding]]:  # noqa: ANN401 - any type
        return lambda _: iter(())


_RULES = _NoRules({TlsServer: _tls, WebFile: _users, RateLimit: _rate, Headers: _headers})
