"""What a request must bring, and what it gets: users, rate, headers, and the rule for addresses that others reach."""

import base64
import json
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.config.schema import Web
from daemon.web.server import WebServer
from tests.support.netns import namespace
from tests.support.office import office, seen
from tests.support.web_access import Folder, basic, get, hashed
from tests.support.webs import ask, backend, local, serving

BACK = backend(lambda: seen(office()).view())
USERS = f"basic_auth_users: {{alice: {hashed('right')}}}\n"
ALICE = basic("alice", "right")
PATHS = ("/", "/metrics", "/api/v1/status", "/-/healthy", "/-/ready", "/none")
OPEN_TO_ALL = ("/metrics", "/-/healthy", "/-/ready")
PUBLIC = Endpoint("10.77.9.2", 19440)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make certificates once for all tests here."""
    made = Folder(tmp_path_factory.mktemp("web"))
    (made.path / "ca.pem").write_bytes(made.ours.ca_file.read_bytes())
    return made


async def test_nothing_without_a_password(folder: Folder) -> None:
    """With users configured every path needs one, loopback and health included; nothing tells what there is."""
    async with serving(local(config_file=folder.write(None, USERS)), BACK) as server:
        for path in PATHS:
            for headers in ([], [basic("alice", "wrong")], [basic("bob", "right")]):
                reply = await ask(server, path, headers=headers)
                assert reply.status == 401
                assert reply.headers["www-authenticate"] == 'Basic realm="connector-health", charset="UTF-8"'
            assert (await ask(server, path, headers=[ALICE])).status == (404 if path == "/none" else 200)
        assert (await ask(server, "/-/reload", method="POST")).status == 401
        assert (await ask(server, "/-/reload", method="POST", headers=[ALICE])).status == 200


async def test_a_password_does_not_excuse_a_page_of_another_host(folder: Folder) -> None:
    """A browser sends a known password along with what another page makes it ask: Host and Origin are judged still."""
    async with serving(local(config_file=folder.write(None, USERS)), BACK) as server:
        evil = [ALICE, "Origin: https://evil.example.com"]
        assert (await ask(server, "/-/reload", method="POST", headers=evil)).status == 403
        assert (await ask(server, "/", headers=[ALICE, "Host: evil.example.com"])).status == 421


async def test_the_socket_asks_for_no_password(folder: Folder, tmp_path: Path) -> None:
    """The socket is guarded by its mode: the command line needs no password."""
    path = tmp_path / "api.sock"
    async with serving(local(config_file=folder.write(None, USERS), socket=str(path)), BACK):
        assert (await ask(path, "/api/v1/status")).status == 200


@pytest.mark.parametrize(
    ("tls", "more", "headers", "certificate", "known"),
    [
        (None, USERS, [ALICE], False, True),
        (None, "", [ALICE], False, False),
        ("", "", [], True, False),
        ("", USERS, [ALICE], False, True),
        ("client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem", "", [], True, True),
        ("client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem", "", [], True, True),
        ("client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem", "", [], False, False),
        ("client_auth_type: RequestClientCert", "", [], True, False),
    ],
)
async def test_who_is_known_may_see_everything(
    folder: Folder, tls: str | None, more: str, headers: Sequence[str], certificate: bool, known: bool
) -> None:
    """On an address that others reach, a password or a verified certificate opens everything; TLS alone does not."""
    client = folder.client(folder.ours.issue("prometheus.example.com") if certificate else None)
    with namespace() as ns:
        ns.run(f"ip address add {PUBLIC.host}/32 dev lo")
        server = WebServer(Web(listen=(PUBLIC,), config_file=folder.write(tls, more)), BACK)
        with ns.entered():  # a socket keeps the namespace in which it was made
            await server.start()
            try:
                for path in PATHS[:5]:
                    reply = await get(server, client if tls is not None else None, path, headers)
                    assert (path, reply.status) == (path, 200 if known or path in OPEN_TO_ALL else 403)
            finally:
                await server.close()


async def test_rate_limit(folder: Folder, tmp_path: Path) -> None:
    """After a burst there is one request for each interval; who may read the socket is not kept from it by a flood."""
    path, file = tmp_path / "api.sock", folder.write(None, "rate_limit: {interval: 1h, burst: 3}\n")
    async with serving(local(config_file=file, socket=str(path)), BACK) as server:
        replies = [await ask(server, "/-/healthy") for _ in range(5)]
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        assert replies[-1].headers["retry-after"] == "1"
        assert [(await ask(path, "/-/healthy")).status for _ in range(5)] == [200] * 5


async def test_headers(folder: Folder) -> None:
    """The operator's headers are in every answer, refusals too; a content policy is added to ours."""
    headers = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=9", "X-XSS-Protection": "0",
               "Content-Security-Policy": "sandbox"}  # fmt: skip
    more = "http_server_config: " + json.dumps({"headers": headers}) + "\n" + USERS
    async with serving(local(config_file=folder.write(None, more)), BACK) as server:
        for reply in (await ask(server, "/", headers=[ALICE]), await ask(server, "/")):
            assert reply.headers["x-frame-options"] == "sameorigin"
            assert reply.headers["strict-transport-security"] == "max-age=9"
            assert reply.headers["x-content-type-options"] == "nosniff"
            assert reply.headers["content-security-policy"].startswith("default-src 'none'")
            assert reply.headers["content-security-policy"].endswith(", sandbox")


async def test_wrong_passwords_are_told_once(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """The log says that somebody guesses, with neither name nor password, and not once for each guess."""
    caplog.set_level(logging.INFO, "connector_health.web")
    async with serving(local(config_file=folder.write(None, USERS)), BACK) as server:
        for number in range(4):
            await ask(server, "/", headers=[basic("mallory", f"guess-{number}")])
        await ask(server, "/")
    said = [record.getMessage() for record in caplog.records if "password" in record.getMessage()]
    assert said[0].endswith("who is on the way reads the passwords")
    assert said[1:] == ["a request came with a wrong user name or password"]


async def test_a_header_made_to_be_expensive_is_refused(folder: Folder) -> None:
    """A header of the largest size is answered like any wrong one."""
    long = "Authorization: Basic " + base64.b64encode(b"a:" + b"x" * 6000).decode()
    async with serving(local(config_file=folder.write(None, USERS)), BACK) as server:
        assert (await ask(server, "/", headers=[long])).status == 401
        assert (await ask(server, "/", headers=[long + "x" * 2000])).status in (400, 401)
