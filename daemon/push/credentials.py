"""The secrets that an Alertmanager wants, read from their files anew for each connection: they are renewed under us.

Nothing of their content is kept in a text, an error or a log line.
"""

import base64
import os
import ssl
import stat
from dataclasses import dataclass, field

import certifi

from checks.net.opening import at_once
from daemon.config.schema import Alertmanager, ClientTls

MAX_SECRET_BYTES = 16 * 1024  # the longest tokens are some KiB; a larger file is the wrong one


class CredentialError(Exception):
    """A file can't be used; the text is one clause that names its key, the file and what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request needs. `secrets`: texts that must never be shown, wherever they come from."""

    headers: dict[str, str] = field(default_factory=dict, repr=False)
    tls: ssl.SSLContext | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


NOTHING_NEEDED = Credentials()


class CredentialFiles:
    """Reads the files of one Alertmanager; certificates only when a file has changed."""

    def __init__(self, alertmanager: Alertmanager) -> None:
        self._alertmanager = alertmanager
        self._https = alertmanager.url.lower().startswith("https:")
        self._tls: tuple[object, ssl.SSLContext] | None = None

    @property
    def needed(self) -> bool:
        """Tell whether there is anything to read."""
        return bool(self._https or self._alertmanager.bearer_file or self._alertmanager.basic)

    def read(self) -> Credentials:
        """Read them; may block. Raises: CredentialError."""
        headers, secrets = self._authorization()
        return Credentials(headers=headers, secrets=secrets, tls=self._context() if self._https else None)

    def _authorization(self) -> tuple[dict[str, str], tuple[str, ...]]:
        if self._alertmanager.bearer_file:
            token = read_secret("bearer_file", self._alertmanager.bearer_file)
            return {"Authorization": f"Bearer {token}"}, (token,)
        if self._alertmanager.basic:
            password = read_secret("password_file", self._alertmanager.basic.password_file)
            both = base64.b64encode(f"{self._alertmanager.basic.username}:{password}".encode()).decode()
            return {"Authorization": f"Basic {both}"}, (password, both)
        return {}, ()

    def _context(self) -> ssl.SSLContext:
        tls = self._alertmanager.tls or ClientTls()
        versions = tuple(
            _version(key, name)
            for key, name in (("ca_file", tls.ca_file), ("cert_file", tls.cert_file), ("key_file", tls.key_file))
            if name
        )
        if self._tls is None or self._tls[0] != versions:
            self._tls = (versions, _made(tls))
        return self._tls[1]


def _made(tls: ClientTls) -> ssl.SSLContext:
    """Make a context: `ca_file` alone is trusted when there is one, else what this host trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        if tls.ca_file:
            context.load_verify_locations(cafile=tls.ca_file)
        else:
            context.load_default_certs()
            if not context.cert_store_stats()["x509_ca"]:  # an image without a store of its own
                context.load_verify_locations(cafile=certifi.where())
    except OSError as error:
        raise CredentialError(f"tls.ca_file {tls.ca_file} holds no certificate in PEM form") from error
    if tls.cert_file:
        try:
            # The empty password: a key that needs one must fail, not ask a terminal.
            context.load_cert_chain(tls.cert_file, tls.key_file, password="")
        except (OSError, ValueError) as error:
            raise CredentialError(
                f"tls.cert_file {tls.cert_file} and tls.key_file {tls.key_file} are no certificate and its unencrypted "
                "key in PEM form"
            ) from error
    return context


def read_secret(key: str, name: str) -> str:
    """Return the one line of a file, which `key` of the configuration names; may block. Raises: CredentialError."""
    try:
        with open(name, "rb", opener=at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise CredentialError(f"{key} {name} is not a regular file")
            content = file.read(MAX_SECRET_BYTES + 1)
    except OSError as error:
        raise _unreadable(key, name, error) from error
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        raise CredentialError(f"{key} {name} is not text in UTF-8") from None  # the error would hold the content
    if not text or len(content) > MAX_SECRET_BYTES or not text.isprintable():
        raise CredentialError(f"{key} {name} does not hold one line of text")
    if key == "bearer_file" and not (text.isascii() and " " not in text):
        raise CredentialError(f"{key} {name} does not hold a token: it has characters that no header may have")
    return text


def _version(key: str, name: str) -> tuple[int, int, int]:
    try:
        found = os.stat(name)  # noqa: PTH116 - the name is text, and follows links as systemd and Kubernetes make them
        with open(name, "rb", opener=at_once):
            return found.st_ino, found.st_mtime_ns, found.st_size
    except OSError as error:
        raise _unreadable(f"tls.{key}", name, error) from error


def _unreadable(key: str, name: str, error: OSError) -> CredentialError:
    return CredentialError(f"{key} {name} can't be read: {error.strerror}")
