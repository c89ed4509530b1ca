"""Plants faults by the clock, watches who is told what, and judges it: one page, one "resolved", nothing else."""

import contextlib
import http.client
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.acceptance.faults import FAULTS
from tests.acceptance.hub import Desk, Hub
from tests.acceptance.place import PORT, Place
from tests.support.webhook import Notification

READY_S = 180.0
POLL_S = 2.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long each part lasts, in seconds.

    - `settle`: every check has reported twice, and Prometheus has seen every daemon, before anything is planted.
    - `hold`: how long a fault stays. The slowest alert waits 5 minutes, and pages 2 to 3 minutes later.
    - `beyond`: how long is watched after it was mended, at least; `limit`: at most, while something is still open.
      What flaps must have been quiet for a while before it ends.
    """

    settle: float = 150.0
    hold: float = 600.0
    beyond: float = 600.0
    limit: float = 1800.0


@dataclass(slots=True, kw_only=True)
class Event:
    """Something that is done to a place at a moment, in seconds after the settling."""

    at: float
    place: Place
    plant: bool


@dataclass(slots=True)
class Story:
    """When a place's fault was first planted and last mended, by the monotonic clock."""

    planted: float | None = None
    mended: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one carrier told of one scenario. Durations in seconds, None: it did not happen."""

    scenario: str
    carrier: str
    pages: int
    resolved: int
    paged_after: float | None
    resolved_after: float | None
    infos: int
    problems: tuple[str, ...]


def events(place: Place, times: Times) -> Iterator[Event]:
    """Return what is done to a place: a fault that stays, or one that comes and goes for the same time."""
    scenario, now = place.scenario, 0.0
    down_s = scenario.down_s or times.hold
    while now < times.hold:
        yield Event(at=now, place=place, plant=True)
        now += down_s
        yield Event(at=now, place=place, plant=False)
        now += scenario.up_s


@dataclass(slots=True, kw_only=True)
class Watch:
    """One run over all places."""

    hub: Hub
    places: Sequence[Place]
    times: Times
    say: Say
    stories: dict[str, Story] = field(default_factory=dict)

    def run(self) -> list[Verdict]:
        """Wait until all is well, plant, mend, watch, judge."""
        self._until_ready()
        self.say(f"every daemon is ready; settling for {self.times.settle:.0f} s")
        time.sleep(self.times.settle)
        early = [one for one in self.hub.hook.received() if not one.path.endswith("/watchdog")]
        self._go_through(sorted((e for p in self.places for e in events(p, self.times)), key=lambda event: event.at))
        self._watch_on()
        verdicts = [self._judge(place, desk) for place in self.places for desk in self.hub.desks.values()]
        for problem in (*self.hub.problems(), *self._strays(early)):
            self.say(f"problem: {problem}")
        return verdicts

    def _until_ready(self) -> None:
        end = time.monotonic() + READY_S
        for place in self.places:
            for number, desk in enumerate(self.hub.desks.values(), PORT):
                while not self._ready(place.address, number):
                    if place.daemons[desk.carrier.name].poll() is not None or time.monotonic() > end:
                        log = (place.folder / desk.carrier.name / "log").read_text(errors="replace")
                        raise SystemExit(f"{place.connector(desk)} is not ready:\n{log}")
                    time.sleep(POLL_S)

    def _ready(self, host: str, port: int) -> bool:
        with self.hub.inside.entered(), contextlib.suppress(OSError):
            connection = http.client.HTTPConnection(host, port, timeout=5)
            with contextlib.closing(connection):
                connection.request("GET", "/-/ready")
                return connection.getresponse().status == http.HTTPStatus.OK
        return False

    def _go_through(self, todo: Sequence[Event]) -> None:
        began = time.monotonic()
        for event in todo:
            time.sleep(max(0.0, began + event.at - time.monotonic()))
            scenario = event.place.scenario
            story = self.stories.setdefault(scenario.name, Story())
            if event.plant:
                FAULTS[scenario.fault].plant(event.place)
                story.planted = story.planted or time.monotonic()
            else:
                FAULTS[scenario.fault].mend(event.place)
                story.mended = time.monotonic()
            self.say(f"{'planted' if event.plant else 'mended'}: {scenario.name}")

    def _watch_on(self) -> None:
        mended, open_ones = time.monotonic(), list[str]()
        while (passed := time.monotonic() - mended) < self.times.limit:
            open_ones = [
                place.connector(desk) for place in self.places for desk in self.hub.desks.values()
                if len(self._told(place, desk, "firing")) > len(self._told(place, desk, "resolved"))
            ]  # fmt: skip
            if passed >= self.times.beyond and not open_ones:
                return
            time.sleep(POLL_S)
        self.say(f"still open: {' '.join(open_ones) or 'none'}")

    def _told(self, place: Place, desk: Desk, status: str, receiver: str = "oncall") -> list[Notification]:
        return self.hub.hook.received(desk.path(receiver), status, connector=place.connector(desk))

    def _judge(self, place: Place, desk: Desk) -> Verdict:
        pages, resolved = (self._told(place, desk, status) for status in ("firing", "resolved"))
        story, name = self.stories[place.scenario.name], place.connector(desk)
        wanted = {**place.scenario.page, **desk.carrier.external, "connector": name, "remote_network": name}
        problems = [f"{len(pages)} pages"] if len(pages) != 1 else []
        problems += [f"{len(resolved)} resolved"] if len(resolved) != 1 else []
        for page in pages:
            problems += [f"paged {labels}" for labels in page.firing if labels != wanted]
        if pages and story.planted and pages[0].at < story.planted:
            problems.append("paged before the fault")
        if resolved and story.mended and resolved[0].at < story.mended:
            problems.append("resolved before it was mended")
        return Verdict(
            scenario=place.scenario.name, carrier=desk.carrier.name, pages=len(pages), resolved=len(resolved),
            paged_after=pages[0].at - story.planted if pages and story.planted else None,
            resolved_after=resolved[-1].at - story.mended if resolved and story.mended else None,
            infos=len(self._told(place, desk, "firing", "info")), problems=tuple(problems),
        )  # fmt: skip

    def _strays(self, early: Sequence[Notification]) -> Iterator[str]:
        """Yield what was told before anything was planted, and what was told of nobody that we know."""
        for one in early:
            yield f"before any fault: {one.path} {one.status} {dict(one.group)}"
        names = {place.connector(desk) for place in self.places for desk in self.hub.desks.values()}
        for one in self.hub.hook.received():
            if not any(alert["labels"].get("connector") in names for alert in one.alerts):
                yield f"stray: {one.path} {one.status} {dict(one.group)}"


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a table for people."""

    def seconds(value: float | None) -> str:
        return "-" if value is None else f"{value:.0f} s"

    lines = [f"{'scenario':16}{'carrier':9}{'pages':>6}{'after':>8}{'resolved':>10}{'after':>8}{'infos':>7}  verdict"]
    lines += [
        f"{one.scenario:16}{one.carrier:9}{one.pages:>6}{seconds(one.paged_after):>8}{one.resolved:>10}"
        f"{seconds(one.resolved_after):>8}{one.infos:>7}  {'; '.join(one.problems) or 'ok'}"
        for one in verdicts
    ]
    return "\n".join(lines)
