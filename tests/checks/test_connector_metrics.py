"""The Connector's own /metrics: a real server, liars, and the format against somebody else's writer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from checks.connector import ConnectorSpec
from checks.connector_metrics import (
    INBOUND,
    MAX_BODY_BYTES,
    MAX_TRANSPORTS,
    OUTBOUND,
    UPTIME,
    OwnMetrics,
    parse_own_metrics,
    read_own_metrics,
)
from checks.model import Reason, Status
from checks.net.seat import Context, Seat
from checks.net.text import printable
from checks.runtime.model import Sighting
from tests.support.cancel import check_cancellation
from tests.support.fakes import FakeResolver
from tests.support.peers import Script, hang_up, reset, says, scripted, silence
from tests.support.servers import free_port
from tests.support.sightings import NOW, RUNNING, Looks, judged
from tests.support.tcp import sockets_that_fail

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
FLOOD = b"# x\n" * 999
POD = Sighting(runtime="kubernetes", name="connector-0")


def registry(uptime: float = 7200.5, direct: float = 1e6) -> CollectorRegistry:
    """Make the figures of a Connector, and others beside them."""
    found = CollectorRegistry()
    Gauge(UPTIME, "Uptime.", registry=found).set(uptime)
    inbound = Counter(INBOUND, "Bytes in.", ["transport"], registry=found)
    outbound = Counter(OUTBOUND, "Bytes out.", ["transport"], registry=found)
    inbound.labels("direct").inc(direct)
    inbound.labels("relay-quic").inc(5)
    outbound.labels('a "new" one\\').inc(7)
    Histogram("twingate_other_seconds", "Something else.", ["x"], registry=found).labels('}"{').observe(1)
    return found


@contextlib.asynccontextmanager
async def served(body: bytes, status: int = 200) -> AsyncIterator[str]:
    """Serve a page as a real web server does; yields its URL."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body, status=status, content_type="text/plain")

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/metrics"
    finally:
        await runner.cleanup()


def standing(sighting: Sighting = RUNNING, connector_seat: Seat | None = None) -> Context:
    """Stand on this host, and perhaps beside the Connector too."""
    seat = Seat(resolver=FakeResolver({"localhost": ("127.0.0.1",)}), wall_clock=lambda: NOW)
    return Context(seat=seat, connector=Looks(sighting), connector_seat=connector_seat)


async def read(
    url: str | None, sighting: Sighting = RUNNING, timeout_s: float = 0.5, connector_seat: Seat | None = None
) -> OwnMetrics:
    """Read the metrics from this host's seat."""
    found = await read_own_metrics(url, sighting, standing(sighting, connector_seat), timeout_s)
    assert found is not None
    return found


async def test_the_documented_figures_are_read_from_a_real_server() -> None:
    """Uptime and bytes by transport, whatever those are called; all else on the page is passed over."""
    async with served(generate_latest(registry())) as url:
        found = await read(url)
    assert found == OwnMetrics(
        url=url,
        uptime_seconds=7200.5,
        inbound_bytes={"direct": 1000000, "relay-quic": 5},
        outbound_bytes={'a "new" one\\': 7},
    )
    assert found.answers


async def test_nothing_is_asked_where_nobody_said_where() -> None:
    """Without metrics_url and without TWINGATE_METRICS_PORT there is nothing to say."""
    assert await read_own_metrics(None, RUNNING, standing(), 0.5) is None


def with_port(port: str, *, shared: bool = False) -> Sighting:
    """Make a Connector whose environment names the port."""
    environment = MappingProxyType({"TWINGATE_METRICS_PORT": port})
    return replace(RUNNING, environment=environment, own_namespace=shared)


async def test_the_port_of_its_environment_is_asked_in_its_own_namespace_only() -> None:
    """From its seat, or when it shares our namespace; on this host the same number may be anything."""
    async with served(generate_latest(registry())) as url:
        port = url.rpartition(":")[2].partition("/")[0]
        not_asked = await read(None, with_port(port))
        shared = await read(None, with_port(port, shared=True))
        seated = await read(None, with_port(port), connector_seat=Seat(resolver=FakeResolver(), name="connector"))
    assert (not_asked.answers, shared.uptime_seconds, seated.uptime_seconds) == (False, 7200.5, 7200.5)
    assert "network namespace" in not_asked.problem


@pytest.mark.parametrize("port", ["0", "65536", "http", "9999/evil", "-1", "٩٩"])
async def test_a_port_that_is_none_is_a_fact(port: str) -> None:
    """What a Connector's environment holds may be anything."""
    assert (await read(None, with_port(port))).problem == "TWINGATE_METRICS_PORT holds no port"


async def test_a_configured_loopback_url_is_tried_from_both_seats() -> None:
    """The Connector's own seat first; a port that is published on this host is found from here."""
    elsewhere = Seat(resolver=FakeResolver(), name="connector", open_socket=sockets_that_fail(111))
    async with served(generate_latest(registry())) as url:
        found = await read(url.replace("127.0.0.1", "localhost"), connector_seat=elsewhere)
    assert found.uptime_seconds == 7200.5


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        pytest.param(silence, "no complete", id="silent"),
        pytest.param(reset, "Connection reset by peer", id="reset"),
        pytest.param(hang_up, "closed the connection without an answer", id="hangs up"),
        pytest.param(says(b"SSH-2.0-x\r\n\r\n"), "not an HTTP answer", id="no HTTP"),
        pytest.param(says(HEAD, b"Content-Length: 999999999\r\n\r\n", forever=FLOOD), "longer than", id="vast"),
        pytest.param(says(HEAD, b"\r\n", forever=FLOOD), "longer than", id="endless"),
        pytest.param(says(HEAD, b"Content-Length: 9\r\n\r\nx"), "no complete", id="half"),
        pytest.param(says(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"), "it answers with HTTP 404", id="404"),
        pytest.param(says(b"HTTP/1.1 301 Go\r\nLocation: http://e/\r\nContent-Length: 0\r\n\r\n"), "HTTP 301",
                     id="a redirect is not followed"),
        pytest.param(says(HEAD, b"Content-Length: 2\r\n\r\n\xff\xfe"), "not UTF-8", id="no text"),
        pytest.param(says(HEAD, b"Content-Length: 6\r\n\r\n<html>"), "none of the figures", id="another service"),
    ],
)  # fmt: skip
async def test_a_server_that_lies_is_a_fact(script: Script, problem: str) -> None:
    """Silent, wrong or endless: one clause, in time, and the verdict about the Connector stays."""
    async with scripted(script) as port:
        spec = ConnectorSpec(metrics_url=f"http://127.0.0.1:{port}/metrics", timeout_s=0.4)
        outcome = await judged(standing(), spec)
    assert outcome.status is Status.OK
    own = outcome.facts["own_metrics"]
    assert isinstance(own, Mapping)
    assert problem in str(own["problem"])


@pytest.mark.parametrize("url", ["http://127.0.0.1:{free}/metrics", "http://gone.test/metrics", "ftp://x/"])
async def test_what_can_not_be_reached_is_a_fact(url: str) -> None:
    """Nothing listens, no such name, no such scheme."""
    found = await read(url.format(free=free_port()))
    assert found.problem
    assert not found.answers


async def test_both_seats_share_one_time_out() -> None:
    """Two silent places take no longer than one."""
    async with scripted(silence) as port:
        begin = asyncio.get_running_loop().time()
        found = await read(
            f"http://127.0.0.1:{port}/metrics", connector_seat=Seat(resolver=FakeResolver(), name="connector")
        )
        assert asyncio.get_running_loop().time() - begin < 2
    assert "0.25 s" in found.problem or "time-out" in found.problem


async def test_a_cancelled_read_leaves_nothing() -> None:
    """No socket and no task stay behind."""
    async with scripted(says(HEAD, b"Content-Length: 4\r\n\r\n", b"# x\n")) as port:
        waits = await check_cancellation(lambda: read(f"http://127.0.0.1:{port}/metrics", timeout_s=10))
    assert waits > 1


async def test_a_pod_that_answers_is_running() -> None:
    """Where the process can't be seen its own metrics tell, with its uptime; without them nothing does."""
    async with served(generate_latest(registry())) as url:
        outcome = await judged(standing(POD), ConnectorSpec(metrics_url=url))
    assert (outcome.status, outcome.facts["running"]) == (Status.OK, True)
    assert outcome.measurements == {"uptime_seconds": 7200.5}
    async with served(b"some_other_metric 1\n") as url:
        outcome = await judged(standing(POD), ConnectorSpec(metrics_url=url))
    assert (outcome.status, outcome.reason) == (Status.SKIPPED, Reason.NOT_PROBEABLE)
    assert "connector.metrics_url" in outcome.action


async def test_a_connector_that_does_not_run_is_not_asked() -> None:
    """Nobody is there who could answer: another process may have taken its port."""
    async with served(generate_latest(registry())) as url:
        outcome = await judged(standing(replace(RUNNING, running=False)), ConnectorSpec(metrics_url=url))
    assert outcome.facts["own_metrics"] is None


async def test_a_query_is_not_shown() -> None:
    """What stands behind `?` may be a secret."""
    async with served(generate_latest(registry())) as url:
        assert (await read(f"{url}?token=s3cret")).url == url


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (f"{UPTIME} NaN", "the value is not a number that can count something"),
        (f"{UPTIME} -1", "the value is not a number that can count something"),
        (f"{UPTIME} +Inf", "the value is not a number that can count something"),
        (f"{UPTIME} 1e999", "the value is not a number that can count something"),
        (f"{UPTIME} 1_0", "the value is not a number that can count something"),
        (f"{UPTIME} ٣", "the value is not a number that can count something"),
        (f"{UPTIME}", "no space after the name"),
        (f"{UPTIME} ", "not a value with at most a time stamp"),
        (f"{UPTIME} 1 2 3", "not a value with at most a time stamp"),
        (f"{UPTIME} 1 soon", "not a value with at most a time stamp"),
        (f"{UPTIME} 1\n{UPTIME} 2", "has the same labels twice"),
        (f'{UPTIME} 1\n{UPTIME}{{a="b"}} 2', "is there twice"),
        (f'{INBOUND}{{transport="x" 1', "the labels have no end"),
        (f"{INBOUND}{{transport=x}} 1", "the labels are not of the format"),
        (f'{INBOUND}{{transport="x"y="z"}} 1', "the labels are not of the format"),
        (f'{INBOUND}{{transport="\\q"}} 1', "the labels are not of the format"),
        (f'{INBOUND}{{transport="x",transport="y"}} 1', "a label is there twice"),
        (f'{INBOUND}{{transport="{"x" * 5000}"}} 1', "the line is too long to be read"),
        (f'{INBOUND}{{a="x",transport="t"}} 1 # {{trace="y"}} 1', "the labels are not of the format"),
    ],
)
def test_a_line_that_is_not_of_the_format_is_a_fact(line: str, problem: str) -> None:
    """The first such line is named, nothing of it is quoted, and the lines that are right still count."""
    found = parse_own_metrics(f'{OUTBOUND}{{transport="ok"}} 3\n{line}\n'.encode())
    assert found.problem.endswith(problem)
    assert found.problem.startswith("line ")
    assert found.outbound_bytes == {"ok": 3}


def test_what_the_format_allows_is_read() -> None:
    """Spaces, tabs, a comma at the end, time stamps, no label at all, several series of one transport."""
    text = (
        f"# HELP {UPTIME} x\n# TYPE {UPTIME} gauge\n\n{UPTIME}\t 12.5 \t1700000000000\n"
        f'{INBOUND}{{ transport = "direct" , }} 1e3\n{INBOUND}{{transport="direct",peer="b"}}2\n{OUTBOUND} 4\n'
        f"{INBOUND}_created 5\n{UPTIME}2 6\n x{UPTIME} 7"
    )
    found = parse_own_metrics(text.encode())
    assert (found.problem, found.uptime_seconds) == ("", 12.5)
    assert (found.inbound_bytes, found.outbound_bytes) == ({"direct": 1002}, {"": 4})


def test_transports_have_an_end() -> None:
    """Sixteen are kept; that there are more is told."""
    text = "".join(f'{INBOUND}{{transport="t{n}"}} 1\n' for n in range(99))
    found = parse_own_metrics(text.encode())
    assert len(found.inbound_bytes) == MAX_TRANSPORTS
    assert found.problem == f"line 17: {INBOUND} has more than 16 transports"


@given(st.dictionaries(st.text(max_size=8), st.floats(0, 1e15), max_size=MAX_TRANSPORTS), st.floats(0, 1e12))
def test_whatever_prometheus_client_writes_is_read(counts: dict[str, float], uptime: float) -> None:
    """Any label and value in any notation, by somebody else's writer."""
    found = CollectorRegistry()
    Gauge(UPTIME, "Uptime.", registry=found).set(uptime)
    inbound = Counter(INBOUND, "Bytes\nin \\.", ["transport"], registry=found)
    for transport, count in counts.items():
        inbound.labels(transport).inc(count)
    own = parse_own_metrics(generate_latest(found))
    assert (own.problem, own.uptime_seconds) == ("", uptime)
    assert own.inbound_bytes == {printable(name): int(count) for name, count in counts.items()}


PARTS = (UPTIME, INBOUND, "{", "}", '"', "\\", "=", ",", " ", "1", "\n", "transport", "é", "\r")


@given(st.lists(st.sampled_from(PARTS), max_size=60))
def test_no_text_makes_it_fail(parts: list[str]) -> None:
    """Any bytes are either read or named as a problem."""
    found = parse_own_metrics("".join(parts).encode())
    assert found.answers or found.problem


def test_hostile_pages_are_read_in_passing() -> None:
    """Pages made to make a reader go back and forth, as long as any that is read, take no noticeable time."""
    for unit in (f"{UPTIME} {{", f'{INBOUND}{{a="', f"{INBOUND}{{a", f"{UPTIME}{' ' * 4000}x\n", '{a="\\', "\n"):
        page = (INBOUND + "{" + unit * (MAX_BODY_BYTES // len(unit))).encode()[:MAX_BODY_BYTES]
        assert parse_own_metrics(page).problem
