"""TLS as `web.config_file` asks for it: who is let in, with which version and cipher, and what the others are told."""

import asyncio
import json
import logging
import ssl
from pathlib import Path

import pytest

from daemon.config.schema import Web
from daemon.web.server import WebServer
from tests.support.office import office, seen
from tests.support.pki import Authority
from tests.support.web_access import Folder, get, secured
from tests.support.webs import ask, backend, local, serving

LONG = [{"summary": f"{number} " + "x" * 2000} for number in range(100)]
BACK = backend(lambda: seen(office()).view(), history=LONG)
STRICT = "client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem"
OLD, NEW = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Make certificates once for all tests here."""
    folder = Folder(tmp_path_factory.mktemp("web"))
    (folder.path / "ca.pem").write_bytes(folder.ours.ca_file.read_bytes())
    return folder


@pytest.fixture
def folder(made: Folder) -> Folder:
    """Start from a file that only asks for TLS."""
    made.write()
    return made


def served(folder: Folder, tls: str = "") -> Web:
    """Return a configuration that serves with TLS on loopback."""
    return local(config_file=folder.write(tls))


async def test_https_serves_everything(folder: Folder) -> None:
    """Small and large answers arrive whole over both versions of TLS, and plain HTTP is told what to do."""
    async with serving(served(folder), BACK) as server:
        for most in (OLD, NEW):
            client = folder.client(most=most)
            assert (await get(server, client)).body == b"healthy\n"
            long = await get(server, client, "/api/v1/history?id=clock:system")
            assert json.loads(long.body)["history"] == LONG
        plain = await get(server, None)
        assert plain.status == 400
        assert "this address speaks TLS: ask with https://" in plain.text


async def test_one_connection_many_requests(folder: Folder) -> None:
    """Requests sent in one breath are answered in order, and the end is said in TLS."""
    one = b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n"
    async with serving(served(folder), BACK) as server, secured(server, folder.client()) as (reader, writer):
        writer.write((one + b"\r\n") * 9 + one + b"Connection: close\r\n\r\n")
        raw = await asyncio.wait_for(reader.read(), 10)
    assert raw.count(b"HTTP/1.1 200 OK") == raw.count(b"healthy\n") == 10


async def test_a_server_certificate_of_a_stranger_is_not_ours(folder: Folder, tmp_path: Path) -> None:
    """The certificate that is served is the configured one: who trusts another authority sees it fail."""
    stranger = Folder(tmp_path)
    async with serving(served(folder), BACK) as server:
        with pytest.raises(ssl.SSLCertVerificationError):
            await get(server, stranger.client())


@pytest.mark.parametrize(
    ("tls", "most", "least", "cipher"),
    [
        ("", OLD, OLD, "ECDHE-"),
        ("min_version: TLS10", OLD, OLD, "ECDHE-"),
        ("min_version: TLS13", OLD, OLD, None),
        ("min_version: TLS13", NEW, OLD, "TLS_"),
        ("max_version: TLS12", NEW, OLD, "ECDHE-"),
        ("max_version: TLS12", NEW, NEW, None),
        ("cipher_suites: [TLS_AES_128_GCM_SHA256]", OLD, OLD, None),
        ("cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]", OLD, OLD, "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]", OLD, OLD, None),
    ],
)
async def test_versions_and_ciphers(
    folder: Folder, tls: str, most: ssl.TLSVersion, least: ssl.TLSVersion, cipher: str | None
) -> None:
    """What the file excludes is not spoken, whatever the client offers."""
    client = folder.client(most=most)
    client.minimum_version = least
    async with serving(served(folder, tls), BACK) as server:
        if cipher is None:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await get(server, client)
            return
        async with secured(server, client) as (_, writer):
            assert writer.get_extra_info("cipher")[0].startswith(cipher)


@pytest.mark.parametrize("most", [OLD, NEW])
@pytest.mark.parametrize("kind", ["VerifyClientCertIfGiven", "RequireAndVerifyClientCert"])
async def test_client_certificates(folder: Folder, tmp_path: Path, kind: str, most: ssl.TLSVersion) -> None:
    """A certificate of ours comes in; a stranger's never does; none only where none is required."""
    stranger = Authority(tmp_path, "Stranger").issue("prometheus.example.com")
    ours = folder.ours.issue("prometheus.example.com")
    async with serving(served(folder, f"client_auth_type: {kind}, client_ca_file: ca.pem"), BACK) as server:
        assert (await get(server, folder.client(ours, most=most))).status == 200
        with pytest.raises(ssl.SSLError, match="UNKNOWN_CA"):
            await get(server, folder.client(stranger, most=most))
        if kind == "VerifyClientCertIfGiven":
            assert (await get(server, folder.client(most=most))).status == 200
        else:
            with pytest.raises(ssl.SSLError, match=r"CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE"):
                await get(server, folder.client(most=most))


async def test_expired_certificates_stay_out(folder: Folder) -> None:
    """A certificate that has run out is none."""
    async with serving(served(folder, STRICT), BACK) as server:
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_EXPIRED"):
            await get(server, folder.client(folder.ours.expired("prometheus.example.com")))


@pytest.mark.parametrize("kind", ["NoClientCert", "RequestClientCert"])
async def test_who_asks_for_no_certificate_gets_none(folder: Folder, tmp_path: Path, kind: str) -> None:
    """These two let everybody in, and a certificate that nobody verified makes nobody known."""
    stranger = Authority(tmp_path, "Stranger").issue("prometheus.example.com")
    async with serving(served(folder, f"client_auth_type: {kind}"), BACK) as server:
        assert (await get(server, folder.client(stranger))).status == 200


@pytest.mark.parametrize(
    ("sans", "name", "let_in"),
    [
        ("prometheus.example.com", "prometheus.example.com", True),
        ("prometheus.example.com", "grafana.example.com", False),
        ("prometheus.example.com", "*.example.com", False),
        ("10.0.0.7", "10.0.0.7", True),
        ("'2001:db8::7'", "2001:db8:0::7", True),
        ("a.example.com, b.example.com", "b.example.com", True),
    ],
)
async def test_allowed_names(
    folder: Folder, sans: str, name: str, let_in: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Of the certificates of one authority only those with an allowed name come in, compared exactly."""
    async with serving(served(folder, f"{STRICT}, client_allowed_sans: [{sans}]"), BACK) as server:
        client = folder.client(folder.ours.issue(name))
        if let_in:
            assert (await get(server, client)).status == 200
        else:
            with pytest.raises((ConnectionError, ssl.SSLError)):
                await get(server, client)
            assert "none of the names in client_allowed_sans" in caplog.text


async def test_refusals_are_told_once(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """The log says why a handshake was refused, without the client's address, and not once for each try."""
    caplog.set_level(logging.INFO, "connector_health.web")
    async with serving(served(folder, STRICT), BACK) as server:
        for _ in range(5):
            with pytest.raises(ssl.SSLError):
                await get(server, folder.client())
    said = [record.getMessage() for record in caplog.records if "handshake" in record.getMessage()]
    assert said == ["a TLS handshake was refused: peer did not return a certificate"]


async def test_the_socket_has_no_tls(folder: Folder, tmp_path: Path) -> None:
    """The unix socket is guarded by its mode: neither TLS nor a certificate is asked for there."""
    path = tmp_path / "api.sock"
    async with serving(local(config_file=folder.write(STRICT), socket=str(path)), BACK):
        assert (await ask(path, "/api/v1/status")).status == 200


async def test_a_session_is_not_resumed(folder: Folder) -> None:
    """Each connection shows its certificate anew: a resumed session would outlive the authority that vouched for it."""
    async with serving(served(folder), BACK) as server:
        for most in (OLD, NEW):
            client = folder.client(most=most)
            async with secured(server, client) as (reader, writer):
                writer.write(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await reader.readuntil(b"healthy\n")
                ssl_object: ssl.SSLObject = writer.get_extra_info("ssl_object")
                assert ssl_object.session is None or not ssl_object.session.has_ticket


async def test_addresses_say_https(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    """Who reads the log knows how to ask."""
    caplog.set_level(logging.INFO, "connector_health.web")
    server = WebServer(served(folder), BACK)
    await server.start()
    await server.close()
    assert "listening on https://127.0.0.1:" in caplog.text
