"""The way to an Alertmanager against servers that are real, and servers that no Alertmanager would be."""

import asyncio
import ssl
from pathlib import Path

import pytest

from checks.net.seat import Resolution
from daemon.alert import Alerts
from daemon.config.schema import Alertmanager
from daemon.push.answer import PeerClock, Taken
from daemon.push.http import HttpClient, Reply
from daemon.push.transport import HttpTransport
from tests.support.cancel import check_cancellation
from tests.support.fakes import FakeResolver
from tests.support.peers import Script, hang_up, reset, says, scripted, silence
from tests.support.pki import Authority
from tests.support.push_lab import T0, alerting, holds, pushing
from tests.support.push_ways import BODY, Heard, http, post, way
from tests.support.servers import free_port

TIMEOUT_S = 0.3


JSON = "Content-Type: application/json"
HTML = "Content-Type: text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("script", "taken", "problem"),
    [
        pytest.param(says(http("200 OK")), Taken.YES, "", id="200"),
        pytest.param(says(http("202 Accepted", b"{}", JSON)), Taken.YES, "", id="any 2xx"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\n\r\n", forever=b"x" * 8192), Taken.YES, "",
                     id="200, endless"),
        pytest.param(says(http("200 OK", b"<html>Sign in</html>", HTML)), Taken.NO,
                     "it answers 200 with a web page: no Alertmanager, or a login before it", id="a login page"),
        pytest.param(says(http("400 Bad Request", b'"start time must be before end time"', JSON)), Taken.PARTLY,
                     "it refuses some of the alerts (400): start time must be before end time", id="400 of its own"),
        pytest.param(says(http("400 Bad Request", b"<h1>plain HTTP sent to HTTPS port</h1>", HTML)), Taken.NO,
                     "it answers 400", id="400 of something else"),
        pytest.param(says(http("302 Found", b"", "Location: http://127.0.0.1:1/")), Taken.NO,
                     "it redirects (302), which is not followed: correct the url", id="redirect"),
        pytest.param(says(http("401 Unauthorized", b"no\x1b[2J", "Content-Type: text/plain")), Taken.NO,
                     "it does not accept the credentials (401): no\\x1b[2J", id="401"),
        pytest.param(says(http("404 Not Found")), Taken.NO,
                     "there is no Alertmanager API v2 under this url (404): is its path right?", id="404"),
        pytest.param(says(http("500 Oops", b"x" * 5000, "Content-Type: text/plain")), Taken.NO,
                     "it answers 500: " + "x" * 199 + "…", id="500 with a long text"),
        pytest.param(says(b"HTTP/1.1 500 no\r\n\r\n", forever=b"x" * 8192), Taken.NO,
                     "it answers 500: " + "x" * 199 + "…", id="500 with an endless body"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n", forever=b"x", pause_s=0.05), Taken.NO,
                     "no complete answer within 0.3 s", id="slow drip"),
        pytest.param(says(b"HTTP/1.1 200 OK\r\nX-Endless: ", forever=b"x" * 8192), Taken.NO,
                     "it answers, but not with HTTP", id="endless header"),
        pytest.param(says(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Taken.NO, "it answers, but not with HTTP", id="no HTTP"),
        pytest.param(silence, Taken.NO, "no complete answer within 0.3 s", id="silence"),
        pytest.param(reset, Taken.NO, "Connection reset by peer (ECONNRESET)", id="reset"),
        pytest.param(hang_up, Taken.NO, "it closed the connection without an answer", id="hangs up"),
    ],
)  # fmt: skip
async def test_answers(script: Script, taken: Taken, problem: str) -> None:
    """Whatever answers, it is judged within the time-out, and the problem is one harmless clause."""
    async with scripted(script) as port:
        answer = await post(Alertmanager(url=f"http://127.0.0.1:{port}"), TIMEOUT_S if "within" in problem else 10)
    assert (answer.verdict.taken, answer.verdict.problem) == (taken, problem)


async def test_nobody_listens() -> None:
    """A refused connection is told as the kernel says it."""
    answer = await post(Alertmanager(url=f"http://127.0.0.1:{free_port()}"))
    assert answer.verdict.problem == "Connection refused (ECONNREFUSED)"


async def test_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a POST of JSON under the path of the URL, by no proxy, without cookies; the Date of the answer is read."""
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    heard = Heard()
    async with (
        scripted(heard.script) as port,
        way(Alertmanager(url=f"http://am.example.com:{port}/am/x/")) as transport,
    ):
        answers = [await transport.post(BODY) for _ in range(2)]
    assert [answer.reply.date for answer in answers] == [1767323045] * 2
    head, _, body = heard.requests[1].partition("\r\n\r\n")
    assert body == BODY.decode()
    first, *rest = head.split("\r\n")
    assert first == "POST /am/x/api/v2/alerts HTTP/1.1"
    names = {line.partition(":")[0] for line in rest}
    assert names == {
        "Host", "User-Agent", "Accept", "Accept-Encoding", "Content-Type", "Content-Length", "Connection",
    }  # fmt: skip
    assert "Content-Type: application/json" in rest
    assert "Accept-Encoding: identity" in rest


class Names(FakeResolver):
    """A resolver that can fail."""

    silent = False

    async def resolve(self, name: str) -> Resolution:
        """Resolve, fail, or never answer."""
        if self.silent:
            await asyncio.Event().wait()
        return await super().resolve(name)


@pytest.mark.parametrize("silent", [False, True])
async def test_a_name_that_no_longer_resolves(*, silent: bool) -> None:
    """The alert that the nameserver is down gets out by the address that the name had last."""
    names = Names({"am.example.com": ("127.0.0.1",)})
    heard = Heard()
    async with scripted(heard.script) as port:
        transport = HttpTransport(Alertmanager(url=f"http://am.example.com:{port}"), names, 5)
        assert (await transport.post(BODY)).verdict.taken is Taken.YES
        names.names, names.silent = {}, silent
        assert (await transport.post(BODY)).verdict.taken is Taken.YES
        await transport.close()


async def test_a_name_that_never_resolved() -> None:
    """A name that does not resolve is told as what the resolver says."""
    answer = await post(Alertmanager(url="http://other.example.com:9093"))
    assert answer.verdict.problem == "its name does not resolve: the name does not exist"


async def test_no_tls_there() -> None:
    """A server that speaks no TLS is told as such."""
    async with scripted(says(http("200 OK"))) as port:
        problem = (await post(Alertmanager(url=f"https://127.0.0.1:{port}"), TIMEOUT_S)).verdict.problem
    assert problem in ("no complete answer within 0.3 s", "TLS failed (WRONG_VERSION_NUMBER)")


@pytest.mark.parametrize("tls", [False, True])
async def test_cancelling_leaves_nothing_behind(tmp_path: Path, *, tls: bool) -> None:
    """A request that is cancelled anywhere, over TLS or not, leaves no task and no socket."""
    authority = Authority(tmp_path)
    pair = authority.issue("am.example.com") if tls else None
    context = ssl.create_default_context(cafile=authority.ca_file)
    async with scripted(says(http("200 OK")), pair) as port:

        async def once() -> None:
            client = HttpClient(FakeResolver({"am.example.com": ("127.0.0.1",)}))
            try:
                url = f"http{'s' if tls else ''}://am.example.com:{port}/"
                assert (await client.ask("POST", url, body=BODY, tls=context)).status == 200
            finally:
                await client.close()

        assert await check_cancellation(once) > 2


def test_the_peers_clock() -> None:
    """The peer's clock goes on with ours between answers; the same time, or none, is no difference."""
    clock = PeerClock()
    known = [clock.known]
    for reply, at in ((Reply(problem="Connection refused"), 0), (Reply(status=500, date=1000), 50)):
        clock.heard(reply, at)
        known.append(clock.known)
    assert known == [False, False, True]
    assert clock.ahead_s(60, 1010) is None
    assert clock.ahead_s(60, 1012) is None
    assert clock.ahead_s(60, 1000) == 10
    assert clock.ahead_s(60, 5000) == -3990
    clock.heard(Reply(status=200), 70)
    assert clock.ahead_s(70, 5000) is None


async def test_a_push_that_ends_leaves_nothing_behind() -> None:
    """A daemon that stops while one Alertmanager hangs and another is away leaves no task, socket or thread."""
    before = set(Path("/proc/self/fd").iterdir()), asyncio.all_tasks()
    async with scripted(silence) as port:
        push = pushing(wall_clock=lambda: T0)
        push.load(alerting(f"127.0.0.1:{port}", f"127.0.0.1:{free_port()}"))
        task = asyncio.get_running_loop().create_task(push.run())
        push.publish(Alerts(version=1))
        await holds(lambda: push.deliveries[1].failing_since)
        task.cancel()
        await asyncio.wait([task])
        await push.close()
        assert push.deliveries == ()
    await holds(lambda: set(Path("/proc/self/fd").iterdir()) <= before[0])
    assert asyncio.all_tasks() <= before[1]


async def test_over_ipv6_and_in_capitals() -> None:
    """A literal IPv6 address and a scheme in capitals are as good as any."""
    heard = Heard()
    async with scripted(heard.script, host="::1") as port:
        answer = await post(Alertmanager(url=f"HTTP://[::1]:{port}"))
    assert answer.verdict.taken is Taken.YES
