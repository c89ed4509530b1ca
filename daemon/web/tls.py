"""From `tls_server_config` to a TLS context of Python, which is OpenSSL's; what can't be the same is said.

Certificates and keys come as bytes, so that what was checked is what is used, and reach OpenSSL through memory: a key
that stands in the configuration itself never touches a disk.
"""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from daemon.web.web_schema import TlsServer

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CURVES = {"X25519": "X25519", "CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1"}
_CIPHERS = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
}
USUAL_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2: forward secrecy and AEAD, long known to every client
_CHECKS = {"VerifyClientCertIfGiven": ssl.CERT_OPTIONAL, "RequireAndVerifyClientCert": ssl.CERT_REQUIRED}


class MaterialError(Exception):
    """A certificate or a key can't be used. `key`: cert, key or client_ca; the text is one clause, without content."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """PEM text: the server's chain and key, and the authorities of clients."""

    cert: bytes
    key: bytes = field(repr=False)
    client_ca: bytes = b""


def make_context(tls: TlsServer, material: Material) -> ssl.SSLContext:
    """Make the context that this section asks for. Raises: MaterialError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _minimum(tls)
    context.maximum_version = _VERSIONS[tls.max_version]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0  # a resumed session would outlive the certificates that let it in
    if tls.prefer_server_cipher_suites:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    ciphers = [_CIPHERS[name] for name in tls.cipher_suites if name in _CIPHERS]
    context.set_ciphers(":".join(ciphers) or USUAL_CIPHERS)
    if len(tls.curve_preferences) == 1 and keeps_to(tls.curve_preferences[0]):
        context.set_ecdh_curve(_CURVES[tls.curve_preferences[0]])
    context.set_alpn_protocols(["http/1.1"])
    _load_chain(context, material)
    if tls.client_auth_type in _CHECKS:
        _load_authorities(context, material.client_ca)
        context.verify_mode = _CHECKS[tls.client_auth_type]
    return context


def keeps_to(curve: str) -> bool:
    """Tell whether this Python can keep to one curve alone: older ones, Debian 12's among them, not to X25519."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ecdh_curve(_CURVES[curve])
    except (ssl.SSLError, ValueError):
        return False
    return True


def notes_of(tls: TlsServer) -> Iterator[str]:
    """Yield what of this section is done otherwise than it reads; never weaker than it asks for."""
    if tls.min_version not in _VERSIONS:
        yield f"tls_server_config.min_version: {tls.min_version} is taken as TLS12: OpenSSL speaks no older one"
    if any(name not in _CIPHERS for name in tls.cipher_suites):
        yield "tls_server_config.cipher_suites: those of TLS 1.3 can't be chosen; all of them are offered"
    if len(tls.curve_preferences) > 1:
        yield (
            "tls_server_config.curve_preferences: a list can't be set, so OpenSSL's own applies "
            "(X25519 and the NIST curves); a single curve is kept to"
        )
    elif not all(map(keeps_to, tls.curve_preferences)):
        yield (
            f"tls_server_config.curve_preferences: this Python can't keep to {tls.curve_preferences[0]} alone, so "
            "OpenSSL's own list applies (X25519 and the NIST curves)"
        )
    if tls.client_auth_type == "RequestClientCert":
        yield (
            "tls_server_config.client_auth_type: RequestClientCert lets everybody in, so no certificate is asked for; "
            "RequireAndVerifyClientCert is what keeps strangers out"
        )


def _minimum(tls: TlsServer) -> ssl.TLSVersion:
    """A list without any suite of TLS 1.2 leaves TLS 1.3 alone, as it does in Go."""
    if tls.cipher_suites and not any(name in _CIPHERS for name in tls.cipher_suites):
        return ssl.TLSVersion.TLSv1_3
    return _VERSIONS.get(tls.min_version, ssl.TLSVersion.TLSv1_2)


def _load_chain(context: ssl.SSLContext, material: Material) -> None:
    if b"-----BEGIN CERTIFICATE-----" not in material.cert:
        raise MaterialError("cert", "holds no certificate in PEM form")
    if b"PRIVATE KEY-----" not in material.key:
        raise MaterialError("key", "holds no private key in PEM form")
    if b"ENCRYPTED" in material.key:
        raise MaterialError("key", "the key is protected by a password, which nobody could type here; store it without")
    try:
        with _in_memory(material.cert) as cert, _in_memory(material.key) as key:
            context.load_cert_chain(cert, key, password="")  # none: it must fail, not ask a terminal
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise MaterialError("key", "is not the key of the certificate; are both from the same renewal?") from None
        raise MaterialError("cert", f"OpenSSL does not take certificate and key: {_words(error)}") from None
    except (OSError, ValueError) as error:
        raise MaterialError("cert", f"certificate and key can't be loaded: {type(error).__name__}") from None


def _load_authorities(context: ssl.SSLContext, pem: bytes) -> None:
    # Bundles name authorities in comments, and not all in ASCII; the library takes nothing else as text.
    text = pem.decode("ascii", "replace").replace("\N{REPLACEMENT CHARACTER}", "?")
    try:
        context.load_verify_locations(cadata=text)
    except (ssl.SSLError, ValueError) as error:
        why = _words(error) if isinstance(error, ssl.SSLError) else "not PEM"
        raise MaterialError("client_ca", f"holds no certificates in PEM form: {why}") from None
    if not context.cert_store_stats()["x509"]:
        raise MaterialError("client_ca", "holds no certificate in PEM form")
    # As in Go: each certificate of the file is trusted for itself, an intermediate one too.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """Give a file name to bytes: the library takes nothing else."""
    fd = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        with os.fdopen(fd, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


def _words(error: ssl.SSLError) -> str:
    return (error.reason or "no reason given").replace("_", " ").lower()
