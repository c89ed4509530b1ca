"""A Connector that nothing manages: real processes in a namespace of their own, and a /proc that lies."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.model import Reason
from checks.runtime import procfs
from checks.runtime.model import MAX_VALUE
from checks.runtime.process import ProcessRuntime
from tests.support.pidspace import PidSpace, pid_space

TOKEN = "planted-token"
ENVIRONMENT = {
    "TWINGATE_NETWORK": "acme",
    "TWINGATE_ACCESS_TOKEN": TOKEN,
    "TWINGATE_REFRESH_TOKEN": TOKEN,
    "TWINGATE_LOG_ANALYTICS": "v2",
    "TWINGATE_LABEL_HOSTNAME": "h" * 5000,
    "PATH": "/bin:/usr/bin",
    "OTHER": TOKEN,
}


@pytest.fixture
def space(tmp_path: Path) -> Iterator[PidSpace]:
    """A process namespace."""
    with pid_space(tmp_path) as made:
        yield made


@pytest.mark.parametrize("name", ["connectord", "twingate-connector"])
async def test_found_by_its_name(space: PidSpace, name: str) -> None:
    """A process called like the Connector is found, with its start, descriptors, settings and namespace."""
    space.start("bystander")
    pid = space.start(name, env=ENVIRONMENT)
    seen = await ProcessRuntime(proc=space.proc).look()
    assert (seen.problem, seen.running, seen.name, seen.pid) == (None, True, name, pid)
    assert seen.started_at is not None
    assert abs(seen.started_at - dt.datetime.now(dt.UTC).timestamp()) < 60
    assert seen.fds is not None
    assert 3 <= seen.fds[0] < seen.fds[1]
    assert seen.own_namespace is False
    assert seen.ping_group_range is None
    assert dict(seen.environment) == {
        "TWINGATE_NETWORK": "acme",
        "TWINGATE_LOG_ANALYTICS": "v2",
        "TWINGATE_LABEL_HOSTNAME": "h" * MAX_VALUE,
    }
    assert TOKEN not in repr(seen)
    assert seen.log is not None
    assert seen.log.problem


async def test_in_our_own_network(space: PidSpace) -> None:
    """A process in our own network namespace is known to be there, and the namespace's sysctl is told."""
    space.start("connectord", our_net=True)
    seen = await ProcessRuntime(proc=space.proc).look()
    ours = Path("/proc/sys/net/ipv4/ping_group_range").read_text().split()
    assert (seen.own_namespace, seen.ping_group_range) == (True, (int(ours[0]), int(ours[1])))


async def test_never_seen(space: PidSpace) -> None:
    """A Connector that was never there is not found, and it is said which names were looked for."""
    space.start("bystander")
    seen = await ProcessRuntime(proc=space.proc).look()
    assert (seen.problem, seen.running) == (Reason.NOT_FOUND, None)
    assert "connectord or twingate-connector" in seen.evidence


async def test_ended_and_started_again(space: PidSpace) -> None:
    """One that was seen and has ended is not running; the next one is another start."""
    pid = space.start("connectord")
    runtime = ProcessRuntime(proc=space.proc)
    before = await runtime.look()
    assert (await runtime.look()).id == before.id
    space.kill(pid)
    ended = await runtime.look()
    assert (ended.problem, ended.running, ended.pid) == (None, False, None)
    assert ended.id == before.id
    space.start("connectord")
    after = await runtime.look()
    assert after.running
    assert after.id != before.id


async def test_the_oldest_is_followed(space: PidSpace) -> None:
    """Of several the oldest is meant, and it stays the one that is followed while it lives."""
    first = space.start("connectord")
    second = space.start("connectord")
    runtime = ProcessRuntime(proc=space.proc)
    assert (await runtime.look()).pid == first
    space.kill(first)
    assert (await runtime.look()).pid == second


async def test_its_control_command_is_not_it(space: PidSpace) -> None:
    """The kernel keeps 15 bytes of a name: the Connector's control command shares them, and is not taken for it."""
    space.start("twingate-connectorctl")
    assert (await ProcessRuntime(proc=space.proc).look()).problem is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("stat", "found"),
    [
        ("7 (connectord) S " + " ".join("1" * 19), True),
        ("7 (a) b) R) S " + " ".join("1" * 19), True),
        ("7 (connectord) Z " + " ".join("1" * 19), False),
        ("7 (connectord) S 1 2 3", False),
        ("", False),
        ("7 (connectord) S " + "x " * 19, False),
        ("7 (connectord) S " + "1 " * 100_000, True),
    ],
)
async def test_a_proc_that_lies(tmp_path: Path, stat: str, found: bool) -> None:
    """A dead process is none, and whatever a name or a file of /proc holds, a look returns."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/comm").write_text("connectord\n")
    (tmp_path / "7/cmdline").write_text("/x/connectord\0")
    (tmp_path / "7/stat").write_text(stat)
    (tmp_path / "7/limits").write_text("Max open files unlimited\n\xff")
    (tmp_path / "stat").write_text("btime soon\n")
    (tmp_path / "not-a-number").mkdir()
    seen = await ProcessRuntime(proc=tmp_path).look()
    assert (seen.problem is None) is found
    assert (seen.started_at, seen.fds, seen.own_namespace) == (None, None, None)
    assert dict(seen.environment) == {}


def test_settings_are_cut_before_they_are_text(tmp_path: Path) -> None:
    """Of a file of settings only allowed names are kept, however it is written; tokens never."""
    file = tmp_path / "connector.conf"
    file.write_bytes(
        b"# comment\n\nTWINGATE_NETWORK = 'acme' \n TWINGATE_URL=\"https://acme.twingate.com\"\n"
        b"TWINGATE_ACCESS_TOKEN=planted-token\nTWINGATE_LOG_ACCESS=\xff\xfe\nexport X\nTWINGATE_\n=\n"
        b"TWINGATE_LABEL_LONG=" + b"\xe2\x82\xac" * 10_000 + b"\nTWINGATE_DNS=10.0.0.2,10.0.0.3"
    )
    found = dict(procfs.settings_file(file) or {})
    assert TOKEN not in repr(found)
    assert found == {
        "TWINGATE_NETWORK": "acme",
        "TWINGATE_URL": "https://acme.twingate.com",
        "TWINGATE_LOG_ACCESS": "\ufffd\ufffd",
        "TWINGATE_LABEL_LONG": "\u20ac" * MAX_VALUE,
        "TWINGATE_DNS": "10.0.0.2,10.0.0.3",
    }


def test_a_token_never_becomes_text() -> None:
    """What is not allowed is left out before it is decoded, not after."""
    raw = bytearray(b"TWINGATE_ACCESS_TOKEN=planted-token\0TWINGATE_NETWORK=acme\0TWINGATE_REFRESH_TOKEN=planted-token")
    assert procfs._entries(raw, len(raw), b"\0", quoted=False) == ["TWINGATE_NETWORK=acme"]


async def test_it_may_change_its_name(tmp_path: Path) -> None:
    """A process that was once found is followed by its id and start, whatever it calls itself later."""
    (tmp_path / "7").mkdir()
    (tmp_path / "7/comm").write_text("connectord\n")
    (tmp_path / "7/cmdline").write_text("/x/connectord\0")
    (tmp_path / "7/stat").write_text("7 (connectord) S " + "1 " * 30)
    runtime = ProcessRuntime(proc=tmp_path)
    assert (await runtime.look()).running
    (tmp_path / "7/comm").write_text("worker\n")
    assert (await runtime.look()).running


def test_settings_that_can_not_be_read(tmp_path: Path) -> None:
    """A pipe nobody writes to, a folder, an endless file and a missing one keep nobody waiting."""
    os.mkfifo(tmp_path / "pipe")
    assert not procfs.settings_file(tmp_path / "pipe")
    pipe = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(pipe, b"TWINGATE_NETWORK=from-a-pipe\n")
    assert not procfs.settings_file(tmp_path / "pipe")
    os.close(pipe)
    assert procfs.settings_file(tmp_path) in (None, {})
    assert procfs.settings_file(tmp_path / "missing") is None
    assert not procfs.settings_file(Path("/dev/zero"))
    (tmp_path / "long").write_bytes(b"A=1\n" * 1_000_000 + b"TWINGATE_NETWORK=late\n")
    assert not procfs.settings_file(tmp_path / "long")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1\t0\n", (1, 0)), ("0 2147483647", (0, 2147483647)), ("", None), ("a b", None), ("1 2 3", None), ("-1 5", None)],
)
def test_ping_group_range(tmp_path: Path, text: str, expected: tuple[int, int] | None) -> None:
    """The sysctl's two numbers are told, and nothing that is not two numbers."""
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/ping_group_range").write_text(text)
    assert procfs.ping_group_range(tmp_path) == expected


def test_descriptors_are_counted_as_they_are() -> None:
    """The kernel's own number, where it has one, is that of the entries; a process that is gone has none."""
    with os.scandir("/proc/self/fd") as entries:
        counted = sum(1 for _ in entries) - 1  # this one
    found = procfs.descriptors(procfs.PROC, os.getpid())
    assert found is not None
    assert found[0] in {counted, counted + 1}  # counting opens one
    assert procfs.descriptors(procfs.PROC, 1 << 30) is None


@pytest.mark.parametrize("number", ["\u00b2", "\u0661", "1" * 5000, "-1", "1_0", ""])
def test_what_only_looks_like_a_number_is_none(tmp_path: Path, number: str) -> None:
    """Digits of other scripts and endless ones are no numbers: nothing raises."""
    (tmp_path / "7").mkdir()
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "stat").write_text(f"btime {number}\n")
    (tmp_path / "7/stat").write_text("7 (connectord) S" + " 0" * 18 + f" {number} 0\n")
    (tmp_path / "7/limits").write_text(f"Max open files {number} {number} files\n")
    (tmp_path / "sys/net/ipv4/ping_group_range").write_text(f"0 {number}\n")
    assert procfs.started_at(tmp_path, 5) is None
    assert procfs.start_ticks(tmp_path, 7) in {None, 0}  # without the field the next one stands there
    assert procfs.descriptors(tmp_path, 7) is None
    assert procfs.ping_group_range(tmp_path) is None
