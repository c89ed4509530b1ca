"""One Alertmanager: its outbox, the way to it, and how it went. It waits for no other."""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from daemon.alert import Delivery
from daemon.push.answer import PeerClock, Taken, Verdict
from daemon.push.message import Instant, Message, body
from daemon.push.outbox import Outbox
from daemon.push.transport import Transport
from daemon.push.truth import Wanted

log = logging.getLogger("connector_health.push")


REFUSED_RESENDS = 1.5  # what was refused is sent again after one: only then is it known to be taken


@dataclass(slots=True)
class Pace:
    """What all workers share and a reload may change: seconds between resends, and the link back to this daemon."""

    resend_s: float
    generator_url: Callable[[], str | None]


class Worker:
    """Tells one Alertmanager what is wanted. `name` is host:port."""

    def __init__(self, name: str, transport: Transport, pace: Pace, wall_clock: Callable[[], float]) -> None:
        self.name = name
        self._transport = transport
        self._pace = pace
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox(pace.resend_s, self._loop.time())
        self._clock = PeerClock()
        self._woken = asyncio.Event()
        self._sent = self._errors = 0
        self._failing_since: float | None = None
        self._problem = ""
        self._refused_at = -math.inf
        self._told_of: set[str] = set()  # kinds of trouble that were logged since all was well

    def delivery(self, dropped: int) -> Delivery:
        """Return how it goes."""
        return Delivery(
            name=self.name,
            sent=self._sent,
            errors=self._errors,
            dropped=dropped,
            queue_length=self._outbox.queue_length,
            failing_since=self._failing_since,
            problem=self._problem,
        )

    def want(self, wanted: Wanted) -> None:
        """Take what is to be known from now on; never blocks."""
        self._outbox.set_resend(self._pace.resend_s, self._loop.time())
        self._outbox.want(wanted)
        self._woken.set()

    async def run(self) -> NoReturn:
        """Send what is due, until cancelled."""
        while True:
            batch = self._outbox.take(self._loop.time())
            if batch:
                await self._send(batch)
            else:
                await self._rest()

    async def drain(self, until: float) -> None:
        """Send what waits, until this loop time or the first failure, and close the way."""
        try:
            async with asyncio.timeout_at(until):
                while batch := self._outbox.waiting():
                    if not await self._send(batch):
                        break
        except TimeoutError:
            pass
        finally:
            await self._transport.close()
        if left := self._outbox.queue_length:
            log.warning("%s: %d alerts were not delivered before the end", self.name, left)

    async def close(self) -> None:
        """Close the way without sending anything."""
        await self._transport.close()

    async def _rest(self) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout_at(self._outbox.next_at()):
                await self._woken.wait()
        except TimeoutError:
            return

    async def _send(self, batch: tuple[Message, ...]) -> bool:
        """Send one batch; tell whether it was taken, if only in part."""
        verdict = await self._greet() or await self._post(batch)
        now = self._loop.time()
        self._sent += len(batch)
        if verdict.taken is not Taken.YES:
            self._errors += len(batch)  # which of them were refused is not said
        if verdict.taken is Taken.NO:
            self._outbox.failed(batch, now)
        else:
            self._outbox.delivered(batch)
        self._note(verdict, now)
        return verdict.taken is not Taken.NO

    async def _greet(self) -> Verdict | None:
        """Ask for the time there before anything is said, by a request without alerts; return why that failed.

        With a clock that is behind, what fires would arrive as over, and be taken for resolved.
        """
        if self._clock.known:
            return None
        answer = await self._transport.post(b"[]")
        self._clock.heard(answer.reply, self._loop.time())
        return answer.verdict if answer.verdict.taken is Taken.NO else None

    async def _post(self, batch: tuple[Message, ...]) -> Verdict:
        ours = self._wall_clock()
        ahead_s = self._clock.ahead_s(self._loop.time(), ours)
        instant = Instant(ours=ours, theirs=None if ahead_s is None else ours + ahead_s)
        answer = await self._transport.post(body(batch, instant, self._pace.resend_s, self._pace.generator_url()))
        self._clock.heard(answer.reply, self._loop.time())
        return answer.verdict

    def _note(self, verdict: Verdict, now: float) -> None:
        if verdict.taken is Taken.PARTLY:
            self._refused_at = now
        if verdict.taken is not Taken.YES:
            self._trouble(verdict.problem)
        elif self._failing_since is not None and now - self._refused_at > REFUSED_RESENDS * self._pace.resend_s:
            self._failing_since = None
            self._problem = ""
            self._told_of.clear()
            log.info("Alertmanager %s takes alerts again", self.name)

    def _trouble(self, problem: str) -> None:
        self._failing_since = self._wall_clock() if self._failing_since is None else self._failing_since
        self._problem = problem
        kind = problem.partition(":")[0]  # what stands behind it are the peer's words: they may differ each time
        if kind not in self._told_of:
            self._told_of.add(kind)
            log.warning("Alertmanager %s: %s; alerts are kept for it and sent again", self.name, problem)
