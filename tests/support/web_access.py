"""A folder with `web.config_file`, authorities and certificates; and clients that speak TLS with this loop."""

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path

import bcrypt

from daemon.web.server import WebServer
from tests.support.pki import Authority, KeyPair
from tests.support.webs import Reply

HERE = "127.0.0.1"
SALT = "abcdefghijklmnopqrstuO"
CHEAP = 4  # the lowest cost of bcrypt: a millisecond


@cache
def hashed(password: str, cost: int = CHEAP) -> str:
    """Return the bcrypt hash of a password; always the same one, as it becomes part of the names of tests."""
    salt = f"$2b${cost:02}${SALT}"
    return bcrypt.hashpw(password.encode(), salt.encode()).decode()


def basic(name: str, password: str) -> str:
    """Return the header of a user."""
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Folder:
    """`web.yml` beside `cert.pem` and `key.pem` of a server on loopback; `ours` issued them, and the clients' too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ours = Authority(path, "Ours")
        self.file = path / "web.yml"
        self.renew()

    def renew(self) -> None:
        """Issue a new certificate for the server, under the old names of its files."""
        pair = self.ours.issue(HERE, "localhost")
        pair.key.replace(self.path / "key.pem")
        pair.chain.replace(self.path / "cert.pem")

    def write(self, tls: str | None = "", more: str = "") -> str:
        """Write the file: what `tls_server_config` has besides the certificate (None: no section), and the rest."""
        section = f"tls_server_config: {{cert_file: cert.pem, key_file: key.pem, {tls}}}\n" if tls is not None else ""
        self.file.write_text(section + more)
        return str(self.file)

    def client(self, pair: KeyPair | None = None, *, most: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        """Make the context of a client that trusts this server, with a certificate of its own or without."""
        context = ssl.create_default_context(cafile=str(self.ours.ca_file))
        if pair is not None:
            context.load_cert_chain(pair.chain, pair.key)
        if most is not None:
            context.maximum_version = most
        return context


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextlib.asynccontextmanager
async def secured(server: WebServer, client: ssl.SSLContext | None) -> AsyncIterator[Streams]:
    """Connect to a server for the block, with TLS or, without a context, without."""
    at = server.addresses[0]
    reader, writer = await asyncio.open_connection(
        at.host, at.port, ssl=client, server_hostname=HERE if client else None
    )
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def get(
    server: WebServer, client: ssl.SSLContext | None, target: str = "/-/healthy", headers: Sequence[str] = ()
) -> Reply:
    """Ask once, and read the answer to its end. Raises: OSError (ssl.SSLError among them) when there is none."""
    async with secured(server, client) as (reader, writer):
        lines = [f"GET {target} HTTP/1.1", f"Host: {HERE}", "Connection: close", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        raw = await asyncio.wait_for(reader.read(), 10)
        if not raw:
            raise ConnectionError("closed without an answer")
        return Reply(raw)
