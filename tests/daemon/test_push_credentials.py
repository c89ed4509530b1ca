"""Credentials towards an Alertmanager: read anew from their files, and never shown."""

import asyncio
import base64
import html
import json
import os
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.config.schema import Alertmanager, BasicAuth, ClientTls
from daemon.push.answer import Taken, judge
from daemon.push.http import MAX_ANSWER_BYTES, Reply
from tests.support.nginx import Site, nginx
from tests.support.peers import scripted
from tests.support.pki import Authority
from tests.support.push_ways import BODY, Heard, http, post, way
from tests.support.servers import free_port

SECRET = "s3cret-token"
ODD = 'Zk8/q"Xw3+vB7<hT5&rY9=mN2pL4'  # characters that JSON, HTML and URLs write in another way


async def test_bearer_and_basic_are_read_anew(tmp_path: Path) -> None:
    """A token or password that is renewed in its file is used for the next request."""
    file = tmp_path / "secret"
    heard = Heard()
    async with scripted(heard.script) as port:
        url = f"http://127.0.0.1:{port}"
        bearer = Alertmanager(url=url, bearer_file=str(file))
        basic = Alertmanager(url=url, basic=BasicAuth(username="push", password_file=str(file)))
        async with way(bearer) as with_bearer, way(basic) as with_basic:
            for text in ("first\n", "second: ü\n"):
                file.write_text(text)
                for transport in (with_bearer, with_basic):
                    await transport.post(BODY)
    sent = [request.partition("Authorization: ")[2].partition("\r\n")[0] for request in heard.requests]
    password = base64.b64encode("push:second: ü".encode()).decode()
    assert sent == ["Bearer first", "Basic cHVzaDpmaXJzdA==", f"Basic {password}"]  # a token can't hold an ü


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "bearer_file {} can't be read: No such file or directory", id="missing"),
        pytest.param(b"", "bearer_file {} does not hold one line of text", id="empty"),
        pytest.param(b"two\nlines", "bearer_file {} does not hold one line of text", id="two lines"),
        pytest.param(b"a\r\nX-Evil: 1", "bearer_file {} does not hold one line of text", id="a header smuggled in"),
        pytest.param(b"x" * 20000, "bearer_file {} does not hold one line of text", id="too long"),
        pytest.param(b"\xff\xfe" + SECRET.encode(), "bearer_file {} is not text in UTF-8", id="no text"),
        pytest.param(b"a b", "bearer_file {} does not hold a token: it has characters that no header may have",
                     id="a space"),
    ],
)  # fmt: skip
async def test_unusable_secrets(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """A file that holds no token is one clear problem that names the file and nothing of its content."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    answer = await post(Alertmanager(url="http://127.0.0.1:1", bearer_file=str(file)))
    assert (answer.verdict.taken, answer.verdict.problem) == (Taken.NO, problem.format(file))
    assert SECRET not in repr(answer)


async def test_a_folder_and_a_pipe_are_no_secrets(tmp_path: Path) -> None:
    """A file that would block for ever, or is none, fails at once."""
    os.mkfifo(tmp_path / "pipe")
    for file, problem in ((tmp_path / "pipe", "is not a regular file"), (tmp_path, "can't be read: Is a directory")):
        answer = await post(Alertmanager(url="http://127.0.0.1:1", bearer_file=str(file)))
        assert answer.verdict.problem == f"bearer_file {file} {problem}"


async def test_a_peer_that_repeats_our_secret(tmp_path: Path) -> None:
    """A server that answers with the headers it was sent gets none of our secrets into a problem or a log line."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        shown = head.partition(b"Authorization: ")[2].partition(b"\r\n")[0]
        writer.write(http("500 Debug", b"you sent " + shown, "Content-Type: text/plain"))
        await writer.drain()

    file = tmp_path / "secret"
    file.write_text(SECRET)
    async with scripted(echo) as port:
        url = f"http://127.0.0.1:{port}"
        for alertmanager, kind in (
            (Alertmanager(url=url, bearer_file=str(file)), "Bearer"),
            (Alertmanager(url=url, basic=BasicAuth(username="push", password_file=str(file))), "Basic"),
        ):
            answer = await post(alertmanager)
            assert answer.verdict.problem == f"it answers 500: you sent {kind} <secret>"
            assert SECRET not in repr(answer)
    assert judge(Reply(status=500, text="x" * (MAX_ANSWER_BYTES - 4) + SECRET), (SECRET,)).problem.endswith("x…")


@pytest.mark.parametrize(
    "said",
    [
        json.dumps({"authorization": ODD}),
        json.dumps(ODD).replace("/", "\\/"),
        html.escape(f"<Authorization: {ODD}>"),
        urllib.parse.quote(ODD, safe=""),
        f"unknown token {ODD[:12]}...",
        ODD.upper(),
        f"{' '.join(ODD)}",
    ],
)
def test_a_peer_that_repeats_our_secret_in_its_own_way(said: str) -> None:
    """A secret that is escaped, cut or written otherwise is not shown either, nor anything beside it."""
    problem = judge(Reply(status=500, text=said, kind="application/json"), (ODD,)).problem
    assert problem == "it answers 500: its answer, which repeats a part of our credentials, is not shown"


def test_what_a_peer_says_is_shown_although_we_have_secrets() -> None:
    """Words that happen to hold letters of a secret are words."""
    told = "start time must be before end time"
    for secret in (ODD, "time-is-money-and-no-token"):
        assert judge(Reply(status=400, text=told, kind="application/json"), (secret,)).problem.endswith(told)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """A real nginx that wants a client certificate, another that does not, and a third that is expired."""

    ca: Authority
    other: Authority
    strict: str
    plain: str
    expired: str


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tls]:
    """Run nginx before nobody: it answers for itself."""
    folder = tmp_path_factory.mktemp("push-tls")
    ca, other = Authority(folder), Authority(folder, "Other Inc")
    pair, old = ca.issue("127.0.0.1"), ca.expired("127.0.0.1")
    ports = [free_port() for _ in range(3)]
    answer = "default_type text/plain; location = /api/v2/alerts { return 200; } location / { return 404; }"
    verify = f"ssl_client_certificate {ca.ca_file}; ssl_verify_client on;"
    sites = (
        Site(port=ports[0], pair=pair, directives=answer, ssl=verify),
        Site(port=ports[1], pair=pair, directives=answer),
        Site(port=ports[2], pair=old, directives=answer),
    )
    with nginx(folder, *sites):
        strict, plain, expired = (f"https://127.0.0.1:{port}" for port in ports)
        yield Tls(ca=ca, other=other, strict=strict, plain=plain, expired=expired)


async def test_client_certificate(tls: Tls, tmp_path: Path) -> None:
    """An Alertmanager that wants a client certificate gets it; renewed files are used without a restart."""
    right, wrong = tls.ca.issue("client"), tls.other.issue("client")
    cert, key, ca = tmp_path / "cert.pem", tmp_path / "key.pem", tmp_path / "ca.pem"
    cert.write_bytes(wrong.chain.read_bytes())
    key.write_bytes(wrong.key.read_bytes())
    ca.write_bytes(tls.other.ca_file.read_bytes())
    files = ClientTls(ca_file=str(ca), cert_file=str(cert), key_file=str(key))
    async with way(Alertmanager(url=tls.strict, tls=files)) as transport:
        untrusted = await transport.post(BODY)
        ca.write_bytes(tls.ca.ca_file.read_bytes() + b"\n")
        refused = await transport.post(BODY)
        cert.write_bytes(right.chain.read_bytes() + b"\n")
        mismatched = await transport.post(BODY)
        key.write_bytes(right.key.read_bytes() + b"\n")
        taken = await transport.post(BODY)
        ca.unlink()
        missing = await transport.post(BODY)
    assert untrusted.verdict.problem.startswith("its certificate is not trusted: ")
    assert refused.verdict == judge(Reply(status=400, kind="text/html", text="<html>"))
    assert mismatched.verdict.problem == (
        f"tls.cert_file {cert} and tls.key_file {key} are no certificate and its unencrypted key in PEM form"
    )
    assert taken.verdict.taken is Taken.YES
    assert missing.verdict.problem == f"tls.ca_file {ca} can't be read: No such file or directory"


async def test_certificates_that_are_not_good(tls: Tls, tmp_path: Path) -> None:
    """A certificate is verified: its chain, its name, its dates; by this host's own store without `ca_file`."""
    trusted = ClientTls(ca_file=str(tls.ca.ca_file))
    nonsense = tmp_path / "ca.pem"
    nonsense.write_text("no certificate")
    answers = [
        await post(Alertmanager(url=tls.plain, tls=trusted)),
        await post(Alertmanager(url=tls.plain)),
        await post(Alertmanager(url=tls.plain, tls=ClientTls(ca_file=str(tls.other.ca_file)))),
        await post(Alertmanager(url=tls.expired, tls=trusted)),
        await post(Alertmanager(url=tls.plain.replace("127.0.0.1", "am.example.com"), tls=trusted)),
        await post(Alertmanager(url=tls.plain, tls=ClientTls(ca_file=str(nonsense)))),
        await post(Alertmanager(url=tls.plain.replace("https", "http"))),
        await post(Alertmanager(url=tls.plain + "/other", tls=trusted)),
    ]
    problems = [answer.verdict.problem for answer in answers]
    assert problems[0] == ""
    assert all(text.startswith("its certificate is not trusted: ") for text in problems[1:5])
    assert "expired" in problems[3]
    assert "am.example.com" in problems[4]
    assert problems[5] == f"tls.ca_file {nonsense} holds no certificate in PEM form"
    assert problems[6] == "it answers 400"
    assert problems[7] == "there is no Alertmanager API v2 under this url (404): is its path right?"
