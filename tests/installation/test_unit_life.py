"""How the units live: waiting, starting, reloading, hanging, crashing, stopping, several beside each other."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.support.process import quiet_port
from tests.support.systemd_lab import SystemdLab
from tests.support.unit_lab import (
    ADDRESS,
    CONFIG,
    DAEMON,
    HELPER,
    WAITS,
    Watcher,
    drop_in,
    installed,
    journal,
    quiet,
    write,
)

pytestmark = pytest.mark.timeout(300)

CONNECTOR = "twingate-connector.service"
GOOD = quiet("{name: edge, runtime: none}", f"resources: [{{name: R, address: {ADDRESS}, tcp: [9], expect: any}}]\n")
BAD = GOOD.replace("relays:", "relais:")
MISTAKE = "config.yaml:3:1: relais: unknown key, did you mean relays?"
ROW = f"tcp:{ADDRESS}:9"
# The unit's own times are for real hosts; the order of events is the same. Signals make the loop hang, or break it.
IMPATIENT = "[Service]\nWatchdogSec=2s\nRestartSec=200ms\n"
HANGS = """\
import signal

def turn_for_ever(*_):
    while True:
        pass

def break_down(*_):
    raise RuntimeError("a fault of ours")

signal.signal(signal.SIGUSR1, turn_for_ever)
signal.signal(signal.SIGUSR2, break_down)
"""


@pytest.fixture(scope="module")
def lab() -> Iterator[SystemdLab]:
    """A booted systemd with our units, as they are after an installation: no configuration, nothing started."""
    with installed() as booted:
        booted.run(f"systemctl enable {DAEMON}")
        yield booted


@pytest.fixture
def watcher(lab: SystemdLab) -> Iterator[Watcher]:
    """The daemon under its unit, with a good configuration."""
    with clean(lab):
        write(lab, CONFIG, GOOD)
        lab.run(f"systemctl start {DAEMON}")
        yield Watcher(lab)


@contextlib.contextmanager
def clean(lab: SystemdLab) -> Iterator[None]:
    """Leave the units as after an installation."""
    try:
        yield
    finally:
        lab.run(f"systemctl stop {DAEMON}")
        lab.run(f"systemctl reset-failed {DAEMON}", check=False)
        (lab.root / CONFIG.lstrip("/")).unlink(missing_ok=True)


def said(lab: SystemdLab) -> str:
    """Return what `systemctl status` shows of the daemon."""
    return lab.run(f"systemctl status --no-pager --lines=20 {DAEMON}", check=False)


def test_it_waits_for_its_configuration(lab: SystemdLab) -> None:
    """Started without one it is not failed but waits, and says for what; when the file appears it starts."""
    with clean(lab):
        lab.run(f"systemctl start {DAEMON}")
        assert lab.show(DAEMON, "ActiveState") == "inactive"
        assert f"ConditionPathExists={CONFIG} was not met" in said(lab)
        write(lab, CONFIG, GOOD)
        lab.until(DAEMON, "ActiveState", "active")


def test_a_mistake_ends_it_until_it_is_corrected(lab: SystemdLab) -> None:
    """A configuration with a mistake: failed at once and once, `status` says why; corrected, it runs."""
    with clean(lab):
        write(lab, CONFIG, BAD)
        lab.run(f"systemctl start {DAEMON}", check=False)
        assert (lab.show(DAEMON, "ActiveState"), lab.show(DAEMON, "NRestarts")) == ("failed", "0")
        assert MISTAKE in said(lab)
        write(lab, CONFIG, GOOD)
        lab.until(DAEMON, "ActiveState", "active")


def test_stopped_by_hand_it_stays_so(lab: SystemdLab, watcher: Watcher) -> None:
    """`systemctl stop` means it: a change of the file starts nothing; it takes no longer than the unit allows."""
    watcher.until_row(ROW, status="ok")
    lab.run(f"systemctl stop {DAEMON}")
    assert lab.show(DAEMON, "Result") == "success", "not killed after TimeoutStopSec"
    lab.until(WAITS, "ActiveState", "inactive")
    write(lab, CONFIG, GOOD + "# changed\n")
    lab.run("systemctl daemon-reload")  # answers when systemd has worked off what it had heard of until then
    assert (lab.show(DAEMON, "ActiveState"), lab.show(DAEMON, "Job")) == ("inactive", "")


def test_reload(lab: SystemdLab, watcher: Watcher) -> None:
    """`systemctl reload` puts the new file in force without a restart."""
    before = watcher.pid
    write(lab, CONFIG, GOOD.replace("name: R", "name: S"))
    lab.run(f"systemctl reload {DAEMON}")
    watcher.until_row(ROW, resource="S")
    assert (watcher.pid, lab.show(DAEMON, "ActiveState")) == (before, "active")


def test_reload_with_a_mistake(lab: SystemdLab, watcher: Watcher) -> None:
    """It fails, says where the mistake is, and the daemon goes on with what it had; the status line says so as well."""
    before = watcher.pid
    watcher.until_row(ROW, resource="R")
    write(lab, CONFIG, BAD)
    assert lab.run(["sh", "-c", f"systemctl reload {DAEMON} 2>/dev/null || echo failed"]) == "failed\n"
    assert MISTAKE in said(lab)
    assert (watcher.pid, lab.show(DAEMON, "ActiveState")) == (before, "active")
    watcher.until_row(ROW, resource="R")
    watcher.until(lambda: "could not be loaded again" in lab.show(DAEMON, "StatusText"), "told in its status")
    write(lab, CONFIG, GOOD)
    lab.run(f"systemctl reload {DAEMON}")
    watcher.until(lambda: "could not" not in lab.show(DAEMON, "StatusText"), "took it back")


@pytest.mark.parametrize(("number", "where"), [("STOP", ""), ("USR1", "turn_for_ever")], ids=["stopped", "busy"])
def test_watchdog(lab: SystemdLab, watcher: Watcher, number: str, where: str) -> None:
    """An event loop that stands still is killed and started anew; where it was busy, its log says in what."""
    write(lab, "/opt/connector-health/site/sitecustomize.py", HANGS)
    with drop_in(lab, DAEMON, IMPATIENT):
        lab.run(f"systemctl restart {DAEMON}")
        watcher.until_row(ROW, status="ok")
        before, invocation = watcher.pid, lab.show(DAEMON, "InvocationID")
        lab.run(f"kill -{number} {before}")
        watcher.until(lambda: lab.show(DAEMON, "NRestarts") == "1", "started anew")
        watcher.until_row(ROW, status="ok")
        assert watcher.pid != before
    entries = journal(lab, f"_SYSTEMD_INVOCATION_ID={invocation}") + journal(lab, f"INVOCATION_ID={invocation}")
    text = "\n".join(str(entry["MESSAGE"]) for entry in entries)
    assert "Watchdog timeout" in text
    assert where in text


@pytest.mark.parametrize("number", ["KILL", "USR2"], ids=["killed", "fault"])
def test_broken_down_it_comes_back(lab: SystemdLab, watcher: Watcher, number: str) -> None:
    """Killed from outside, or ended by an exception that nobody expected, it is started again."""
    write(lab, "/opt/connector-health/site/sitecustomize.py", HANGS)
    with drop_in(lab, DAEMON, IMPATIENT):
        lab.run(f"systemctl restart {DAEMON}")
        watcher.until_row(ROW, status="ok")
        before = watcher.pid
        lab.run(f"kill -{number} {before}")
        watcher.until(lambda: watcher.pid not in ("0", before), "came back")
        watcher.until_row(ROW, status="ok")


def test_a_crash_of_the_helper_harms_nothing(lab: SystemdLab) -> None:
    """The helper is killed: it is back a second later, with its socket; no row fails, probes are half-open again."""
    lab.unit(CONNECTOR, "ExecStart=/bin/sleep 3600")
    lab.run(f"systemctl start {CONNECTOR} {HELPER}")
    door = lab.root / "run/connector-health/netns.sock"
    with clean(lab):
        write(lab, CONFIG, GOOD.replace("runtime: none", "runtime: systemd"))
        lab.run(f"systemctl start {DAEMON}")
        watcher, helper = Watcher(lab), Watcher(lab, HELPER)
        first = watcher.until_row(ROW, status="ok")
        assert first["facts"]["method"] == "half_open"
        before = helper.pid
        lab.run(f"kill -SEGV {before}")
        watcher.until(lambda: helper.pid not in ("0", before), "was started again")
        assert lab.run(f"stat -c %U:%G:%a /run/{'/'.join(door.parts[-2:])}") == "root:connector-health:660\n"
        since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))  # noqa: TID251 - another process's

        def asked_again() -> bool:  # a look that fell between the two helpers was skipped, or by connect
            row = watcher.rows()[ROW]
            assert row["status"] in {"ok", "skipped"}, str(row)
            return bool(row["started_at"] > since and row["facts"].get("method") == "half_open")

        watcher.until(asked_again, "asked half-open again")
        assert watcher.status()["vantage"] == "connector"
        lab.run(f"systemctl stop {DAEMON}")
        assert door.is_socket(), "their directory outlives the daemon"
    lab.run(f"systemctl stop {HELPER} {CONNECTOR}")
    assert not door.exists(), "stopped, it listens no more"


def test_two_instances(lab: SystemdLab, watcher: Watcher) -> None:
    """Instances have their own file, port and state; one that stops, or can't start, leaves the others alone."""
    names = ("north", "south")
    units = [f"connector-health@{name}.service" for name in names]
    watchers = []
    for name, unit in zip(names, units, strict=True):
        port = quiet_port()
        own = (
            f"web: {{listen: ['127.0.0.1:{port}'], socket: /run/connector-health/{name}.sock}}\n"
            f"state: {{path: /var/lib/connector-health/{name}/state.db}}\n"
        )
        write(lab, f"/etc/connector-health/{name}.yaml", GOOD.replace("edge", name) + own)
        lab.run(f"systemctl start {unit}")
        watchers.append(Watcher(lab, unit, port))
    for each, name in zip((*watchers, watcher), (*names, "edge"), strict=True):
        each.until_row(ROW, status="ok")
        assert each.status()["connector"] == name
    assert all((lab.root / f"var/lib/connector-health/{name}/state.db").is_file() for name in names)
    asks = ["/opt/connector-health/bin/healthctl", "status", "--config", "/etc/connector-health/south.yaml"]
    assert "Connector south" in lab.run(asks, check=False)
    assert (lab.root / "run/connector-health/south.sock").is_socket()
    lab.run(f"systemctl stop {units[0]}")
    assert watchers[1].status()["connector"] == "south"
    assert watcher.status()["connector"] == "edge", "its socket is still there"
    write(lab, "/etc/connector-health/north.yaml", BAD)
    lab.run(f"systemctl start {units[0]}", check=False)
    assert [lab.show(unit, "ActiveState") for unit in (*units, DAEMON)] == ["failed", "active", "active"]
    lab.run(f"systemctl stop {' '.join(units)}")


def test_an_instance_keeps_to_its_own_state(lab: SystemdLab) -> None:
    """One whose file forgets `state.path` can't touch another's state; it runs, and says that it can't write."""
    port, unit = quiet_port(), "connector-health@east.service"
    write(lab, "/etc/connector-health/east.yaml", f"{GOOD}web: {{listen: ['127.0.0.1:{port}']}}\n")
    lab.run(f"systemctl start {unit}")
    try:
        Watcher(lab, unit, port).until_row(ROW, status="ok")
        warnings = journal(lab, f"_SYSTEMD_UNIT={unit}", "PRIORITY=4")
        assert any("/var/lib/connector-health/state.db" in entry["MESSAGE"] for entry in warnings)
    finally:
        lab.run(f"systemctl stop {unit}")
