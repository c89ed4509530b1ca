"""A Connector that systemd runs: asked by `systemctl show`, which any user may.

The environment is not asked for: the unit's may hold tokens, and systemctl would hand over all of it.
Source: systemctl(1), org.freedesktop.systemd1(5), systemd.exec(5).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path

from checks.model import Reason
from checks.net.errors import net_error
from checks.net.text import printable
from checks.runtime import command, procfs
from checks.runtime.model import UNIT, Health, LogPlace, RuntimeName, Sighting

SYSTEMCTL = ("systemctl",)
SETTINGS = Path("/etc/twingate/connector.conf")
TIMEOUT_S = 3.0  # it answers in 10 ms; when systemd is busy reloading, in a second
MAX_EVIDENCE = 200  # characters of what systemctl complains about
_PATTERN = "*?["  # glob(7)
PROPERTIES = (
    "LoadState", "ActiveState", "SubState", "MainPID", "Result", "NRestarts", "InvocationID",
    "ExecMainStartTimestamp", "ExecMainExitTimestamp", "ExecMainCode", "ExecMainStatus",
    "PrivateNetwork", "NetworkNamespacePath",
)  # fmt: skip
_LIVING = ("active", "activating", "reloading", "deactivating", "refreshing")
_EXITED, _KILLED, _DUMPED = 1, 2, 3  # si_code of the end of a process, sigaction(2)
_SIGNAL_EXIT = 128  # what a shell, and Docker, make of a signal


class SystemdRuntime:
    """Looks at one unit. `systemctl` is how that is called, `proc` and `settings` where the system's files are."""

    def __init__(
        self,
        unit: str = UNIT,
        *,
        systemctl: Sequence[str] = SYSTEMCTL,
        proc: Path = procfs.PROC,
        settings: Path = SETTINGS,
    ) -> None:
        self._unit = unit
        self._systemctl = tuple(systemctl)
        self._proc = proc
        self._settings = settings

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs."""
        return "systemd"

    async def look(self) -> Sighting:
        """Ask systemd once; never raises for what it says."""
        if set(self._unit) & set(_PATTERN):  # systemctl would show every unit that fits, and the first is anybody's
            return self._unseen(Reason.NOT_FOUND, f"{self._unit} is a pattern, and no unit's name")
        return await self._look()

    async def _look(self) -> Sighting:
        argv = (*self._systemctl, "show", "--property=" + ",".join(PROPERTIES), "--", self._unit)
        try:
            answer = await command.ask(argv, TIMEOUT_S)
        except TimeoutError:
            return self._unseen(Reason.PERMISSION_DENIED, f"systemctl did not answer within {TIMEOUT_S:g} s")
        except (FileNotFoundError, PermissionError) as error:
            return self._unseen(Reason.PERMISSION_DENIED, f"systemctl can't be run here: {error.strerror}")
        except OSError as error:
            trouble = net_error(error)
            return self._unseen(trouble.reason, f"systemctl can't be run: {trouble.evidence}")
        said = properties(answer.output)
        if answer.code != 0 or "ActiveState" not in said:
            complaint = printable(answer.errors.strip().partition("\n")[0], MAX_EVIDENCE)
            return self._unseen(
                Reason.PERMISSION_DENIED, f"systemd can't be asked: {complaint or 'systemctl said nothing'}"
            )
        if said.get("LoadState") == "not-found" and said["ActiveState"] == "inactive":
            return self._unseen(Reason.NOT_FOUND, f"systemd knows no unit {self._unit}")
        return self._seen(said)

    async def close(self) -> None:
        """Nothing is held."""

    def _unseen(self, problem: Reason, evidence: str) -> Sighting:
        if problem is Reason.NOT_FOUND:
            action = "Install the Connector, or name its unit in connector.unit."
        else:
            action = (
                "Let this process speak to systemd (systemctl, /run/dbus/system_bus_socket), or set connector.runtime."
            )
        action += f" Repeat it by hand on this host: systemctl status {self._unit}"
        return Sighting(runtime="systemd", name=self._unit, problem=problem, evidence=evidence, action=action)

    def _seen(self, said: Mapping[str, str]) -> Sighting:
        state, result = said["ActiveState"], said.get("Result", "")
        pid = _number(said, "MainPID") or None
        running = pid is not None and state in _LIVING
        waits = said.get("SubState", "").startswith("auto-restart")
        starting: Health | None = "starting" if running and state == "activating" else None
        own = self._own_namespace(pid, said) if running else None
        return Sighting(
            runtime="systemd",
            name=self._unit,
            evidence="" if running or result in {"", "success"} else f"its result is {printable(result, 40)}",
            running=running,
            status="restarting" if waits else "masked" if said.get("LoadState") == "masked" else printable(state, 40),
            id=f"{said.get('InvocationID', '')}:{pid}" if running else said.get("InvocationID", ""),
            pid=pid if running else None,
            started_at=_time(said, "ExecMainStartTimestamp"),
            finished_at=None if running else _time(said, "ExecMainExitTimestamp"),
            exit_code=None if running else _exit_code(said),
            oom_killed=result == "oom-kill",
            health=starting,
            restarts=_number(said, "NRestarts"),
            environment=self._environment(pid if running else None),
            log=LogPlace(kind="journal", id=self._unit),
            own_namespace=own,
            fds=procfs.descriptors(self._proc, pid) if running and pid else None,
            ping_group_range=procfs.ping_group_range() if own else None,
        )

    def _environment(self, pid: int | None) -> Mapping[str, str]:
        found = procfs.environment(self._proc, pid) if pid else None
        # A process that has just been started may still be on its way to the Connector: then it tells nothing.
        return found or procfs.settings_file(self._settings) or {}

    def _own_namespace(self, pid: int | None, said: Mapping[str, str]) -> bool | None:
        """Ask the kernel, else the unit: one without a namespace of its own is in the host's, as we are."""
        shared = procfs.shares_network(self._proc, pid) if pid else None
        if shared is not None or "PrivateNetwork" not in said:
            return shared
        return said["PrivateNetwork"] == "no" and not said.get("NetworkNamespacePath")


def properties(output: str) -> dict[str, str]:
    """Return the properties of the first unit in what `systemctl show` printed; what was not asked for is left out."""
    found: dict[str, str] = {}
    for line in output.lstrip("\n").split("\n"):
        if not line:
            break
        key, equals, value = line.partition("=")
        if equals and key in PROPERTIES:
            found[key] = value
    return found


def _number(said: Mapping[str, str], key: str) -> int | None:
    value = said.get(key, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None


def _time(said: Mapping[str, str], key: str) -> float | None:
    """Return the Unix time of "Mon 2026-01-05 12:00:00 UTC", in whole seconds; None when there is none."""
    words = said.get(key, "").split()
    try:
        moment = dt.datetime.strptime(" ".join(words[1:3]), "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - UTC was asked for
    except ValueError:
        return None
    return moment.replace(tzinfo=dt.UTC).timestamp()


def _exit_code(said: Mapping[str, str]) -> int | None:
    """Return how the main process ended; by a signal: 128 and its number."""
    code, status = _number(said, "ExecMainCode"), _number(said, "ExecMainStatus")
    if status is None or code not in {_EXITED, _KILLED, _DUMPED}:
        return None
    return status if code == _EXITED else _SIGNAL_EXIT + status
