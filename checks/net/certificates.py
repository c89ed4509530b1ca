"""What a TLS peer's certificates say, as plain values; read with the standard library alone.

Source: RFC 5280 section 4.1.2 (names and validity); X509 fields as `ssl.SSLSocket.getpeercert` names them.
"""

import hashlib
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from checks.model import Reason

MAX_CHAIN = 10  # real chains have two to four certificates; the rest of a longer one tells a person nothing
MAX_NAMES = 20  # certificates of content networks carry hundreds of names; the first ones identify them
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
}
_NAMING = ("organizationName", "commonName")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """One certificate of a chain. Dates are in Unix seconds; `issuer_names` are the issuer's O and CN."""

    subject: str
    issuer: str
    issuer_names: tuple[str, ...]
    not_before: float
    not_after: float
    names: tuple[str, ...]
    sha256: str


def chain_of(tls: ssl.SSLObject, *, verified: bool) -> tuple[Certificate, ...]:
    """Return the peer's certificates, leaf first: the chain as verified, or just as sent.

    Raises: ValueError, when a certificate holds a date or a text that can't be read.
    """
    try:
        found = _native_chain(tls, verified=verified)
    except (ssl.SSLError, UnicodeError) as error:
        raise ValueError(f"a certificate can't be read: {error}") from error
    return tuple(_certificate(info, der) for info, der in found)


def _native_chain(tls: ssl.SSLObject, *, verified: bool) -> list[tuple[dict[str, Any], bytes]]:
    # `ssl` has no public way to a decoded chain: getpeercert() decodes the leaf alone, and nothing at all when the peer
    # was not verified, which is exactly when a person needs to see the certificate; 3.13's get_verified_chain() gives
    # DER that nothing public decodes. The native object below has the same methods in 3.10 to 3.14; should it lose
    # them, the leaf of a verified peer is what is left.
    native = getattr(tls, "_sslobj", None)
    read = getattr(native, "get_verified_chain" if verified else "get_unverified_chain", None)
    if read is not None:
        certificates = (read() or [])[:MAX_CHAIN]
        return [(c.get_info(), ssl.PEM_cert_to_DER_cert(c.public_bytes())) for c in certificates]
    info, der = tls.getpeercert(), tls.getpeercert(binary_form=True)
    return [(dict(info), der)] if info and der else []


def _certificate(info: dict[str, Any], der: bytes) -> Certificate:
    issuer = _pairs(info.get("issuer", ()))
    return Certificate(
        subject=_text(_pairs(info.get("subject", ()))),
        issuer=_text(issuer),
        issuer_names=tuple(value for key, value in issuer if key in _NAMING),
        not_before=float(ssl.cert_time_to_seconds(info["notBefore"])),
        not_after=float(ssl.cert_time_to_seconds(info["notAfter"])),
        names=tuple(str(value) for _, value in info.get("subjectAltName", ())[:MAX_NAMES]),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def _pairs(name: Iterable[Iterable[tuple[str, str]]]) -> list[tuple[str, str]]:
    return [pair for relative in name for pair in relative]


def _text(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{_SHORT.get(key, key)}={value}" for key, value in pairs)


def date_problem(chain: Iterable[Certificate], now: float) -> tuple[Reason, Certificate] | None:
    """Return the first certificate outside its validity at `now` (Unix seconds), and how; None: all are valid."""
    for certificate in chain:
        if now > certificate.not_after:
            return Reason.TLS_EXPIRED, certificate
        if now < certificate.not_before:
            return Reason.TLS_NOT_YET_VALID, certificate
    return None


def issued_as_expected(chain: Iterable[Certificate], expected: Iterable[str]) -> bool:
    """Tell whether an issuer of the chain contains one of `expected` in its O or CN, case ignored; true for none."""
    wanted = [text.casefold() for text in expected]
    if not wanted:
        return True
    issuers = [name.casefold() for certificate in chain for name in certificate.issuer_names]
    return any(text in name for text in wanted for name in issuers)
