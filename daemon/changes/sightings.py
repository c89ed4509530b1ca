"""What changed between two looks at the Connector's process, in words."""

from checks.runtime.model import Sighting


def connector_changes(before: Sighting, after: Sighting) -> tuple[str, ...]:
    """Return one clause for each thing that changed; what could not be seen in one of the looks is no change."""
    if after.problem is not None or before.problem is not None:
        return _visibility(before, after)
    if before.running is not after.running:
        return _came_or_went(after)
    found = []
    if after.running and _anew(before, after):
        found.append(f"{_who(after)} was started anew{_process(after)}{_settings(before, after)}")
    if before.health != after.health and after.health is not None:
        found.append(f"{_who(after)} reports to be {after.health}")
    return (*found, *_version(before, after))


def _visibility(before: Sighting, after: Sighting) -> tuple[str, ...]:
    if before.problem is after.problem:
        return ()
    if after.problem is not None:
        return (f"{_who(before)} can't be seen any more: {after.evidence or after.problem}",)
    return (f"{_who(after)} can be seen now: {'running' if after.running else after.status or 'not running'}",)


def _came_or_went(after: Sighting) -> tuple[str, ...]:
    match after.running:
        case True:
            return (f"{_who(after)} was started{_process(after)}",)
        case False:
            how = [after.status] if after.status else []
            if after.exit_code is not None:
                how.append(f"exit code {after.exit_code}")
            if after.oom_killed:
                how.append("killed for lack of memory")
            return (f"{_who(after)} has stopped" + (f": {', '.join(how)}" if how else ""),)
        case None:
            return ()


def _who(sighting: Sighting) -> str:
    return f"the Connector ({sighting.name})" if sighting.name else "the Connector"


def _process(sighting: Sighting) -> str:
    return f" (process {sighting.pid})" if sighting.pid is not None else ""


def _settings(before: Sighting, after: Sighting) -> str:
    """Name the settings that a new start brought; their values are not for everybody's eyes."""
    names = before.environment.keys() | after.environment.keys()
    changed = sorted(name for name in names if before.environment.get(name) != after.environment.get(name))
    return f" with other settings: {', '.join(changed)}" if changed and before.environment and after.environment else ""


def _version(before: Sighting, after: Sighting) -> tuple[str, ...]:
    if before.version and after.version and before.version != after.version:
        return (f"the Connector's version is {after.version} now, and was {before.version}",)
    return ()


def _anew(before: Sighting, after: Sighting) -> bool:
    if before.id and after.id and before.id != after.id:
        return True
    return before.pid is not None and after.pid is not None and before.pid != after.pid
