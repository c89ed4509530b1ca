"""HTTP as a bounded client: answers, lies, and what is left behind."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checks.model import Reason
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError
from checks.net.http import HttpConnection, HttpResponse, open_http
from checks.net.stream import READ_BYTES, receive_some
from checks.net.tcp import STARVED_LAG_S
from checks.net.url import parse_url
from tests.support.cancel import check_cancellation
from tests.support.fakes import context
from tests.support.nginx import Site, nginx
from tests.support.peers import Script, hang_up, reset, says, scripted, silence
from tests.support.pki import Authority
from tests.support.servers import free_port

NAME = "acme.controller.example"
SHORT_S = 0.4
AMPLE_S = 5.0
OK = b"HTTP/1.1 200 OK\r\n"


@contextlib.asynccontextmanager
async def opened(port: int, timeout_s: float = AMPLE_S) -> AsyncIterator[HttpConnection]:
    """Connect without TLS; close at the end."""
    connection = await open_http(context(), f"http://{NAME}:{port}/", "127.0.0.1", ca_file=None, timeout_s=timeout_s)
    try:
        yield connection
    finally:
        connection.close()


async def get(port: int, *, method: str = "GET", timeout_s: float = AMPLE_S, max_body: int = 1000) -> HttpResponse:
    """Ask once, without TLS."""
    async with opened(port) as connection:
        return await connection.request(method, "/", host=NAME, timeout_s=timeout_s, max_body=max_body)


async def failure(port: int, *, method: str = "GET", timeout_s: float = AMPLE_S) -> NetError:
    """Return how the request failed."""
    with pytest.raises(NetError) as caught:
        await get(port, method=method, timeout_s=timeout_s)
    return caught.value


async def test_an_answer_over_tls(tmp_path: Path) -> None:
    """Status, headers in lower case, body and the two times are told; the request names itself and its host."""
    root, port = Authority(tmp_path), free_port()
    site = Site(
        port=port,
        pair=root.issue(NAME),
        directives='location /x { add_header X-Seen $host always; return 203 "hello"; }',
    )
    with nginx(tmp_path, site) as access:
        connection = await open_http(
            context(), f"https://{NAME}:{port}", "127.0.0.1", ca_file=str(root.ca_file), timeout_s=AMPLE_S
        )
        answer = await connection.request("GET", "/x?y=1", host=NAME, timeout_s=AMPLE_S, max_body=100)
        connection.close()
    assert (answer.status, answer.body, answer.header("x-seen")) == (203, b"hello", NAME)
    assert answer.sent_at <= answer.received_at
    assert access.read_text() == "GET /x?y=1 HTTP/1.1 203 connector-health\n"


async def test_one_connection_carries_several_requests(tmp_path: Path) -> None:
    """HEAD after HEAD goes over one connection, so that the second one measures a round trip and nothing else."""
    port = free_port()
    with nginx(tmp_path, Site(port=port, directives='add_header X-Nth $connection_requests; return 404 "no";')):
        async with opened(port) as connection:
            answers = [await connection.request("HEAD", "/", host=NAME, timeout_s=AMPLE_S) for _ in range(3)]
    assert [answer.status for answer in answers] == [404] * 3
    assert all(answer.header("x-nth") is None for answer in answers)  # nginx adds headers to 2xx and 3xx only
    assert all(answer.header("date") for answer in answers)


async def test_a_connection_that_the_server_ends_is_not_used_again(tmp_path: Path) -> None:
    """After `Connection: close`, or an unread body, the next request fails at once as a reset."""
    port = free_port()
    with nginx(tmp_path, Site(port=port, directives='keepalive_timeout 0; return 200 "body";')):
        async with opened(port) as connection:
            await connection.request("HEAD", "/", host=NAME, timeout_s=AMPLE_S)
            with pytest.raises(NetError) as caught:
                await connection.request("HEAD", "/", host=NAME, timeout_s=AMPLE_S)
            assert caught.value.reason is Reason.RESET
    async with scripted(says(OK + b"Content-Length: 4\r\n\r\nbody")) as other, opened(other) as connection:
        assert (await connection.request("GET", "/", host=NAME, timeout_s=AMPLE_S)).body == b""
        with pytest.raises(NetError) as caught:
            await connection.request("GET", "/", host=NAME, timeout_s=AMPLE_S)
        assert caught.value.reason is Reason.RESET


async def test_interim_answers_are_skipped() -> None:
    """The answer is the one after 100 and 103, not one of these."""
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with scripted(says(interim, OK + b"Content-Length: 0\r\n\r\n")) as port:
        assert (await get(port)).status == 200


async def test_a_body_without_length_ends_with_the_connection() -> None:
    """HTTP/1.0 servers delimit a body by closing; that is an answer, not a reset."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with scripted(script) as port:
        assert (await get(port)).body == b"all of it"


FILLER = b"X-Filler: " + b"y" * 1000 + b"\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("script", "reason", "evidence"),
    [
        pytest.param(silence, Reason.TIMEOUT, "no complete HTTP answer", id="silence"),
        pytest.param(reset, Reason.RESET, "ECONNRESET", id="reset"),
        pytest.param(hang_up, Reason.RESET, "without an answer", id="hang up"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Reason.HTTP_STATUS, "not an HTTP answer", id="ssh"),
        pytest.param(says(b"\x00\xff" * 4000), Reason.HTTP_STATUS, "not an HTTP answer", id="garbage"),
        pytest.param(says(forever=b"\x00" * 4096), Reason.HTTP_STATUS, "not an HTTP answer", id="endless garbage"),
        pytest.param(says(b"HTTP/1.1 999999 X\r\n\r\n"), Reason.HTTP_STATUS, "not an HTTP answer", id="bad status"),
        pytest.param(
            says(OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n"), Reason.HTTP_STATUS, "", id="huge length"
        ),
        pytest.param(
            says(OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n"), Reason.HTTP_STATUS, "", id="two lengths"
        ),
        pytest.param(says(OK, forever=FILLER), Reason.HTTP_STATUS, "", id="endless head"),
        pytest.param(says(OK, *[FILLER] * 17, b"\r\n"), Reason.HTTP_STATUS, "", id="long head"),
        pytest.param(says(OK + b"X: ", forever=b"y" * 4096), Reason.HTTP_STATUS, "", id="endless line"),
        pytest.param(
            says(forever=b"HTTP/1.1 100 Continue\r\n\r\n"), Reason.HTTP_STATUS, "interim", id="endless interim answers"
        ),
        pytest.param(says(OK, forever=b"X: y\r\n", pause_s=0.02), Reason.TIMEOUT, "", id="dribbling head"),
        pytest.param(
            says(OK + b"\r\n", forever=b"z" * 4096), Reason.HTTP_STATUS, "longer than 1000 bytes", id="endless body"
        ),
        pytest.param(says(CHUNKED, forever=b"1\r\nz\r\n", pause_s=0.02), Reason.TIMEOUT, "", id="dribbling body"),
        pytest.param(says(CHUNKED + b"1;", forever=b"x" * 4096), Reason.HTTP_STATUS, "", id="endless chunk header"),
        pytest.param(says(CHUNKED + b"0\r\n", forever=FILLER), Reason.HTTP_STATUS, "", id="endless trailers"),
        pytest.param(says(OK + b"Content-Length: 9\r\n\r\nz"), Reason.TIMEOUT, "", id="missing body"),
    ],
)
async def test_a_peer_that_does_not_answer_as_it_should(script: Script, reason: Reason, evidence: str) -> None:
    """Whatever a peer does, the request ends with a named failure, within its time-out and its bounds."""
    async with scripted(script) as port:
        error = await failure(port, timeout_s=SHORT_S)
    assert error.reason is reason
    assert evidence in error.evidence


async def test_a_peer_that_floods_cannot_hold_the_deadline_off() -> None:
    """Reading gives the loop a turn, and so each deadline its chance, even while bytes are always waiting."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.sendall(b"x" * 3 * READ_BYTES)
        turns: list[int] = []
        for nth in range(3):
            asyncio.get_running_loop().call_soon(turns.append, nth)
            assert len(await receive_some(ours)) == READ_BYTES
            assert len(turns) == nth + 1


class Held:
    """A stream whose peer says nothing, or something, in a process whose loop is held up for `hold_s` seconds."""

    def __init__(self, said: bytes = b"", hold_s: float = 0.0) -> None:
        self.said = said
        self.hold_s = hold_s
        self.closed = False

    async def receive(self) -> bytes:
        time.sleep(self.hold_s)  # noqa: ASYNC251 - the very thing that must not be taken for a slow peer
        if not self.said:
            await asyncio.Event().wait()
        return self.said

    async def send(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        self.closed = True


async def test_a_time_out_that_we_noticed_too_late_is_ours() -> None:
    """When our own loop was held up, the missing answer says nothing about the peer."""
    with pytest.raises(NetError) as caught:
        await HttpConnection(Held(hold_s=STARVED_LAG_S * 1.5)).request("HEAD", "/", host=NAME, timeout_s=0.01)
    assert caught.value.reason is Reason.PROBER_STARVED


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n"], ids=["silence", "nonsense"])
async def test_a_failed_request_closes_the_connection(said: bytes) -> None:
    """Nobody has to remember it: after a failure nothing is left open."""
    stream = Held(said)
    with pytest.raises(NetError):
        await HttpConnection(stream).request("HEAD", "/", host=NAME, timeout_s=0.05)
    assert stream.closed


async def test_cancelling_a_request_leaves_nothing(tmp_path: Path) -> None:
    """Whenever connect, TLS or a request is cancelled, no socket and no task is left."""
    root = Authority(tmp_path)
    answer = says(OK + b"Content-Length: 4\r\n\r\n", b"body")
    async with scripted(answer, root.issue(NAME)) as port:

        async def once() -> None:
            connection = await open_http(
                context(), f"https://{NAME}:{port}/", "127.0.0.1", ca_file=str(root.ca_file), timeout_s=AMPLE_S
            )
            try:
                await connection.request("GET", "/", host=NAME, timeout_s=AMPLE_S, max_body=100)
            finally:
                connection.close()

        assert await check_cancellation(once) > 4


@pytest.mark.parametrize(
    ("text", "endpoint", "target", "host"),
    [
        ("https://ACME.twingate.com", Endpoint("acme.twingate.com", 443), "/", "acme.twingate.com"),
        ("https://a.example:8443/x?y=z#w", Endpoint("a.example", 8443), "/x?y=z", "a.example:8443"),
        ("http://127.0.0.1:9999/metrics", Endpoint("127.0.0.1", 9999), "/metrics", "127.0.0.1:9999"),
        ("https://[::1]", Endpoint("::1", 443), "/", "[::1]"),
        ("https://[::1]:444/", Endpoint("::1", 444), "/", "[::1]:444"),
    ],
)
def test_urls(text: str, endpoint: Endpoint, target: str, host: str) -> None:
    """An http or https URL says where to connect, what to ask for and which host to name."""
    url = parse_url(text)
    assert (url.endpoint, url.target, url.host_header) == (endpoint, target, host)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme.twingate.com",
        "//acme.twingate.com/",
        "ftp://a.example/",
        "https://",
        "https://:443/",
        "https://a.example:0/",
        "https://a.example:65536/",
        "https://a.example:x/",
        "https://user:password@a.example/",
        "https://@a.example/",
        "https://a.example/ b",
        "https://a.exa\nmple/",
        "https://a.example\\@b.example/",
        "https://a.example/b\\c",
        "https://ä.example/",
        "https://a..example/",
        "https://" + "a" * 64 + ".example/",
        "https://[::1/",
        "https://[fe80::1%25eth0]/",
        "https://a.example/" + "x" * 2048,
        "https://a example/",
        "https://a$.example/",
    ],
)
def test_what_is_no_url_is_refused(text: str) -> None:
    """Anything that two programs could read differently, or that can't be connected to, is refused."""
    with pytest.raises(ValueError, match=r"URL|host"):
        parse_url(text)
