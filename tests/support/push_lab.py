"""A Push in a running loop, alerts to push, and Alertmanagers that are only remembered."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from daemon.alert import LABELS, Alert, AlertKey, Alerts
from daemon.config.schema import Alerting, Alertmanager
from daemon.moments import rfc3339
from daemon.push.answer import Taken, Verdict, judge
from daemon.push.http import Reply
from daemon.push.push import Push
from daemon.push.transport import Answer

T0 = 1767323045.0
"""The wall clock at loop time 0: 2026-01-02T03:04:05Z."""

GOOD = Reply(status=200)
GONE = Reply(problem="Connection refused (ECONNREFUSED)")


def alert(name: str, starts_at: float = T0, ends_at: float | None = None, **more: Any) -> Alert:  # noqa: ANN401
    """Make an alert; labels and texts by keyword."""
    labels = (
        more.pop("resource", ""), more.pop("address", ""), more.pop("port", ""), more.pop("nameserver", ""),
        more.pop("endpoint", ""),
    )  # fmt: skip
    assert len(labels) == len(LABELS)
    key = AlertKey(name, more.pop("severity", "critical"), labels)
    return Alert(key=key, starts_at=starts_at, ends_at=ends_at, **more)


@dataclass
class Post:
    """One request that carried alerts: when it was made, and what was said."""

    at: float
    alerts: list[dict[str, Any]]

    @property
    def said(self) -> list[tuple[str, bool]]:
        """The names, watchdog left out, and whether each fires."""
        return [
            (one["labels"]["alertname"], one["endsAt"] > rfc3339(T0 + self.at))
            for one in self.alerts
            if one["labels"]["alertname"] != "ConnectorHealthWatchdog"
        ]


@dataclass
class FakeTransport:
    """A way that answers as told: `answer` returns the reply, now; `slow_s` before it comes."""

    answer: Callable[[], Reply] = lambda: GOOD
    slow_s: float = 0.0
    posts: list[Post] = field(default_factory=list)
    tries: list[float] = field(default_factory=list)
    closed: bool = False

    async def post(self, body: bytes) -> Answer:
        """Note what arrived."""
        now = asyncio.get_running_loop().time()
        self.tries.append(now)
        await asyncio.sleep(self.slow_s)
        reply = self.answer()
        verdict = judge(reply)
        alerts = json.loads(body)
        if alerts and verdict.taken is not Taken.NO:
            self.posts.append(Post(now, alerts))
        return Answer(verdict=Verdict(taken=verdict.taken, problem=verdict.problem), reply=reply)

    async def close(self) -> None:
        """Note it."""
        self.closed = True

    def said(self, name: str) -> list[tuple[float, bool]]:
        """Return when it was told of an alert, and whether it was said to fire."""
        return [(post.at, fires) for post in self.posts for one, fires in post.said if one == name]


class Ways:
    """Makes a fake transport for each Alertmanager, and remembers it by URL."""

    def __init__(self, **ready: FakeTransport) -> None:
        self._ready = ready
        self.by_url: dict[str, FakeTransport] = {}

    def __call__(self, alertmanager: Alertmanager) -> FakeTransport:
        name = alertmanager.url.removeprefix("http://")
        return self.by_url.setdefault(name, self._ready.get(name, FakeTransport()))

    def __getitem__(self, name: str) -> FakeTransport:
        return self.by_url[name]


class SilentClient:
    """Hears heartbeats."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.reply = GOOD

    async def ask(self, method: str, url: str) -> Reply:
        """Note it."""
        self.asked.append((method, url))
        return self.reply

    async def close(self) -> None:
        """Do nothing."""


def alerting(*names: str, **more: Any) -> Alerting:  # noqa: ANN401
    """Make a configuration with Alertmanagers of these hosts."""
    return Alerting(alertmanagers=tuple(Alertmanager(url=f"http://{name}") for name in names), **more)


def pushing(ways: Ways | None = None, **more: Any) -> Push:  # noqa: ANN401
    """Make a Push on the running loop's clock."""
    loop = asyncio.get_running_loop()
    settings: dict[str, Any] = {
        "identity": lambda: ("office-1", "Office"),
        "wall_clock": lambda: T0 + loop.time(),
        "scraped_lately": lambda: False,
        "generator_url": lambda: None,
        "transport": ways,
        "heartbeat_client": SilentClient(),
    }
    return Push(**{**settings, **more})


class Judge:
    """Publishes the present truth once a second, as the daemon does."""

    def __init__(self, push: Push) -> None:
        self._push = push
        self._version = 0
        self.now = Alerts()

    def say(self, active: Iterable[Alert] = (), resolved: Iterable[Alert] = ()) -> None:
        """Decide something else, and publish it."""
        self._version += 1
        self.now = Alerts(active=tuple(active), resolved=tuple(resolved), version=self._version)
        self._push.publish(self.now)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await asyncio.sleep(1)
            self._push.publish(self.now)


@contextlib.asynccontextmanager
async def running_push(push: Push, *, judging: bool = True) -> AsyncIterator[Judge]:
    """Run it until the block ends, and close it."""
    judge_ = Judge(push)
    loop = asyncio.get_running_loop()
    tasks: list[asyncio.Task[None]] = [loop.create_task(push.run())]
    if judging:
        tasks.append(loop.create_task(judge_.run()))
    try:
        yield judge_
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await push.close()
    for task in tasks:
        assert task.cancelled(), task.exception()


async def until(at: float) -> None:
    """Sleep until this loop time."""
    await asyncio.sleep(at - asyncio.get_running_loop().time())


async def holds(condition: Callable[[], object]) -> None:
    """Poll until it holds (this waits for another process, or a thread), bounded."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody there can set an event
            await asyncio.sleep(0.01)


def ended(one: Alert, at: float) -> Alert:
    """Return the alert as it is once it has ended at this loop time."""
    return Alert(key=one.key, starts_at=one.starts_at, ends_at=T0 + at)
