"""The push: the present truth to every Alertmanager, each served by a worker of its own, and the heartbeat.

What to say is decided in `message` and `truth`, when to say it in `outbox`; `transport` sends, and this wires them.
"""

import asyncio
import math
from collections.abc import Callable
from typing import NoReturn
from urllib.parse import urlsplit

from checks.net.endpoint import Endpoint
from checks.net.seat import Resolver
from checks.net.url import DEFAULT_PORTS, parse_url
from daemon.alert import NO_ALERTS, Alerts, Delivery
from daemon.config.schema import Alerting, Alertmanager, Dns
from daemon.push.heartbeat import Client, Heartbeat
from daemon.push.http import HttpClient
from daemon.push.message import Wording
from daemon.push.transport import HttpTransport, MakeTransport
from daemon.push.truth import Truth
from daemon.push.worker import Pace, Worker
from daemon.vantage.host import host_seat

SHADOW = "none"  # the severity of every alert in shadow mode
JUDGED_S = 60.0  # a daemon that has not looked for so long does not judge: it looks once a second
DRAIN_S = 2.5  # for what is due at the end; with the closing behind it less than 3 s
SHORTEST_RESEND_S = 1.0  # the configuration allows a millisecond, which would be an attack
NAME_S = 2.0  # for one question to one nameserver: within the ten seconds of a request a second one gets its turn


class Push:
    """Delivers alerts. `load` and `publish` need a running loop and never wait; the last ones hold.

    - `identity` returns the labels `connector` and `remote_network`; `wall_clock` Unix seconds.
    - `scraped_lately` tells whether Prometheus has read `/metrics` in the last 5 minutes, or may have before this
      process started: then the end of an alert is told later (see `daemon.push.truth`).
    - `generator_url` returns the address of this daemon's page, None when it has none that others reach.
    - `transport` and `heartbeat_client` are other ways out than HTTP; `resolver` another than this host's own.
    """

    def __init__(
        self,
        *,
        identity: Callable[[], tuple[str, str]],
        wall_clock: Callable[[], float],
        scraped_lately: Callable[[], bool],
        generator_url: Callable[[], str | None],
        transport: MakeTransport | None = None,
        heartbeat_client: Client | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        names = resolver or host_seat(Dns(timeout=NAME_S)).resolver
        self._identity = identity
        self._wall_clock = wall_clock
        self._generator_url = generator_url
        self._transport = transport or (lambda alertmanager: HttpTransport(alertmanager, names))
        self._alerting = Alerting()
        self._pace = Pace(resend_s=self._alerting.resend, generator_url=self._link)
        self._alerts = NO_ALERTS
        self._started_at = wall_clock()
        self._judged_at: float | None = None  # loop time
        self._worded_for: object = None
        self._wording = Wording(("", ""), {}, "")
        self._truth = Truth(scraped_lately)
        self._workers: dict[Alertmanager, Worker] = {}
        self._tasks: dict[Worker, asyncio.Task[None]] = {}
        self._leaving: list[Worker] = []
        self._changed = asyncio.Event()
        self._heartbeat = Heartbeat(
            lambda: self._alerting.heartbeat_url_file,
            lambda: self._pace.resend_s,
            self._judging,
            heartbeat_client or HttpClient(names),
        )

    def load(self, alerting: Alerting) -> None:
        """Take another configuration. An Alertmanager that is still in it goes on as if nothing had happened."""
        self._alerting = alerting
        self._pace.resend_s = max(alerting.resend, SHORTEST_RESEND_S)
        listed = dict.fromkeys(alerting.alertmanagers if alerting.mode == "live" else ())
        for alertmanager in [known for known in self._workers if known not in listed]:
            self._leaving.append(self._workers.pop(alertmanager))
        for alertmanager in listed:
            if alertmanager not in self._workers:
                name = self._free_name(alertmanager)
                transport = self._transport(alertmanager)
                self._workers[alertmanager] = Worker(name, transport, self._pace, self._wall_clock)
        if self._judged_at is not None:
            self._take()
        self._heartbeat.wake()
        self._changed.set()

    def publish(self, alerts: Alerts) -> None:
        """Take the present truth. Call it at every look, changed or not: watchdog and heartbeat say that we look."""
        judging = self._judging()
        self._judged_at = asyncio.get_running_loop().time()
        if not judging:
            self._heartbeat.wake()
        if not judging or alerts.version != self._alerts.version or self._worded_for != self._words():
            self._alerts = alerts
            self._take()
            self._changed.set()

    async def run(self) -> NoReturn:
        """Serve every Alertmanager until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._heartbeat.run(), name="heartbeat")
            while True:
                self._changed.clear()
                await self._staff(group)
                self._distribute()
                await self._rest()

    async def close(self) -> None:
        """Send what is due, for DRAIN_S at most, and leave nothing open; once `run` is cancelled.

        Nothing is called over because we stop.
        """
        until = asyncio.get_running_loop().time() + DRAIN_S
        async with asyncio.TaskGroup() as group:
            for worker in self._workers.values():
                group.create_task(worker.drain(until))
            for worker in self._leaving:
                group.create_task(worker.close())
            group.create_task(self._heartbeat.close())
        self._workers.clear()
        self._leaving.clear()

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        """How it goes with each Alertmanager, in the order of the configuration; nothing in shadow mode."""
        listed = dict.fromkeys(self._alerting.alertmanagers)
        workers = [self._workers[alertmanager] for alertmanager in listed if alertmanager in self._workers]
        return tuple(worker.delivery(self._truth.dropped) for worker in workers)

    def _take(self) -> None:
        """Word the alerts, and hand out what may be told of them."""
        words = self._words()
        if words != self._worded_for:
            self._worded_for = words
            self._wording = Wording(self._identity(), self._alerting.external_labels, self._alerting.runbooks)
        now = asyncio.get_running_loop().time()
        alerts = (*self._alerts.active, *self._alerts.resolved)
        # What shadow mode computed is nobody's page, also while it waits for the first look of live mode.
        messages = self._wording.messages(alert for alert in alerts if alert.key.severity != SHADOW)
        self._truth.publish(messages, now, self._wall_clock())
        self._distribute()

    def _distribute(self) -> None:
        if self._judged_at is None:
            return
        wanted = self._truth.wanted(asyncio.get_running_loop().time())
        if self._judging():
            watchdog = self._wording.watchdog(self._started_at)
            wanted[watchdog.labels] = watchdog
        for worker in self._workers.values():
            worker.want(wanted)

    async def _staff(self, group: asyncio.TaskGroup) -> None:
        """Give each worker its task, and end those of Alertmanagers that are no longer in the configuration."""
        for worker in self._workers.values():
            if worker not in self._tasks:
                self._tasks[worker] = group.create_task(worker.run(), name=f"push to {worker.name}")
        while self._leaving:
            worker = self._leaving[0]
            if worker in self._tasks:
                task = self._tasks.pop(worker)
                task.cancel()
                await asyncio.wait([task])
            await worker.close()
            self._leaving.remove(worker)  # only now: should this be cancelled, `close` does the rest

    async def _rest(self) -> None:
        """Wait for the next change, the end of a silence, or the moment at which nobody has judged for too long."""
        now = asyncio.get_running_loop().time()
        stale_at = self._judged_at + JUDGED_S if self._judged_at is not None and self._judging() else math.inf
        at = min(self._truth.next_at(now), stale_at)
        try:
            async with asyncio.timeout_at(None if at == math.inf else at):
                await self._changed.wait()
        except TimeoutError:
            return

    def _judging(self) -> bool:
        return self._judged_at is not None and asyncio.get_running_loop().time() < self._judged_at + JUDGED_S

    def _words(self) -> object:
        """Return all on which the wording rests, to be compared."""
        return self._identity(), self._alerting.external_labels, self._alerting.runbooks

    def _link(self) -> str | None:
        """Return the link back to us if it is one: an Alertmanager refuses a whole batch for one that is not."""
        url = self._generator_url()
        if url is None:
            return None
        try:
            return str(parse_url(url))
        except ValueError:
            return None

    def _free_name(self, alertmanager: Alertmanager) -> str:
        """Return host:port, with a number behind it when another Alertmanager has the same (under another path)."""
        parts = urlsplit(alertmanager.url)
        name = str(Endpoint(parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme]))
        taken = {worker.name for worker in self._workers.values()}
        number = 1
        while name in taken:
            number += 1
            name = f"{name.partition('#')[0]}#{number}"
        return name
