"""Whom we trust when we speak TLS: the bundled public store and `ca_file`; this host's store; or nobody, to look.

Source: OpenSSL X509_VERIFY_PARAM_set_flags(3); Python `ssl`.
"""

import contextlib
import ssl
from functools import lru_cache
from pathlib import Path

import certifi

from checks.model import Reason
from checks.net.errors import NetError

NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME; `ssl` does not name it
_HOST_BUNDLES = (  # for a Python whose own OpenSSL looks elsewhere: Debian, Red Hat, SUSE, Alpine
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def public_context(ca_file: str | None) -> ssl.SSLContext:
    """Return the context that trusts the bundled public store and `ca_file`, read again when that file changes.

    Raises: NetError, when `ca_file` can't be read.
    """
    if ca_file is None:
        return _public_context(None, None)
    try:
        stat = Path(ca_file).stat()
        return _public_context(ca_file, (stat.st_ino, stat.st_mtime_ns, stat.st_size))
    except FileNotFoundError as error:
        raise NetError(Reason.NOT_FOUND, f"ca_file {ca_file} does not exist") from error
    except ssl.SSLError as error:
        raise NetError(Reason.PERMISSION_DENIED, f"ca_file {ca_file} holds no certificate in PEM form") from error
    except OSError as error:
        raise NetError(Reason.PERMISSION_DENIED, f"ca_file {ca_file} can't be read: {error.strerror}") from error


@lru_cache(maxsize=8)  # parsing the public store costs some 10 ms; an instance has one `ca_file`, or none
def _public_context(ca_file: str | None, _version: tuple[int, int, int] | None) -> ssl.SSLContext:
    context = _client_context()
    context.load_verify_locations(cafile=certifi.where())
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def host_context() -> ssl.SSLContext:
    """Return a context that trusts what this host trusts; made anew, for roots are installed while we run."""
    context = _client_context()
    context.check_hostname = False
    context.load_default_certs()
    for bundle in _HOST_BUNDLES:
        with contextlib.suppress(OSError):
            context.load_verify_locations(cafile=bundle)
            break
    return context


def blind_context() -> ssl.SSLContext:
    """Return a context that verifies nothing: to look at a certificate, never to trust it."""
    context = _client_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VerifyFlags(NO_CHECK_TIME)
    context.set_alpn_protocols(["http/1.1"])
    return context
