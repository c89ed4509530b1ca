"""Whatever answers in systemctl's place: nothing, garbage, endless output, no end; and how its words are read."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.model import Reason
from checks.runtime.command import MAX_OUTPUT, ask
from checks.runtime.systemd import TIMEOUT_S, SystemdRuntime, properties

UNIT = "twingate-connector.service"


def script(folder: Path, text: str) -> Path:
    """Write a stand-in for systemctl."""
    file = folder / "systemctl"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)
    return file


async def until(holds: Callable[[], bool]) -> None:
    """Wait for what another process does; it can't signal it to us, so this polls."""
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_where_systemd_is_not(tmp_path: Path) -> None:
    """Without systemctl, or without a systemd behind it, one clear line says so: permission_denied."""
    seen = await SystemdRuntime(UNIT, systemctl=(str(tmp_path / "systemctl"),)).look()
    assert (seen.problem, seen.evidence) == (
        Reason.PERMISSION_DENIED,
        "systemctl can't be run here: No such file or directory",
    )
    script(tmp_path, "echo 'Failed to connect to bus: \x1b[31mHost is down' >&2; echo more >&2; exit 1")
    seen = await SystemdRuntime(UNIT, systemctl=(str(tmp_path / "systemctl"),)).look()
    assert seen.problem is Reason.PERMISSION_DENIED
    assert seen.evidence == "systemd can't be asked: Failed to connect to bus: \\x1b[31mHost is down"
    assert "systemctl status twingate-connector.service" in seen.action


@pytest.mark.parametrize(
    "text",
    [
        "exit 0",
        "head -c 10000000 /dev/zero | tr '\\0' x",
        "yes ActiveState | head -c 10000000",
        "printf 'ActiveState=active\\nMainPID=99999999999999999999999\\nNRestarts=-1\\nExecMainStartTimestamp=n/a\\n'",
        "printf 'ActiveState=\\033[2J\\nMainPID=\\303\\n=\\n\\nActiveState=active'",
        "printf 'ActiveState=active\\nMainPID=\u0661\\nExecMainStartTimestamp=Mon 99999-01-01 00:00:00 UTC\\n'",
    ],
)
async def test_garbage(tmp_path: Path, text: str) -> None:
    """Whatever answers in systemctl's place, and however much, a look returns, and shows nothing that harms."""
    seen = await SystemdRuntime(UNIT, systemctl=(str(script(tmp_path, text)),), settings=tmp_path / "none").look()
    assert seen.pid is None
    assert seen.restarts is None
    assert seen.started_at is None
    assert (seen.status + seen.evidence).isprintable()
    assert len(seen.evidence) < 300


async def test_a_silent_systemctl_is_killed(tmp_path: Path) -> None:
    """A systemctl that never ends is killed at the time-out, and one line says so."""
    file = script(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    seen = await SystemdRuntime(UNIT, systemctl=(str(file),)).look()
    assert (seen.problem, seen.evidence) == (
        Reason.PERMISSION_DENIED,
        f"systemctl did not answer within {TIMEOUT_S:g} s",
    )
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not Path(f"/proc/{pid}").exists())


async def test_a_cancelled_look_leaves_no_process(tmp_path: Path) -> None:
    """Cancelling a look kills what it had started."""
    file = script(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 1000")
    async with asyncio.TaskGroup() as group:
        task = group.create_task(SystemdRuntime(UNIT, systemctl=(str(file),)).look())
        await until(lambda: (tmp_path / "pid").exists() and bool((tmp_path / "pid").read_text().strip()))
        task.cancel()
    pid = int((tmp_path / "pid").read_text())
    await until(lambda: not Path(f"/proc/{pid}").exists())


@pytest.mark.parametrize(
    ("said", "exit_code", "oom"),
    [
        ("ExecMainCode=1\nExecMainStatus=0\nResult=success", 0, False),
        ("ExecMainCode=2\nExecMainStatus=9\nResult=oom-kill", 137, True),
        ("ExecMainCode=3\nExecMainStatus=11\nResult=core-dump", 139, False),
        ("ExecMainCode=0\nExecMainStatus=0\nResult=success", None, False),
        ("ExecMainCode=\nExecMainStatus=x\nResult=", None, False),
    ],
)
async def test_how_it_ended(tmp_path: Path, said: str, exit_code: int | None, oom: bool) -> None:
    """Exit codes, signals and the kernel's out-of-memory killer are told apart."""
    (tmp_path / "said").write_text(f"ActiveState=failed\nSubState=failed\nMainPID=0\n{said}\n")
    file = script(tmp_path, f"cat {tmp_path}/said")
    seen = await SystemdRuntime(UNIT, systemctl=(str(file),), settings=tmp_path / "none").look()
    assert (seen.running, seen.exit_code, seen.oom_killed) == (False, exit_code, oom)


@pytest.mark.parametrize(
    ("said", "own"),
    [
        ("PrivateNetwork=no\nNetworkNamespacePath=", True),
        ("PrivateNetwork=yes\nNetworkNamespacePath=", False),
        ("PrivateNetwork=no\nNetworkNamespacePath=/run/netns/x", False),
        ("", None),
    ],
)
async def test_the_namespace_without_permission(tmp_path: Path, said: str, own: bool | None) -> None:
    """Where the process may not be looked into, the unit's own settings tell whose network it has."""
    (tmp_path / "said").write_text(f"ActiveState=active\nSubState=running\nMainPID=7\n{said}\n")
    file = script(tmp_path, f"cat {tmp_path}/said")
    runtime = SystemdRuntime(UNIT, systemctl=(str(file),), proc=tmp_path, settings=tmp_path / "none")
    assert (await runtime.look()).own_namespace is own


def test_only_what_was_asked_for() -> None:
    """Properties of a second unit, and what nobody asked for, are left out."""
    assert properties("\nActiveState=active\nEnvironment=T=1\n\nActiveState=failed\n") == {"ActiveState": "active"}


async def test_an_endless_answer_is_cut(tmp_path: Path) -> None:
    """Of what the other program says only the beginning is kept, of each stream."""
    answer = await ask((str(script(tmp_path, "yes | head -c 5000000; yes | head -c 5000000 >&2; exit 7")),), 5.0)
    assert (answer.code, len(answer.output), len(answer.errors)) == (7, MAX_OUTPUT, MAX_OUTPUT)


@pytest.mark.parametrize("unit", ["*", "twingate-*.service", "a?b", "[a-z]"])
async def test_a_pattern_is_no_unit(tmp_path: Path, unit: str) -> None:
    """systemctl would show every unit that fits, and the first of them would pass for the Connector."""
    systemctl = script(tmp_path, "echo LoadState=loaded; echo ActiveState=active; echo MainPID=1")
    seen = await SystemdRuntime(unit, systemctl=(str(systemctl),)).look()
    assert (seen.problem, seen.running) == (Reason.NOT_FOUND, None)
    assert f"{unit} is a pattern" in seen.evidence


@pytest.mark.parametrize("unit", ["-H evil", "--host=evil", "--root=/", "-M evil"])
async def test_a_unit_is_never_an_option(tmp_path: Path, unit: str) -> None:
    """What begins with a dash stands behind the end of the options."""
    systemctl = script(tmp_path, f'printf "%s\\n" "$@" > {tmp_path}/said; exit 1')
    await SystemdRuntime(unit, systemctl=(str(systemctl),)).look()
    assert (tmp_path / "said").read_text().splitlines()[-2:] == ["--", unit]
