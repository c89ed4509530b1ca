"""A TLS client that does not take what it was sent, or that was on its way in when the file changed."""

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from daemon.web.access import Access
from daemon.web.server import WebServer
from daemon.web.tls_connection import Handshakes, TlsConnection
from daemon.web.web_file import read_access
from tests.support.office import office, seen
from tests.support.pki import Authority
from tests.support.web_access import HERE, Folder
from tests.support.webs import Reply, backend, local

PATIENCE_S = 5.0
BACK = backend(lambda: seen(office()).view())
ASKED = b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Wire(asyncio.Transport):
    """A socket whose kernel keeps `left` bytes: what was sent is kept, and what is done to it can be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = bytearray()
        self.left = 0
        self.hears = True
        self.state = "open"

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        """Keep it."""
        self.sent += data

    def get_write_buffer_size(self) -> int:
        """Return what the client has not taken."""
        return self.left

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Take any."""

    def is_closing(self) -> bool:
        """Tell whether it ends."""
        return self.state != "open"

    def pause_reading(self) -> None:
        """Hear nothing."""
        self.hears = False

    def resume_reading(self) -> None:
        """Hear again."""
        self.hears = True

    def close(self) -> None:
        """End once everything is sent."""
        self.state = "closing"

    def abort(self) -> None:
        """Break off."""
        self.state = "aborted"


class Client:
    """The other end of a wire, in memory."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=HERE)

    def step(self) -> bool:
        """Go on with the handshake; tell whether it has ended."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make certificates once for all tests here."""
    made = Folder(tmp_path_factory.mktemp("web"))
    made.write()
    return made


def met(folder: Folder) -> tuple[TlsConnection, Wire]:
    """Bring a client in; its HTTP is a protocol that does nothing."""
    access = read_access(str(folder.file))
    assert isinstance(access, Access)
    ways = Handshakes(patience_s=PATIENCE_S, began=id, ended=id, refused=print)
    inner, wire = asyncio.Protocol(), Wire()
    connection = TlsConnection(inner, access, ways)
    connection.connection_made(wire)
    client = Client(folder.client())
    while not client.step() or client.outgoing.pending:
        connection.data_received(client.outgoing.read())
        client.incoming.write(bytes(wire.sent))
        wire.sent.clear()
    assert connection._front is not None
    return connection, wire


@pytest.mark.looptime
async def test_who_does_not_take_answers_is_not_heard(folder: Folder) -> None:
    """While something waits to be sent nothing is read, for TLS itself answers too; HTTP's own wish is kept as well."""
    connection, wire = met(folder)
    front = cast("asyncio.Transport", connection._front)
    seen = []
    for step in (
        connection.pause_writing,
        front.pause_reading,
        connection.resume_writing,
        front.resume_reading,
        connection.pause_writing,
        connection.resume_writing,
    ):
        step()
        seen.append(wire.hears)
    assert seen == [False, False, False, True, False, True]


@pytest.mark.looptime
@pytest.mark.parametrize(("left", "state"), [(31, "aborted"), (0, "closing")])
async def test_the_farewell_is_not_waited_for_without_end(folder: Folder, left: int, state: str) -> None:
    """A connection that ends is gone after a bounded time, also when its client takes nothing any more."""
    connection, wire = met(folder)
    wire.left = left
    cast("asyncio.Transport", connection._front).close()
    assert wire.state == "closing"
    await asyncio.sleep(PATIENCE_S + 1)
    assert wire.state == state
    connection.connection_lost(None)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_an_authority_is_removed_in_the_middle_of_a_handshake(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Who was on the way in when its authority was removed is told nothing."""
    folder = Folder(tmp_path)
    authorities = tmp_path / "clients.pem"
    authorities.write_bytes(folder.ours.ca_file.read_bytes())
    file = folder.write("client_auth_type: RequireAndVerifyClientCert, client_ca_file: clients.pem")
    client = Client(folder.client(folder.ours.issue("x.example.com"), most=version))
    server = WebServer(local(config_file=file), BACK)
    await server.start()
    loop = asyncio.get_running_loop()
    try:
        with socket.create_connection((HERE, server.addresses[0].port)) as sock:
            sock.setblocking(False)
            changed = False
            while not client.step() or client.outgoing.pending:
                await loop.sock_sendall(sock, client.outgoing.read())
                if client.tls.version() is None or not changed or version is ssl.TLSVersion.TLSv1_2:
                    client.incoming.write(await asyncio.wait_for(loop.sock_recv(sock, 65536), 5))
                if not changed:
                    authorities.write_bytes(Authority(tmp_path, "Other").ca_file.read_bytes())
                    await server._keeper.look(file)
                    changed = True
            client.tls.write(ASKED)
            await loop.sock_sendall(sock, client.outgoing.read())
            client.incoming.write(await asyncio.wait_for(loop.sock_recv(sock, 65536), 5))
            assert Reply(client.tls.read(4096)).status == 503
    finally:
        await server.close()
