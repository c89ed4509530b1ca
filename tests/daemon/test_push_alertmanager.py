"""Real Alertmanagers 0.25: what they make of what is pushed, alone and beside a Prometheus that says the same."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daemon.alert import Alert
from daemon.config.schema import Alerting, Alertmanager
from daemon.metrics.notifications import notification_families
from daemon.moments import rfc3339
from daemon.push.answer import Taken
from daemon.push.message import Instant, Wording, body
from daemon.push.outbox import Outbox
from daemon.push.transport import HttpTransport
from daemon.push.truth import Truth
from tests.support.alertmanager import RealAlertmanager, alertmanager, webhook_config
from tests.support.exposed import series_of, values
from tests.support.fakes import FakeResolver
from tests.support.peers import scripted
from tests.support.push_lab import Judge, alert, holds, pushing, running_push
from tests.support.views import Stage

WATCHDOG = "ConnectorHealthWatchdog"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealAlertmanager, RealAlertmanager]]:
    """Run two, the second under a path prefix."""
    folder = tmp_path_factory.mktemp("alertmanagers")
    with alertmanager(folder / "a") as first, alertmanager(folder / "b", prefix="/am") as second:
        yield first, second


@contextlib.asynccontextmanager
async def live(*managers: RealAlertmanager, connector: str) -> AsyncIterator[tuple[Judge, Any]]:
    """Push to these, as a Connector that no other test is."""
    push = pushing(None, wall_clock=time.time, identity=lambda: (connector, "Office"))  # noqa: TID251 - theirs is real
    addresses = tuple(Alertmanager(url=one.url) for one in managers)
    push.load(Alerting(alertmanagers=addresses, resend=1.0, external_labels={"site": "north"}))
    async with running_push(push) as judge:
        yield judge, push


def mine(manager: RealAlertmanager, connector: str) -> dict[str, dict[str, Any]]:
    """Return what it holds for one Connector, by name."""
    return {one["labels"]["alertname"]: one for one in manager.alerts() if one["labels"]["connector"] == connector}


def just_now() -> float:
    """Return the wall clock in whole milliseconds, as it goes over the wire."""
    return int(time.time() * 1000) / 1000  # noqa: TID251 - compared with another process


async def test_both_hear_everything(pair: tuple[RealAlertmanager, RealAlertmanager]) -> None:
    """Both hold each alert with its labels, texts and start over several resends; its end is taken at once."""
    start = just_now() - 3600
    down = alert(
        "ConnectorUnableToConnect", start, resource="Orders DB", address="db.corp", port="5432", severity="warning",
        summary="Orders DB refuses", action="Start it",
    )  # fmt: skip
    async with live(*pair, connector="both") as (judge, push):
        judge.say([down])
        await holds(lambda: all(down.key.name in mine(one, "both") for one in pair))
        first = [mine(one, "both")[down.key.name]["updatedAt"] for one in pair]
        await holds(
            lambda: all(mine(one, "both")[down.key.name]["updatedAt"] > at for one, at in zip(pair, first, strict=True))
        )
        for one in pair:
            held = mine(one, "both")
            assert held.keys() == {down.key.name, WATCHDOG}
            assert held[down.key.name]["startsAt"] == rfc3339(start)
            assert held[down.key.name]["labels"] == {
                "alertname": "ConnectorUnableToConnect", "severity": "warning", "connector": "both",
                "remote_network": "Office", "resource": "Orders DB", "address": "db.corp", "port": "5432",
                "site": "north",
            }  # fmt: skip
            assert held[down.key.name]["annotations"] == {
                "summary": "Orders DB refuses", "action": "Start it",
                "runbook_url": "docs/runbooks/ConnectorUnableToConnect.md",
            }  # fmt: skip
        judge.say([], [Alert(key=down.key, starts_at=start, ends_at=just_now())])
        await holds(lambda: all(mine(one, "both").keys() == {WATCHDOG} for one in pair))
        stage = Stage([])
        view = stage.view()
        object.__setattr__(view, "deliveries", push.deliveries)
        found = series_of(notification_families(view))
    for one in pair:
        labels = (("alertmanager", one.name),)
        assert values(found, "notifications_sent_total")[labels] >= 5
        assert values(found, "notifications_errors_total")[labels] == 0
        assert values(found, "notifications_dropped_total")[labels] == 0
        assert values(found, "notifications_queue_length")[labels] == 0


async def test_one_that_was_restarted_gets_the_truth(pair: tuple[RealAlertmanager, RealAlertmanager]) -> None:
    """An Alertmanager that forgot everything is told the present truth, old start included; the other hears no less."""
    start = just_now() - 60
    first, second = pair
    async with live(first, second, connector="restart") as (judge, push):
        judge.say([alert("ConnectorDown", start)])
        await holds(lambda: all("ConnectorDown" in mine(one, "restart") for one in pair))
        first.stop()
        judge.say([alert("ConnectorDown", start), alert("ConnectorClockSkew", start)])
        await holds(lambda: "ConnectorClockSkew" in mine(second, "restart"))
        await holds(lambda: push.deliveries[0].failing_since is not None)
        assert push.deliveries[0].problem == "Connection refused (ECONNREFUSED)"
        assert push.deliveries[0].queue_length > 0
        first.start()
        await holds(lambda: mine(first, "restart").keys() == {"ConnectorDown", "ConnectorClockSkew", WATCHDOG})
        await holds(lambda: push.deliveries[0].failing_since is None)
    assert mine(first, "restart")["ConnectorDown"]["startsAt"] == rfc3339(start)
    assert mine(second, "restart").keys() == {"ConnectorDown", "ConnectorClockSkew", WATCHDOG}, "the end ends nothing"


async def test_a_restart_of_ours_is_not_seen(pair: tuple[RealAlertmanager, RealAlertmanager]) -> None:
    """After a restart of the daemon the same alert goes on with its old start."""
    start = just_now() - 60
    for _ in range(2):
        async with live(*pair, connector="again") as (judge, push):
            judge.say([alert("ConnectorDown", start)])
            await holds(lambda push=push: all(one.sent and not one.queue_length for one in push.deliveries))  # type: ignore[misc]
            assert {mine(one, "again")["ConnectorDown"]["startsAt"] for one in pair} == {rfc3339(start)}


async def test_one_invalid_alert_among_valid_ones(pair: tuple[RealAlertmanager, RealAlertmanager]) -> None:
    """It stores the valid alerts of a batch and answers 400: known as that, and not as a failure of all."""
    transport = HttpTransport(Alertmanager(url=pair[0].url), FakeResolver())
    now = just_now()
    good = {"labels": {"alertname": "ConnectorDown", "connector": "invalid"}, "endsAt": rfc3339(now + 60)}
    bad = {"labels": {"alertname": "ConnectorDown", "not-a-name": "x"}, "endsAt": rfc3339(now + 60)}
    answer = await transport.post(json.dumps([good, bad]).encode())
    empty = await transport.post(b"[]")
    await transport.close()
    assert answer.verdict.taken is Taken.PARTLY
    assert answer.verdict.problem.startswith("it refuses some of the alerts (400): invalid label set")
    assert "ConnectorDown" in mine(pair[0], "invalid")
    assert empty.verdict.taken is Taken.YES
    assert empty.reply.date == pytest.approx(now, abs=5)


@dataclass
class Beside:
    """We and a Prometheus that tell one Alertmanager of the same alert, and a receiver that is told by it.

    Minutes pass for us as the test says; the Alertmanager's own clock is the real one.
    """

    manager: RealAlertmanager
    transport: HttpTransport
    told: list[str]
    scraped: bool
    start: float = field(default_factory=lambda: just_now() - 30)
    over: float | None = None

    def __post_init__(self) -> None:
        self._wording = Wording(("merge", "Office"), {}, "r")
        self._truth = Truth(lambda: self.scraped)
        self._box = Outbox(60.0, 0.0)

    async def we(self, minute: float) -> None:
        """Do what we do at this minute."""
        now = minute * 60.0
        self._truth.publish(self._wording.messages([alert("ConnectorDown", self.start, self.over)]), now, just_now())
        self._box.want(self._truth.wanted(now))
        if batch := self._box.take(now):
            await self._send(body(batch, Instant(ours=just_now()), 60.0, None))
            self._box.delivered(batch)

    async def prometheus(self, *, over: bool = False) -> None:
        """Say what the shipped rules would, as Prometheus does: it began to fire there a little later."""
        messages = Wording(("merge", "Office"), {}, "r").messages(
            [alert("ConnectorDown", self.start + 10, just_now() if over else None)]
        )
        await self._send(body(messages, Instant(ours=just_now()), 60.0, "http://prometheus.example.com/"))

    async def _send(self, content: bytes) -> None:
        assert (await self.transport.post(content)).verdict.taken is Taken.YES


@contextlib.asynccontextmanager
async def beside(folder: Path, *, scraped: bool) -> AsyncIterator[Beside]:
    """Set the scene: the alert fires on both, and one page went out."""
    told: list[str] = []

    async def hook(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        said = json.loads(await reader.readexactly(length))
        told.append(f"{said['status']} {len(said['alerts'])}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()

    async with scripted(hook) as port:
        with alertmanager(folder, webhook_config(f"http://127.0.0.1:{port}/")) as manager:
            transport = HttpTransport(Alertmanager(url=manager.url), FakeResolver())
            both = Beside(manager, transport, told, scraped)
            await both.we(0)
            await both.prometheus()
            await holds(lambda: told == ["firing 1"])
            try:
                yield both
            finally:
                await transport.close()


async def test_one_page_and_one_end_beside_prometheus(tmp_path: Path) -> None:
    """Prometheus sees the end minutes after us: it is told once, and the alert never begins anew."""
    async with beside(tmp_path, scraped=True) as both:
        for minute in range(1, 10):
            if minute == 2:
                both.over = just_now()
            await both.we(minute)
            await both.prometheus(over=minute >= 6)
            await asyncio.sleep(0.2)  # the Alertmanager looks twice
            if minute < 6:
                assert both.manager.firing() == {"ConnectorDown": rfc3339(both.start)}, minute
            else:
                assert not both.manager.firing(), minute
    assert both.told == ["firing 1", "resolved 1"]


async def test_why_the_end_must_wait_for_prometheus(tmp_path: Path) -> None:
    """Were the end told at once, a Prometheus that has not seen it yet would have somebody paged again."""
    async with beside(tmp_path, scraped=False) as both:
        both.over = just_now()
        await both.we(1)
        await holds(lambda: both.told[1:] == ["resolved 1"])
        await both.prometheus()
        await holds(lambda: both.told[2:] == ["firing 1"])
