"""From what was found to a cause that a person can act on: texts, severity, blast radius, what changed before."""

import shlex
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from functools import partial
from types import MappingProxyType

from daemon.advice import split_action
from daemon.causes import Cause, CauseSeverity, Change
from daemon.diagnosis.case import BREATH, Case
from daemon.diagnosis.found import Found
from daemon.diagnosis.kind import Kind
from daemon.diagnosis.lazy import NAME, PORT, Alone, LazyCause, NameAlone, PortAlone, Texts, alone
from daemon.diagnosis.reading import Reading
from daemon.diagnosis.scene import Scene

RANK: Mapping[CauseSeverity, int] = {"critical": 0, "warning": 1, "info": 2}
BEFORE_S = 300.0  # what changed longer ago than this is rarely why
AFTER_S = 30.0  # a failure is seen at once, a change of routes or files perhaps a moment later
MOST_CHANGES = 5
_UNLESS_TOLD: CauseSeverity = "warning"  # where no Resource stands behind it, or none with a severity of its own


class Words:
    """Writes the causes of one case."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._scene = case.scene
        self._changes = sorted(case.scene.changes, key=lambda change: change.at)
        self._moments = [change.at for change in self._changes]
        self._near: dict[int, tuple[Change, ...]] = {}
        self._severities = case.scene.severities
        self._values = _common_values(case.scene)
        base = case.scene.runbooks
        self._runbooks = {NameAlone: runbook(NAME, NAME.alert, base), PortAlone: runbook(PORT, PORT.alert, base)}

    def cause(self, found: Found, since: float | None) -> Iterator[Cause | None]:
        """Yield None at each pause, then the cause. `since`: Unix seconds, if it was held before."""
        kind, reading_of = found.kind, self._case.reading
        resources: set[str] = set()
        first = float("inf")
        members = [*found.evidence, *found.rows]
        for count, row_id in enumerate(members):
            if count % BREATH == 0:
                yield None
            reading = reading_of(row_id)
            if reading is not None:
                resources.update(reading.result.resources)
                if since is None and (reading.bad or row_id in found.evidence):
                    first = min(first, reading.since)
        begin = since if since is not None else first if first < float("inf") else self._scene.now
        alert = found.alert or kind.alert
        yield LazyCause(
            partial(_texts, found, self._values, self._runtime, len(resources)),
            code=kind.code,
            target=found.target,
            domain=found.domain or kind.domain,
            severity=found.severity or self._worst(resources),
            since=begin,
            evidence=tuple(found.evidence or found.rows),
            explains=tuple(found.rows),
            resources=len(resources),
            changed=self.near(begin) if self._changes else (),
            alert=alert,
            labels=MappingProxyType(found.labels),
            runbook=runbook(kind, alert, self._scene.runbooks),
            ending=found.ending,
        )

    def single(self, reading: Reading, dependents: tuple[str, ...], earlier: Alone | None) -> Alone:
        """Return the cause of a failure that stands alone: the earlier one if it still is right."""
        severity = self.severity_of(reading)
        changed = self.near(reading.since) if self._changes else ()
        if (
            earlier is not None
            and earlier.reading is reading
            and earlier.explains == dependents
            and earlier.severity == severity
            and earlier.changed == changed
        ):
            return earlier
        which = alone(reading)
        return which(reading, severity, dependents, changed, self._runbooks[which])

    def severity_of(self, reading: Reading) -> CauseSeverity:
        """Return the severity of a failure that stands alone: the worst of its Resources'."""
        resources = reading.result.resources
        if len(resources) == 1:
            return self._severities.get(resources[0], _UNLESS_TOLD)
        return self._worst(set(resources))

    def near(self, since: float) -> tuple[Change, ...]:
        """Return what changed shortly before `since`, nearest first."""
        moment = int(since)
        known = self._near.get(moment)
        if known is None:
            begin, end = bisect_left(self._moments, since - BEFORE_S), bisect_right(self._moments, since + AFTER_S)
            nearest = sorted(self._changes[begin:end], key=lambda change: (abs(change.at - moment), change.at))
            known = self._near[moment] = tuple(nearest[:MOST_CHANGES])
        return known

    def _worst(self, resources: set[str]) -> CauseSeverity:
        known = (self._severities.get(name, _UNLESS_TOLD) for name in resources)
        return min(known, key=RANK.__getitem__, default=_UNLESS_TOLD)

    @property
    def _runtime(self) -> str:
        sighting = self._scene.sighting
        return sighting.runtime if sighting is not None and sighting.problem is None and sighting.name else ""


_ENDING = ": it is ending"
_LEFT = " Part of what showed it is well again, and what it explains is being looked at once more."


def _texts(found: Found, common: Mapping[str, object], runtime: str, resources: int) -> Texts:
    """Say what was found, for users of as many Resources."""
    kind = found.kind
    values = {**common, "target": found.target, "quoted": shlex.quote(found.target), **found.values}
    advice = split_action(str(values.get("advice", "")))
    values["advice"] = advice.text
    commands = tuple(command.format_map(values) for command in kind.commands(runtime))
    if "{advice}" in kind.action:
        commands = (*advice.commands, *commands)
    ending = found.ending
    return Texts(
        title=kind.title.format_map(values) + (_ENDING if ending else ""),
        text=kind.text.format_map(values) + _blast(len(found.rows), resources) + (_LEFT if ending else ""),
        action=_with_commands(kind.action.format_map(values), commands),
        possible=(*found.possible, *(line.format_map(values) for line in kind.possible)),
    )


def runbook(kind: Kind, alert: str | None, base: str) -> str:
    """Return where the page about a cause is: its alert's, else that of its reason beside them."""
    base = base.rstrip("/")
    if alert is not None:
        return f"{base}/{alert}.md"
    above = base.rpartition("/")[0]
    return f"{above}/reasons.md#{kind.reason}" if above else f"reasons.md#{kind.reason}"


def _common_values(scene: Scene) -> dict[str, object]:
    """Return what commands need to know of the Connector."""
    sighting = scene.sighting
    if sighting is None:
        return {"enter": "", "docker": "docker", "connector": "", "start": "start", "pid": "PID"}
    return {
        "enter": f"nsenter -t {sighting.pid} -n " if scene.in_connector and sighting.pid else "",
        "docker": f"docker --host {shlex.quote(sighting.engine)}" if sighting.engine else "docker",
        "connector": shlex.quote(sighting.name),
        "start": "unpause" if sighting.status == "paused" else "start",
        "pid": sighting.pid or "PID",
    }


def _with_commands(text: str, commands: tuple[str, ...]) -> str:
    """Append commands in the form that `daemon.advice` takes apart again."""
    listed = " or ".join(f"`{command}`" for command in dict.fromkeys(commands))
    return f"{text} By hand: {listed}".strip() if listed else text


def _blast(rows: int, resources: int) -> str:
    if not rows:
        return ""
    checks = f"{rows:,} check fails or is" if rows == 1 else f"{rows:,} checks fail or are"
    users = "" if not resources else " (1 Resource)" if resources == 1 else f" ({resources:,} Resources)"
    return f" {checks} not asked because of it{users}."
