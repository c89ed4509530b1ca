"""A Connector under a real systemd: running, stopped, failed, started again and again, and what must not be told."""

import asyncio
import dataclasses
import datetime as dt
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checks.model import Reason
from checks.runtime.model import Sighting
from checks.runtime.systemd import SystemdRuntime
from tests.support.systemd_lab import SystemdLab, systemd_lab

UNIT = "twingate-connector.service"
TOKENS = ("planted-access-token", "planted-refresh-token")
SETTINGS = (
    '# the package writes this file\nTWINGATE_NETWORK="acme"\nTWINGATE_LOG_LEVEL=5\n'
    f"TWINGATE_ACCESS_TOKEN={TOKENS[0]}\nTWINGATE_REFRESH_TOKEN={TOKENS[1]}\nPATH_TO=/x\n"
)


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    """One booted systemd for this module."""
    with systemd_lab() as booted:
        booted.run("mkdir -p /etc/twingate")
        booted.run(["/usr/bin/env", "tee", "/etc/twingate/connector.conf"], stdin=SETTINGS)
        yield booted


@pytest.fixture
def runtime(lab: SystemdLab) -> Iterator[SystemdRuntime]:
    """What looks at the Connector's unit in the container; the unit is stopped afterwards."""
    yield SystemdRuntime(
        UNIT,
        systemctl=(*lab.enter, "systemctl"),
        proc=lab.root / "proc",
        settings=lab.root / "etc/twingate/connector.conf",
    )
    lab.run(f"systemctl stop {UNIT}", check=False)
    lab.run(f"systemctl reset-failed {UNIT}", check=False)


def start(lab: SystemdLab, command: str = "/bin/sleep 1000", more: str = "", unit: str = "") -> None:
    """Write the unit, and start it."""
    lab.unit(UNIT, f"ExecStart={command}\n{more}", unit=unit)
    lab.run(f"systemctl start {UNIT}", check=False)


async def look_until(runtime: SystemdRuntime, holds: Callable[[Sighting], bool]) -> Sighting:
    """Look until it is as wanted; systemd can't signal it to us, so this polls."""
    end = time.monotonic() + 15
    while not holds(sighting := await runtime.look()):
        assert time.monotonic() < end, sighting
        await asyncio.sleep(0.05)
    return sighting


async def test_a_running_unit(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A running unit is told with its process, start, descriptors, settings, namespace and where its log is."""
    start(lab, more="EnvironmentFile=/etc/twingate/connector.conf\nLimitNOFILE=4096")
    seen = await look_until(runtime, lambda s: bool(s.environment))
    assert (seen.problem, seen.running, seen.status, seen.restarts) == (None, True, "active", 0)
    assert seen.pid == int(lab.show(UNIT, "MainPID"))
    assert seen.started_at is not None
    assert abs(seen.started_at - dt.datetime.now(dt.UTC).timestamp()) < 60
    assert (seen.finished_at, seen.exit_code, seen.oom_killed) == (None, None, False)
    assert seen.fds is not None
    assert (seen.fds[1], 3 <= seen.fds[0] < 20) == (4096, True)
    assert seen.own_namespace is False, "the container has a network of its own"
    assert seen.ping_group_range is None, "it is another namespace's, not ours"
    assert seen.log is not None
    assert (seen.log.kind, seen.log.id) == ("journal", UNIT)
    assert dict(seen.environment) == {"TWINGATE_NETWORK": "acme", "TWINGATE_LOG_LEVEL": "5"}


async def test_tokens_are_nowhere(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """Tokens in the unit's environment and in its settings file are in nothing that a look returns."""
    start(lab, more="EnvironmentFile=/etc/twingate/connector.conf")
    running = await runtime.look()
    lab.run(f"systemctl stop {UNIT}")
    stopped = await runtime.look()
    for seen in (running, stopped):
        text = str(dataclasses.asdict(dataclasses.replace(seen, environment={}))) + str(dict(seen.environment))
        assert not any(token in text for token in TOKENS)
    assert dict(stopped.environment) == {"TWINGATE_NETWORK": "acme", "TWINGATE_LOG_LEVEL": "5"}


async def test_a_stopped_unit(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A unit that was stopped is not running, has an end, and is another start when it comes back."""
    start(lab)
    before = await runtime.look()
    lab.run(f"systemctl stop {UNIT}")
    stopped = await runtime.look()
    assert (stopped.running, stopped.status, stopped.pid, stopped.fds) == (False, "inactive", None, None)
    assert stopped.finished_at is not None
    assert stopped.finished_at >= (before.started_at or 0)
    lab.run(f"systemctl start {UNIT}")
    again = await runtime.look()
    assert again.running
    assert again.id != before.id


async def test_a_failed_unit(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A unit whose process ended badly is failed, with its exit code."""
    start(lab, "/bin/sh -c 'exit 3'")
    seen = await look_until(runtime, lambda s: s.status == "failed")
    assert (seen.running, seen.exit_code, seen.evidence) == (False, 3, "its result is exit-code")


async def test_a_killed_process_is_started_again(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A process killed by a signal and started anew by systemd is another start, counted once."""
    start(lab, more="Restart=always\nRestartSec=100ms")
    before = await runtime.look()
    lab.run(f"systemctl kill -s KILL {UNIT}")
    after = await look_until(runtime, lambda s: bool(s.running) and s.restarts == 1)
    assert after.id != before.id
    assert after.pid != before.pid


async def test_a_process_killed_for_good(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """An end by signal 9 is told as Docker and a shell tell it: 137."""
    start(lab)
    lab.run(f"systemctl kill -s KILL {UNIT}")
    seen = await look_until(runtime, lambda s: s.status == "failed")
    assert (seen.running, seen.exit_code, seen.evidence) == (False, 137, "its result is signal")


async def test_between_two_starts(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """While systemd waits to start it again the Connector is restarting, not running."""
    start(lab, "/bin/false", more="Restart=always\nRestartSec=1000")
    seen = await look_until(runtime, lambda s: s.status == "restarting")
    assert (seen.running, seen.pid, seen.exit_code) == (False, None, 1)


async def test_a_restart_loop_until_systemd_gives_up(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A unit that ends as soon as it starts counts its restarts, and has failed when the limit is reached."""
    start(
        lab,
        "/bin/false",
        more="Restart=always\nRestartSec=20ms",
        unit="StartLimitIntervalSec=100\nStartLimitBurst=4",
    )
    seen = await look_until(runtime, lambda s: s.status == "failed")
    assert (seen.running, seen.restarts) == (False, 4)


async def test_a_unit_that_is_not_ready_yet(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A unit that has not yet told that it is ready runs, and is starting."""
    lab.unit(UNIT, "Type=notify\nExecStart=/bin/sleep 1000")
    lab.run(f"systemctl start --no-block {UNIT}")
    seen = await look_until(runtime, lambda s: bool(s.running))
    assert (seen.status, seen.health) == ("activating", "starting")


@pytest.mark.parametrize("name", ["no-such.service", "twingate-*", "-.service", "--help.service"])
async def test_a_unit_that_does_not_exist(lab: SystemdLab, name: str) -> None:
    """A name without a unit is not found, whatever the name is; nothing of it is taken for an option."""
    seen = await SystemdRuntime(name, systemctl=(*lab.enter, "systemctl")).look()
    assert (seen.problem in {Reason.NOT_FOUND, Reason.PERMISSION_DENIED}, seen.running) == (True, None)
    assert name in seen.action


async def test_a_masked_unit(lab: SystemdLab, runtime: SystemdRuntime) -> None:
    """A masked unit is there, and does not run."""
    lab.run(f"rm -f /etc/systemd/system/{UNIT}")
    lab.run(f"systemctl mask {UNIT}")
    try:
        seen = await runtime.look()
        assert (seen.problem, seen.running, seen.status) == (None, False, "masked")
    finally:
        lab.run(f"systemctl unmask {UNIT}")


def test_the_container_leaves_nothing() -> None:
    """Whatever happens in the block, afterwards its processes are gone, and so are its file systems."""
    with pytest.raises(ZeroDivisionError), systemd_lab() as lab:  # noqa: PT012 - what follows is about this one
        pid, folder = lab.pid, lab.folder
        lab.unit("stubborn.service", "ExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'")
        lab.run("systemctl start stubborn.service")
        raise ZeroDivisionError
    assert not Path(f"/proc/{pid}").exists()
    assert str(folder) not in Path("/proc/mounts").read_text()
    assert not folder.exists()
