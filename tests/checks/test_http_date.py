import asyncio
import email.utils
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks import http_date
from checks.date_header import read_date
from checks.http_date import MAX_SAMPLES, MIN_SAMPLES, DateAnswer
from checks.model import Reason
from checks.net.errors import NetError
from checks.net.seat import Context
from checks.timescale import Reading, Timescale
from tests.support.cancel import check_cancellation
from tests.support.fakes import context

NOW = 1_800_000_000.25
NAMES = {"acme.example": ("192.0.2.1", "192.0.2.2"), "v6.example": ("2001:db8::1",)}
Headers = tuple[tuple[str, str], ...]


class Reply:
    """An HTTP reply."""

    def __init__(self, headers: Headers) -> None:
        self.headers = headers


class Controller:
    """A Controller in virtual time, whose clock is ahead of ours, behind a network with a round trip."""

    def __init__(self, ahead: float = 0.0, round_trip: float = 0.04) -> None:
        self.ahead = ahead
        self.round_trip = round_trip
        self.opened: list[str] = []
        self.requests = 0
        self.connections = 0
        self.dead: dict[str, NetError] = {}
        self.dies_at: int | None = None
        self.alter: Callable[[Headers], Headers] = lambda headers: headers

    def clock(self) -> float:
        return NOW + asyncio.get_running_loop().time() + self.ahead

    async def open(
        self, context: Context, url: str, address: str, *, ca_file: str | None, timeout_s: float
    ) -> "Controller":
        assert (context.seat.name, url[:8], ca_file, timeout_s) == ("host", "https://", "ca.pem", 5.0)
        self.opened.append(address)
        await asyncio.sleep(self.round_trip)
        if address in self.dead:
            raise self.dead[address]
        self.connections += 1
        return self

    async def request(self, method: str, target: str, *, host: str, timeout_s: float, max_body: int = 0) -> Reply:
        assert (method, target, host, timeout_s, max_body) == ("HEAD", "/", "acme.example", 5.0, 0)
        if self.requests == self.dies_at:
            raise NetError(Reason.RESET, "closed")
        self.requests += 1
        await asyncio.sleep(self.round_trip / 2)
        date = email.utils.formatdate(int(self.clock()), usegmt=True)
        await asyncio.sleep(self.round_trip / 2)
        return Reply(self.alter((("server", "x"), ("date", date))))

    def close(self) -> None:
        self.connections -= 1


async def ask(controller: Controller, url: str = "https://acme.example/") -> DateAnswer:
    """Ask it in virtual time."""
    clock = asyncio.get_running_loop().time
    scale = Timescale(Reading(NOW + clock(), clock()), clock)
    answer = await http_date.ask(context(NAMES), url, scale, controller.open, ca_file="ca.pem", timeout_s=5.0)
    assert controller.connections == 0
    return answer


@pytest.mark.looptime
@pytest.mark.parametrize("ahead", [0.0, 0.1, 0.37, -0.5, -0.99, 6.0, -6.3, 86400.77])
@pytest.mark.parametrize("round_trip", [0.001, 0.04, 0.3])
async def test_narrowed(ahead: float, round_trip: float) -> None:
    """Whole seconds are narrowed to about the round trip, and the true offset always lies inside."""
    controller = Controller(ahead, round_trip)
    answer = await ask(controller)
    assert answer.state == "usable"
    assert answer.interval is not None
    assert answer.interval.low - 1e-6 <= -ahead <= answer.interval.high + 1e-6
    assert answer.interval.half_width <= max(0.15, round_trip)
    assert MIN_SAMPLES <= answer.samples == controller.requests <= MAX_SAMPLES
    assert asyncio.get_running_loop().time() < http_date.SAMPLING_S


@pytest.mark.looptime
async def test_each_sample_halves() -> None:
    """The moment of each sample is chosen so that the next tick halves what is still open."""
    widths = []
    for samples in (3, 4, 5):
        controller = Controller(0.3, 0.001)
        controller.dies_at = samples
        interval = (await ask(controller)).interval
        assert interval is not None
        widths.append(interval.half_width)
    assert widths[1] / widths[0] == pytest.approx(0.5, abs=0.15)
    assert widths[2] / widths[1] == pytest.approx(0.5, abs=0.25)


@pytest.mark.looptime
async def test_slow_front_end() -> None:
    """A Date that lags a little behind its tick, as a cached one does, does not contradict itself."""
    controller = Controller(0.0, 0.001)
    controller.clock = lambda: NOW + asyncio.get_running_loop().time() - 0.03  # type: ignore[method-assign]
    answer = await ask(controller)
    assert answer.interval is not None
    assert answer.interval.low <= 0 <= answer.interval.high


@pytest.mark.looptime
async def test_contradiction() -> None:
    """Dates that no offset fits, as of several servers behind one name, are no source."""
    controller = Controller()
    original = Controller.clock
    controller.clock = lambda: original(controller) + 2 * controller.requests  # type: ignore[method-assign]
    assert (await ask(controller)).state == "rejected: its Dates contradict each other"


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("alter", "why"),
    [
        (lambda h: (*h, ("age", "0")), "the reply comes from a cache (Age)"),
        (lambda h: h[:1], "no Date"),
        (lambda h: (*h, h[1]), "more than one Date"),
        (lambda h: (h[0], ("date", "yesterday")), "a Date that is none"),
        (lambda h: (h[0], ("date", "Sun, 06 Nov 1994 08:49:37 +0100")), "a Date that is none"),
        (lambda h: (h[0], ("date", "Sun, 31 Feb 1994 08:49:37 GMT")), "a Date that is none"),
    ],
)
async def test_replies_that_tell_no_time(alter: Callable[[Headers], Headers], why: str) -> None:
    """A cached reply and one without exactly one valid Date are no source, and why is told."""
    controller = Controller()
    controller.alter = alter
    assert await ask(controller) == DateAnswer(state=f"rejected: {why}", address="192.0.2.1")
    assert controller.requests == 1


@pytest.mark.looptime
async def test_next_address() -> None:
    """The first address that answers is taken; when none does, the last failure is told."""
    controller = Controller()
    controller.dead["192.0.2.1"] = NetError(Reason.REFUSED, "Connection refused (ECONNREFUSED)")
    answer = await ask(controller)
    assert (answer.state, answer.address) == ("usable", "192.0.2.2")
    controller.dead["192.0.2.2"] = NetError(Reason.TLS_UNTRUSTED, "self-signed certificate")
    answer = await ask(controller)
    assert answer.state == "rejected: tls_untrusted: self-signed certificate"


@pytest.mark.looptime
async def test_connection_lost() -> None:
    """A connection that breaks after three samples is enough; before that the address is no source."""
    controller = Controller()
    controller.dies_at = 3
    assert (await ask(controller)).samples == 3
    controller = Controller()
    controller.dies_at = 2
    assert (await ask(controller)).state == "rejected: reset: closed"
    assert controller.opened == ["192.0.2.1", "192.0.2.2"]


@pytest.mark.looptime
async def test_connection_closed_after_each_reply() -> None:
    """A server that closes after each reply is asked over new connections."""
    controller = Controller()
    controller.alter = lambda h: (*h, ("connection", "Close"))
    answer = await ask(controller)
    assert answer.state == "usable"
    assert controller.opened == ["192.0.2.1"] * controller.requests


@pytest.mark.looptime
async def test_too_slow() -> None:
    """A Controller that needs seconds for each reply is given up in time, and used when three were had."""
    assert (await ask(Controller(0, 2.0))).state == "usable"
    assert (await ask(Controller(0, 4.5))).state == "rejected: too slow"


@pytest.mark.looptime
async def test_cancelling() -> None:
    """Cancelling at any wait leaves no connection open."""
    asked: list[Controller] = []

    def make() -> Coroutine[Any, Any, DateAnswer]:
        asked.append(Controller())
        return ask(asked[-1])

    assert await check_cancellation(make) >= 8
    assert [c.connections for c in asked] == [0] * len(asked)


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("http://acme.example/", "rejected: not an https URL: anyone on the way could set its Date"),
        ("https://gone.example/", "unresolved: the name does not exist"),
    ],
)
async def test_never_asked(url: str, state: str) -> None:
    """Without TLS or an address nothing is opened."""
    controller = Controller()
    assert (await ask(controller, url)).state == state
    assert controller.opened == []


async def test_no_url() -> None:
    """What is no URL is told, not raised."""
    assert (await ask(Controller(), "acme")).state.startswith("rejected: ")


@given(st.integers(0, 253_402_300_799))
def test_every_date(unix: int) -> None:
    """Every date that a server may send is read to the second."""
    assert read_date((("date", email.utils.formatdate(unix, usegmt=True)),)) == (unix, "")


@given(st.text())
def test_any_text(text: str) -> None:
    """Whatever stands in a Date, reading it never raises."""
    date, why = read_date((("date", text),))
    assert (date is None) is bool(why)
