"""From what was found to a cause that a person can act on: texts, severity, blast radius, what changed before."""

import shlex
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from checks.model import CheckName
from daemon.advice import split_action
from daemon.causes import Cause, CauseSeverity, Change, Domain
from daemon.diagnosis.case import BREATH, Case, Found
from daemon.diagnosis.catalogue import KINDS
from daemon.diagnosis.kind import Kind
from daemon.diagnosis.reading import Reading
from daemon.diagnosis.rules_resource import labels_of
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
        self._values = _common_values(case.scene)

    def cause(self, found: Found, since: float | None) -> Iterator[Cause | None]:
        """Yield None at each pause, then the cause. `since`: Unix seconds, if it was held before."""
        case, kind = self._case, found.kind
        resources: set[str] = set()
        first = float("inf")
        members = [*found.evidence, *found.rows]
        for count, row_id in enumerate(members):
            if count % BREATH == 0:
                yield None
            reading = case.reading(row_id)
            if reading is not None:
                resources.update(reading.resources)
                if since is None and (reading.bad or row_id in found.evidence):
                    first = min(first, reading.since)
        begin = since if since is not None else first if first < float("inf") else self._scene.now
        values = {**self._values, "target": found.target, "quoted": shlex.quote(found.target), **found.values}
        advice = split_action(str(values.get("advice", "")))
        values["advice"] = advice.text
        commands = tuple(command.format_map(values) for command in kind.commands(self._runtime))
        if "{advice}" in kind.action:
            commands = (*advice.commands, *commands)
        alert = found.alert or kind.alert
        yield Cause(
            code=kind.code,
            target=found.target,
            domain=found.domain or kind.domain,
            severity=found.severity or self._worst(resources),
            title=kind.title.format_map(values),
            text=kind.text.format_map(values) + _blast(len(found.rows), len(resources)),
            action=_with_commands(kind.action.format_map(values), commands),
            since=begin,
            evidence=tuple(found.evidence or found.rows),
            explains=tuple(found.rows),
            resources=len(resources),
            possible=(*found.possible, *(line.format_map(values) for line in kind.possible)),
            changed=self.near(begin),
            alert=alert,
            labels=MappingProxyType(dict(found.labels)),
            runbook=runbook(kind, alert, self._scene.runbooks),
        )

    def single(self, reading: Reading, dependents: tuple[str, ...]) -> Cause:
        """Return the cause of a failure that stands alone: its texts are the row's own. Made for thousands."""
        outcome = reading.outcome
        by_name = reading.unresolved or reading.check is CheckName.DNS
        kind = _NAME if by_name else _PORT
        target, since = reading.result.target, reading.since
        return Cause(
            code=kind.code,
            target=target,
            domain=Domain.RESOURCE,
            severity=self.severity_of(reading),
            title=f"{target} does not resolve" if by_name else f"{target} does not accept connections",
            text=f"{outcome.summary}. {_DNS_EVENT if by_name else _CONNECT_EVENT}",
            action=outcome.action,
            since=since,
            evidence=(reading.id,),
            explains=dependents,
            resources=len(reading.resources),
            changed=self.near(since) if self._changes else (),
            alert=kind.alert,
            labels=labels_of(self._case, reading),
            runbook=self._runbooks[by_name],
        )

    def severity_of(self, reading: Reading) -> CauseSeverity:
        """Return the severity of a failure that stands alone: the worst of its Resources'."""
        resources = reading.resources
        if len(resources) == 1:
            return self._scene.severities.get(resources[0], _UNLESS_TOLD)
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
        known = (self._scene.severities.get(name, _UNLESS_TOLD) for name in resources)
        return min(known, key=RANK.__getitem__, default=_UNLESS_TOLD)

    @property
    def _runtime(self) -> str:
        sighting = self._scene.sighting
        return sighting.runtime if sighting is not None and sighting.problem is None and sighting.name else ""

    @property
    def _runbooks(self) -> tuple[str, str]:
        base = self._scene.runbooks
        return runbook(_PORT, _PORT.alert, base), runbook(_NAME, _NAME.alert, base)


_NAME, _PORT = KINDS["NameFails"], KINDS["PortFails"]
_DNS_EVENT = "Users of it get a DNS lookup error."
_CONNECT_EVENT = 'Users of it get "Unable to connect".'


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
