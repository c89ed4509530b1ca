"""The judge: one look a second, decisions written down before anybody hears of them, and what our log says of it."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import pytest

from checks.model import Json, Reason, Status
from daemon.alert import NO_ALERTS, Alert, AlertKey, Alerts
from daemon.alerting.book import KEPT_AS
from daemon.causes import Cause, Diagnosis, Domain
from daemon.config.schema import Alerting, Config, Resource
from daemon.insight import Memory
from daemon.judge import LONGEST_TICK_S, REST, SAVE_S, TICK_S, Judge, Surroundings
from daemon.state import State, Transition
from daemon.telling import MAX_LINES, MINUTE_S, Teller
from daemon.view import EngineFigures, View
from tests.support.views import Stage, tcp_job

ROW = "tcp:10.9.8.7:443"
ALERTING = Alerting(after={"ConnectorUnableToConnect": 0.0})


class Bench:
    """One Resource on a board, a memory, and everything that was heard, in order."""

    def __init__(
        self,
        *,
        held: Json = None,
        save: Callable[[], Awaitable[None]] | None = None,
        heard: Callable[[Alerts], None] | None = None,
    ) -> None:
        resource = Resource(name="A", address="10.9.8.7")
        config = Config(resources=(resource,), alerting=ALERTING)
        self.stage = Stage([tcp_job("10.9.8.7", 443, "A")], [resource], config)
        self.heard: list[str] = []
        self.kept: dict[str, Json] = {KEPT_AS: held}
        around = Surroundings(
            network=lambda: ((), frozenset()),
            memory=Memory(self.kept.get, self._remember),
            save=save or self._save,
            publish=heard or self._publish,
            teller=Teller(asyncio.get_running_loop().time),
        )
        self.judge = Judge(ALERTING, self.view, around)

    def view(self) -> View:
        """Return the present moment, ready."""
        engine = EngineFigures(connector="office-1", ready=True)
        return View(config=self.stage.config, plan=self.stage.plan, board=self.stage.board, engine=engine)

    def _remember(self, key: str, value: Json) -> None:
        self.kept[key] = json.loads(json.dumps(value, default=dict))
        self.heard.append("remembered")

    async def _save(self) -> None:
        self.heard.append("saved")

    def _publish(self, alerts: Alerts) -> None:
        self.heard.append(f"published {len(alerts.active)}")

    def fail(self) -> None:
        """Let the port fail, confirmed."""
        self.stage.see(ROW, Status.CRITICAL, Reason.REFUSED, times=2)


@pytest.mark.looptime
async def test_written_down_before_it_is_heard() -> None:
    """An alert is remembered and saved before it is published: a kill in between costs nobody a second page."""
    bench = Bench()
    bench.fail()
    await _until(bench, "published 1")
    assert bench.heard[-3:] == ["remembered", "saved", "published 1"]
    (alert,) = bench.judge.alerts.active
    assert alert.key.name == "ConnectorUnableToConnect"


@pytest.mark.looptime
async def test_a_disk_that_hangs_holds_up_no_alert() -> None:
    """A store that never answers costs a second, not the page."""
    bench = Bench(save=lambda: asyncio.sleep(3600))
    bench.fail()
    await _until(bench, "published 1")
    assert asyncio.get_running_loop().time() < 10 + SAVE_S


@pytest.mark.looptime
async def test_an_older_past_does_not_come_back() -> None:
    """What is true now is written at the first look, changed or not: a store that opens late still holds the old."""
    bench = Bench()
    await bench.judge.tick()
    await bench.judge.tick()
    assert bench.heard == ["remembered", "saved", "published 0", "published 0"]


@pytest.mark.looptime
async def test_restored_before_the_first_look() -> None:
    """What an earlier process had raised is published at once, begun when it began."""
    first = Bench()
    first.fail()
    await _until(first, "published 1")
    second = Bench(held=first.kept[KEPT_AS])
    second.judge.restore()
    assert second.heard == ["published 1"]
    assert [a.starts_at for a in second.judge.alerts.active] == [a.starts_at for a in first.judge.alerts.active]


async def _until(bench: Bench, word: str) -> None:
    for _ in range(200):
        if word in bench.heard:
            return
        await bench.judge.tick()
        await asyncio.sleep(1)
    pytest.fail(f"never {word}: {bench.heard[-5:]}")


def _failed(number: int) -> Transition:
    return Transition(id=f"tcp:10.9.0.{number}:443", before=State.PENDING, after=State.FAILING, at=0.0)


def test_one_fault_is_not_800_lines(caplog: pytest.LogCaptureFixture) -> None:
    """Of many rows that change alike our log names a few, says that there are more, and how many a minute later."""
    now = 0.0
    teller = Teller(lambda: now)
    stage = Stage([tcp_job(f"10.9.0.{n}", 443, "A") for n in range(250)], [Resource(name="A", address="10.9.0.0/24")])
    with caplog.at_level(logging.INFO, "connector_health.changes"):
        for n in range(250):
            stage.see(f"tcp:10.9.0.{n}:443", Status.CRITICAL, Reason.TIMEOUT)
            teller.change(_failed(n), stage.board.rows[_failed(n).id])
        assert len(caplog.messages) == MAX_LINES + 1
        now = MINUTE_S
        teller.change(_failed(0), stage.board.rows[_failed(0).id])
    assert "230 more than were written here" in caplog.messages[-2]


def test_causes_and_alerts_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A cause is told when it begins and when it is over, and so is an alert; one that repeats its row is not."""
    teller = Teller(lambda: 0.0)
    down = Cause(
        code="NameserverDown", target="10.0.0.2", domain=Domain.RESOLVER, severity="critical", title="gone", text="",
        action="", since=0.0, evidence=("resolver:10.0.0.2",), explains=("dns:a",), resources=1,
    )  # fmt: skip
    alone = replace(down, code="PortFails", explains=())
    diagnosis = Diagnosis(causes=(down, alone))
    alert = Alert(key=AlertKey("ConnectorNameserverDown", "critical", ("", "", "", "10.0.0.2", "")), starts_at=0.0)
    raised = Alerts(active=(alert,), version=1)
    with caplog.at_level(logging.INFO, "connector_health.changes"):
        teller.causes(Diagnosis(), diagnosis)
        teller.causes(diagnosis, replace(diagnosis, causes=(down,)))
        teller.alerts(NO_ALERTS, raised)
        teller.alerts(raised, raised)
        teller.causes(diagnosis, Diagnosis())
        teller.alerts(raised, Alerts(version=2))
    assert caplog.messages == [
        "cause NameserverDown:10.0.0.2: gone; explains 1 rows, 1 Resources",
        "alert fires: ConnectorNameserverDown (critical) 10.0.0.2: ",
        "cause NameserverDown:10.0.0.2 is over",
        "alert ended: ConnectorNameserverDown (critical) 10.0.0.2",
    ]


def test_starvation_is_told_as_long_as_it_changes_something(caplog: pytest.LogCaptureFixture) -> None:
    """Who wonders why no alert came finds in the log from when to when none was decided."""
    teller = Teller(lambda: 0.0)
    with caplog.at_level(logging.INFO, "connector_health.changes"):
        for starved in (False, True, True, False, False):
            engine = EngineFigures(connector="x", starved=starved, event_loop_lag_s=0.4, strain="700 of 1000 ports")
            teller.starved(engine.starved_of)
        teller.starved(EngineFigures(connector="x", starved=True, strain="950 of 1000 ports").starved_of)
    assert [message.partition(":")[0] for message in caplog.messages] == [
        "starved of CPU (the event loop was 0.4 s late)",
        "no longer starved",
        "starved of connections (950 of 1000 ports)",
    ]


def _note_time(times: list[float], _: Alerts) -> None:
    times.append(asyncio.get_running_loop().time())


@pytest.mark.looptime
async def test_a_look_that_takes_long_is_followed_by_a_rest() -> None:
    """The judge takes no more than a thirteenth of the time, but never waits longer than a few seconds."""
    loop = asyncio.get_running_loop()
    for took, rest in ((0.05, TICK_S), (0.2, REST * 0.2), (0.9, LONGEST_TICK_S)):
        times: list[float] = []
        # The first look writes, the others have no reason to.
        bench = Bench(save=partial(asyncio.sleep, took), heard=partial(_note_time, times))
        task = loop.create_task(bench.judge.run())
        await asyncio.sleep(10)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert times[1] - times[0] == pytest.approx(rest, abs=1e-3)
        assert times[2] - times[1] == pytest.approx(TICK_S, abs=1e-3)
