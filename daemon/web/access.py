"""Who may come in on TCP addresses, and what every answer carries: one state of `web.config_file`, ready for use."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What holds now; by default nothing is asked of anybody.

    - `tls`: None means plain HTTP. `certificate`: a verified one is required of each client; `sans`: it must have one
      of these names; empty: any will do.
    - `users`: bcrypt hashes by name. `headers`: of each answer. `interval`, `burst`: at most one request every
      `interval` seconds, after `burst` of them; 0: as many as come.
    - `notes`: what the operator should know of this file. `digest`: tells two states of it apart.
    """

    tls: ssl.SSLContext | None = None
    certificate: bool = False
    sans: frozenset[str] = frozenset()
    users: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    interval: float = 0.0
    burst: int = 0
    notes: tuple[str, ...] = ()
    digest: bytes = field(default=b"", repr=False)


OPEN = Access()


def lost(before: Access, after: Access) -> str:
    """Name the protection that a changed file no longer asks for; empty when it asks for all that it did."""
    gone = [
        name
        for name, was, still in (
            ("tls_server_config", before.tls is not None, after.tls is not None),
            ("client_auth_type: RequireAndVerifyClientCert", before.certificate, after.certificate),
            ("client_allowed_sans", bool(before.sans), bool(after.sans)),
            ("basic_auth_users", bool(before.users), bool(after.users)),
        )
        if was and not still
    ]
    return " and ".join(gone)


def names_of(certificate: Mapping[str, Any] | None) -> frozenset[str]:
    """Return the names (DNS, IP, e-mail, URI) of a certificate as `SSLObject.getpeercert` gives it."""
    found: set[str] = set()
    for kind, value in (certificate or {}).get("subjectAltName", ()):
        if kind in ("DNS", "email", "URI"):
            found.add(value)
        elif kind == "IP Address":
            found.add(plain_address(value))
    return frozenset(found)


def plain_address(text: str) -> str:
    """Return an IP address in its shortest form (OpenSSL writes IPv6 ones in full); other text as it is."""
    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        return text
