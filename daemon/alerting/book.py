"""Decides which alerts are active. The rules, in order of weight:

- An alert ends only when its condition is known to be over, in two ticks; what is unknown keeps it as it is (freeze).
- Of one identity (name and labels) one severity is active at most. The next begins in the step in which it ends.
- It fires once its condition has held for the alert's `after` without a break, on a clock that no step moves.
- Nothing fires or ends while this process is starved of time, warms up or stops.
- What has fired often within the hour must have been quiet for longer before it ends.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from checks.model import Json
from daemon.alert import AlertKey, Alerts
from daemon.alerting.conditions import Condition, Identity, find_steps, still_flapping
from daemon.alerting.entry import ROUNDING_S, Entry
from daemon.alerting.fires import Fires
from daemon.alerting.kept import Kept, decode, encode
from daemon.alerting.others import Others
from daemon.alerting.own import STARVED
from daemon.alerting.parents import OF_RESOURCES, must_last_s
from daemon.alerting.severity import RANK, Delays, delays_of
from daemon.alerting.shown import RESOLVED_S, Shown
from daemon.alerting.standing import Standing, Standings
from daemon.config.schema import Alerting
from daemon.slices import Steps, at_once, batches
from daemon.view import View

KEPT_AS = "alerts"  # the key under which the store remembers what `dump` returns
TIDY_S = 60.0
ENTRIES = 50  # looked at between two looks at the clock: each may stand on many rows
NOTHING_BEYOND: Mapping[str, int] = MappingProxyType({})


class AlertBook:
    """Holds what is active and what will be. `clock`: the loop's; `wall_clock` stamps what people see."""

    def __init__(self, wall_clock: Callable[[], float], clock: Callable[[], float]) -> None:
        self._wall_clock, self._clock = wall_clock, clock
        self._entries: dict[Identity, Entry] = {}
        self._fires = Fires()
        self._others = Others()
        self._shown = Shown()
        self._overrides: Mapping[str, float] = {}
        self._delays: dict[str, Delays] = {}
        self._tick = 0
        self._tidied_at = float("-inf")

    @property
    def alerts(self) -> Alerts:
        """What is decided."""
        return self._shown.alerts

    def load(self, alerting: Alerting) -> None:
        """Put another configuration in force: delays count from when a condition began, also if that was before."""
        self._overrides, self._delays = alerting.after, {}
        for entry in self._entries.values():
            entry.delays = self._delays_of(entry.identity[0])

    def decide(self, view: View, *, stopping: bool = False) -> bool:
        """Find what holds now and advance: see `advance`."""
        return at_once(self.decide_steps(view, stopping=stopping))

    def decide_steps(self, view: View, *, stopping: bool = False) -> Steps[bool]:
        """Do the same in steps, once a second, one decision after the other; `alerts` changes with the last step."""
        if stopping:
            return False
        followed = {cause.id for e in self._entries.values() if e.condition for cause in e.condition.causes}
        followed.update(entry.cause for entry in self._entries.values() if entry.cause is not None)
        yield
        found = yield from find_steps(view, followed)
        return (yield from self._advance(found.holding, view, found.beyond))

    def advance(
        self,
        conditions: Mapping[AlertKey, Condition],
        view: View,
        *,
        stopping: bool = False,
        beyond: Mapping[str, int] = NOTHING_BEYOND,
    ) -> bool:
        """Take into account what holds now; return whether what is active or has ended changed.

        `view` is the one of which the conditions were made; its diagnosis must be one of its board. `beyond`: by name,
        how many more hold than are listed. `stopping`: the process ends, nothing is decided.
        """
        return False if stopping else at_once(self._advance(conditions, view, beyond))

    def _advance(self, conditions: Mapping[AlertKey, Condition], view: View, beyond: Mapping[str, int]) -> Steps[bool]:
        now, wall = self._clock(), self._wall_clock()
        self._tick += 1
        yield from self._others.note(view.diagnosis, now)
        step = _Step(view, now, wall)
        for some in batches(list(conditions.values()), ENTRIES):
            for condition in some:
                self._note(condition, step)
            yield
        for batch in batches(list(self._entries.values()), ENTRIES):
            for entry in batch:
                if entry.tick == self._tick or self._look_after(entry, step):
                    self._fire(entry, step)
            yield
        if now - self._tidied_at >= TIDY_S:
            self._tidied_at = now
            yield from self._fires.forget(now)
            yield from self._others.forget(now)
        return (yield from self._shown.publish(self._entries.values(), now, wall, beyond, tick=self._tick))

    def dump(self) -> Json:
        """Return what must survive a restart, under the key KEPT_AS of the store."""
        now, wall = self._clock(), self._wall_clock()
        shown = {alert.key for alert in self.alerts.active}
        active = [
            Kept(entry.told, entry.rank, tuple(wall - (now - at) for at in self._fires.of(entry.told.key, now)))
            for entry in self._entries.values()
            if entry.told is not None and entry.told.key in shown
        ]
        ended = [
            Kept(alert, RANK.get(alert.key.severity, 0), tuple(wall - (now - at) for at in self._fires.of(key, now)))
            for key, (alert, _) in self._shown.ended.items()
        ]
        return encode(active, ended)

    def restore(self, kept: Json) -> None:
        """Bring back what `dump` returned, before the first `advance`. A file may hold anything: what is odd is left.

        Active alerts go on with their old `starts_at` until their rows have reported.
        """
        now, wall = self._clock(), self._wall_clock()
        active, ended = decode(kept, wall)
        for one in active:
            alert, identity = one.alert, (one.alert.key.name, one.alert.key.labels)
            if identity not in self._entries:
                self._entries[identity] = Entry(
                    identity=identity, delays=self._delays_of(identity[0]), rows=alert.rows, cause=alert.cause,
                    key=alert.key, rank=one.rank, starts_at=alert.starts_at, began=now - (wall - alert.starts_at),
                    told=alert,
                )  # fmt: skip
                self._fires.add(alert.key, *(now - (wall - at) for at in one.fires))
        held = {entry.key for entry in self._entries.values()}
        for one in ended:
            alert = one.alert
            if alert.key not in held and alert.ends_at is not None:
                self._shown.end(alert, now + RESOLVED_S - (wall - alert.ends_at))
                self._fires.add(alert.key, *(now - (wall - at) for at in one.fires))
        at_once(self._shown.publish(self._entries.values(), now, wall, NOTHING_BEYOND))

    def _note(self, condition: Condition, step: "_Step") -> None:
        """Note that a condition holds: a new one from when it is confirmed."""
        identity = (condition.key.name, condition.key.labels)
        entry = self._entries.get(identity)
        if entry is None:
            if not step.standings.sure(condition):
                return
            entry = self._entries[identity] = Entry(identity=identity, delays=self._delays_of(identity[0]))
        entry.tick = self._tick
        entry.holds(condition, step.now)

    def _look_after(self, entry: Entry, step: "_Step") -> bool:
        """See to an entry whose condition is not seen; return whether it holds all the same."""
        standing, flap = step.standings.of(*entry.identity, entry.rows, entry.cause)
        own = entry.key is not None or not any(self._others.explained(i, entry.cause, step.now) for i in entry.rows)
        if standing is Standing.FLAPPING and entry.condition is not None and own:
            entry.holds(still_flapping(entry.condition, flap), step.now)
            entry.tick = self._tick
            return True
        if standing is Standing.EXPLAINED and entry.key is None:
            # Not told yet, and now another cause's: should that end before it does, it counts anew.
            del self._entries[entry.identity]
        elif standing is Standing.OVER or (standing is Standing.FLAPPING and not own):
            # The board goes on while a diagnosis is thought about: what it does not name yet, the next one may.
            twice, entry.over_tick = entry.over_tick == self._tick - 1, self._tick
            entry.is_over(step.now)
            self._say_until(entry, step)
            if entry.key is None:
                del self._entries[entry.identity]
            elif twice and step.decides(entry) and self._quiet(entry, entry.key, step.now):
                self._end(entry, step)
                del self._entries[entry.identity]
        return False

    def _fire(self, entry: Entry, step: "_Step") -> None:
        """Begin the alert that is due, in place of the one that is active."""
        rank = entry.due(step.now)
        if rank is None or not step.decides(entry):
            return
        key = entry.key_at(rank)
        if key == entry.key:
            entry.rank = rank
            return
        if not step.confirmed(entry):
            return
        worse = entry.key is None or rank > entry.rank
        if entry.key is None:
            if not step.parents_asked(entry):
                return
            entry.began = step.now
        else:
            same_mode = (key.severity == "none") is (entry.key.severity == "none")
            if same_mode and not worse and not self._quiet(entry, entry.key, step.now):
                return
            self._end(entry, step)
        if worse:  # that it is better now is no new trouble
            self._fires.add(key, step.now)
        entry.key, entry.rank, entry.starts_at = key, rank, step.wall
        entry.told, entry.below_since = None, None
        self._shown.ended.pop(key, None)

    def _say_until(self, entry: Entry, step: "_Step") -> None:
        """Note until when an alert goes on although its condition is over."""
        if entry.key is not None and entry.ends_after is None and entry.below_since is not None:
            quiet_s = self._fires.quiet_s(entry.key, step.now)
            entry.ends_after = step.wall + quiet_s - (step.now - entry.below_since) if quiet_s else None

    def _end(self, entry: Entry, step: "_Step") -> None:
        if entry.told is not None:  # nobody heard of the others
            ended = replace(entry.told, ends_after=None, ends_at=max(step.wall, entry.starts_at))
            self._shown.end(ended, step.now + RESOLVED_S)
        entry.key = entry.told = None

    def _quiet(self, entry: Entry, key: AlertKey, now: float) -> bool:
        """Tell whether the condition of the active alert has been away for long enough."""
        below = entry.below_since
        return below is not None and now - below + ROUNDING_S >= self._fires.quiet_s(key, now)

    def _delays_of(self, name: str) -> Delays:
        if name not in self._delays:
            self._delays[name] = delays_of(name, self._overrides)
        return self._delays[name]


class _Step:
    """One moment, and what may be decided in it."""

    def __init__(self, view: View, now: float, wall: float) -> None:
        self.now, self.wall = now, wall
        self.standings = Standings(view)
        self._ready, self._late = view.engine.ready, view.engine.late
        self._must_last_s = must_last_s(view)

    def decides(self, entry: Entry) -> bool:
        """Tell whether alerts of this name may fire or end now."""
        return self._ready and (not self._late or entry.identity[0] == STARVED)

    def confirmed(self, entry: Entry) -> bool:
        """Tell whether what shows the condition was looked at just now."""
        return entry.condition is not None and self.standings.sure(entry.condition)

    def parents_asked(self, entry: Entry) -> bool:
        """Tell whether what stands before a Resource was asked since this condition arose."""
        arose = entry.since[0]
        return entry.identity[0] not in OF_RESOURCES or (
            arose is not None and self.now - arose + ROUNDING_S >= self._must_last_s
        )
