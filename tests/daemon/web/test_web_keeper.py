"""The file and what it names, changed while the daemon runs: taken, or refused and told once, never weaker."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from daemon.config.problems import ConfigError
from daemon.web.access import Access
from daemon.web.keeper import LOOK_S, Keeper
from daemon.web.server import WebServer
from tests.support.office import office, seen
from tests.support.pki import Authority
from tests.support.web_access import Folder, basic, get, hashed, secured
from tests.support.webs import ask, backend, local

BACK = backend(lambda: seen(office()).view())
STRICT = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
USERS = f"basic_auth_users: {{alice: {hashed('right')}}}\n"
ALICE = basic("alice", "right")
TAKEN = "has changed, or a file that it names: in force now"


@dataclass(frozen=True, slots=True)
class Running:
    """A server, its folder, and what it says."""

    server: WebServer
    folder: Folder
    log: pytest.LogCaptureFixture

    async def look(self) -> None:
        """Have it look now, as it does every few seconds."""
        await self.server._keeper.look(str(self.folder.file))

    @property
    def said(self) -> list[str]:
        """What the log says of the file."""
        messages = [record.getMessage() for record in self.log.records]
        return [text for text in messages if "listening" not in text and "handshake" not in text]


@pytest.fixture
async def running(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Running]:
    """Serve with TLS, required certificates and users."""
    caplog.set_level(logging.INFO, "connector_health.web")
    folder = Folder(tmp_path)
    (tmp_path / "ca.pem").write_bytes(folder.ours.ca_file.read_bytes())
    server = WebServer(local(config_file=folder.write(STRICT, USERS)), BACK)
    await server.start()
    yield Running(server, folder, caplog)
    await server.close()


async def test_a_certificate_is_renewed_without_a_restart(running: Running) -> None:
    """New connections see the new certificate; one from before ends, for its authority may be gone."""
    server, folder = running.server, running.folder
    client = folder.client(folder.ours.issue("x.example.com"))
    async with secured(server, client) as (reader, writer):
        before = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n" + ALICE.encode() + b"\r\n\r\n")
        await reader.readuntil(b"healthy\n")
        folder.renew()
        await running.look()
        assert await asyncio.wait_for(reader.read(), 5) == b""
    async with secured(server, client) as (_, writer):
        assert writer.get_extra_info("ssl_object").getpeercert(binary_form=True) != before
    assert running.said == [f"{folder.file} {TAKEN}"]


async def test_another_authority_of_clients_is_in_force_at_once(running: Running, tmp_path: Path) -> None:
    """Who was let in by an authority that is gone stays out."""
    folder = running.folder
    other = Authority(tmp_path, "Other")
    old, new = folder.client(folder.ours.issue("x.example.com")), folder.client(other.issue("x.example.com"))
    assert (await get(running.server, old, headers=[ALICE])).status == 200
    (tmp_path / "ca.pem").write_bytes(other.ca_file.read_bytes())
    await running.look()
    assert (await get(running.server, new, headers=[ALICE])).status == 200
    with pytest.raises(ssl.SSLError):
        await get(running.server, old, headers=[ALICE])


async def test_users_change_without_a_restart(running: Running) -> None:
    """Who was removed is refused, and who was added is let in."""
    server, folder = running.server, running.folder
    client = folder.client(folder.ours.issue("x.example.com"))
    assert (await get(server, client, headers=[ALICE])).status == 200
    folder.write(STRICT, f"basic_auth_users: {{bob: {hashed('right')}}}\n")
    await running.look()
    assert (await get(server, client, headers=[ALICE])).status == 401
    assert (await get(server, client, headers=[basic("bob", "right")])).status == 200


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("web.yml", "basic_auth_users: {", "not valid YAML"),
        ("web.yml", "basic_auth_users: {a: hunter2}", "web.yml:1:23: basic_auth_users.a: not a bcrypt hash"),
        ("key.pem", "-----BEGIN", "tls_server_config.key_file: holds no private key in PEM form"),
        ("ca.pem", "", "tls_server_config.client_ca_file: holds no certificate"),
        ("ca.pem", None, "tls_server_config.client_ca_file: no such file"),
        ("web.yml", None, "web.yml: no such file"),
        (
            "web.yml",
            "",
            "tls_server_config and client_auth_type: RequireAndVerifyClientCert and basic_auth_users: no longer there;",
        ),
        (
            "web.yml",
            USERS,
            "tls_server_config and client_auth_type: RequireAndVerifyClientCert: no longer there; a running",
        ),
    ],
    ids=("yaml", "hash", "key", "ca", "no-ca", "no-file", "nothing", "users-only"),
)
async def test_a_bad_file_leaves_what_was_in_force(
    running: Running, name: str, content: str | None, fault: str
) -> None:
    """A file that can't be used, or that forgets a protection, changes nothing; it is told once, at the second look."""
    server, folder = running.server, running.folder
    client = folder.client(folder.ours.issue("x.example.com"))
    good = (folder.path / name).read_bytes()
    if content is None:
        (folder.path / name).unlink()
    else:
        (folder.path / name).write_text(content)
    await running.look()
    assert running.said == []
    for _ in range(3):
        await running.look()
    (said,) = running.said
    assert said.startswith("web.config_file not read again, what was in force stays: ")
    assert fault in said
    assert "hunter2" not in said
    assert (await get(server, client, headers=[ALICE])).status == 200
    assert (await get(server, client)).status == 401
    with pytest.raises(ssl.SSLError):
        await get(server, folder.client(), headers=[ALICE])
    (folder.path / name).write_bytes(good)
    await running.look()
    assert running.said[1:] == [f"{folder.file} can be used again"]


async def test_certificate_and_key_need_not_change_in_one_moment(running: Running) -> None:
    """Between the two writes of a renewal the old pair serves, and nothing is said of it."""
    folder = running.folder
    client = folder.client(folder.ours.issue("x.example.com"))
    fresh = folder.ours.issue("127.0.0.1", "localhost")
    fresh.chain.replace(folder.path / "cert.pem")
    await running.look()
    assert (await get(running.server, client, headers=[ALICE])).status == 200
    fresh.key.replace(folder.path / "key.pem")
    await running.look()
    assert (await get(running.server, client, headers=[ALICE])).status == 200
    assert running.said == [f"{folder.file} {TAKEN}"]


async def test_tls_can_be_switched_on_while_it_runs(tmp_path: Path) -> None:
    """Stronger is taken at once: a connection from before gets no answer any more that TLS should have protected."""
    folder = Folder(tmp_path)
    server = WebServer(local(config_file=folder.write(None)), BACK)
    await server.start()
    try:
        assert (await ask(server, "/api/v1/status")).status == 200
        async with secured(server, None) as (reader, writer):
            folder.write()
            await server._keeper.look(str(folder.file))
            writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b""
        assert (await get(server, folder.client(), "/api/v1/status")).status == 200
        assert "speaks TLS" in (await get(server, None)).text
    finally:
        await server.close()


async def test_a_bad_file_is_no_start(tmp_path: Path) -> None:
    """At the start everything that is wrong is told, and nothing listens."""
    folder = Folder(tmp_path)
    folder.file.write_text("tls_server_config: {}\n")
    server = WebServer(local(config_file=str(folder.file)), BACK)
    with pytest.raises(ConfigError, match=r"web\.yml:1:20: tls_server_config\.cert_file: missing"):
        await server.start()
    assert server.addresses == ()
    await server.close()


async def test_it_looks_again_and_again(tmp_path: Path) -> None:
    """A change is in force without any signal, after one pause of the length that is said."""
    folder, changed = Folder(tmp_path), asyncio.Event()
    taken: list[Access] = []

    def take(access: Access) -> None:
        taken.append(access)
        if len(taken) > 1:
            changed.set()

    keeper = Keeper(folder.write(None, USERS), take, look_s=0.05)
    await keeper.begin()
    folder.write(None, f"basic_auth_users: {{bob: {hashed('b')}}}\n")
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(keeper.run())
        async with asyncio.timeout(10):
            await changed.wait()
        looking.cancel()
    assert [set(access.users) for access in taken] == [{"alice"}, {"bob"}]
    await keeper.close()
    assert LOOK_S <= 10


@pytest.mark.looptime
async def test_without_a_file_there_is_nothing_to_look_at() -> None:
    """No file: nothing is asked, nothing is read, and the task lives on."""
    keeper = Keeper(None, print)
    await keeper.begin()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1000):
            await keeper.run()
    await keeper.close()


async def test_an_answer_under_way_is_given(running: Running) -> None:
    """A change while an answer is made cuts nothing off: the connection ends behind that answer."""
    begun, may_go = asyncio.Event(), asyncio.Event()

    async def reload() -> None:
        begun.set()
        await may_go.wait()

    back = replace(BACK, reload=reload)
    folder = running.folder
    server = WebServer(local(config_file=folder.write(None, USERS)), back)
    await server.start()
    try:
        async with secured(server, None) as (reader, writer):
            writer.write(b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\n" + ALICE.encode() + b"\r\n\r\n")
            await begun.wait()
            folder.write(None, f"basic_auth_users: {{bob: {hashed('b')}}}\n")
            await server._keeper.look(str(folder.file))
            may_go.set()
            raw = await asyncio.wait_for(reader.read(), 5)
        assert raw.startswith(b"HTTP/1.1 200 ")
        assert raw.endswith(b"the configuration was loaded again\n")
    finally:
        await server.close()
