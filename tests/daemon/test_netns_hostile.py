"""connector-health-netns against who chooses its files, its clients and its socket's path: nothing is gained by it."""

import array
import contextlib
import grp
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.net.errors import SeatError
from checks.net.helper import HelperClient
from daemon.netns_target import _listen, apart
from tests.support.netns import namespace
from tests.support.seat_helper import HELPER, Stander, answers, helper, open_descriptors, stander
from tests.support.servers import find, require, wait_until

SECRET = "planted-secret"
FOR_EVER_S = 3600


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stander]:
    """A running stand-in."""
    with namespace() as ns, stander(tmp_path_factory.mktemp("standin")) as made:
        made.start(ns)
        yield made


def test_a_file_that_not_everybody_may_read_is_refused(tmp_path: Path, watched: Stander) -> None:
    """Its capability opens any file, and which one lies at /etc/hosts is the Connector's choice."""
    with helper(tmp_path, "--process", watched.name) as (path, _):
        client = HelperClient(path)
        hosts = watched.root / "etc/hosts"
        hosts.chmod(0o640)
        with pytest.raises(SeatError, match="that everybody may read"):
            client.read_file("hosts")
        hosts.chmod(0o644)
        assert "db" in client.read_file("hosts")
        client.close()


def test_somebody_s_own_namespace_shows_no_secret(tmp_path: Path) -> None:
    """Any user may bind a file that he can't read over resolv.conf, in a user namespace of his own."""
    require("root", "setpriv", "unshare", "mount", "/bin/busybox")
    secret = tmp_path / "secret"
    secret.write_text(f"nameserver {SECRET}\n")
    secret.chmod(0o600)
    name = f"busybox-spoof-{os.getpid()}"
    program = tmp_path / name
    shutil.copy("/bin/busybox", program)
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    script = f"{find('mount')} --bind {secret} /etc/resolv.conf && exec {program} sleep 60"
    argv = [find("setpriv") or "", "--reuid=65534", "--regid=65534", "--clear-groups"]
    process = subprocess.Popen([*argv, find("unshare") or "", "-Urm", "/bin/sh", "-c", script])
    try:
        exe = Path(f"/proc/{process.pid}/exe")
        with contextlib.suppress(AssertionError):
            wait_until(lambda: exe.readlink().name == name, lambda: process.poll() is None, lambda: "no namespaces")
        if process.poll() is not None:
            pytest.skip("users may make no namespaces here")
        with helper(tmp_path, "--process", name) as (path, _):
            client = HelperClient(path)
            with pytest.raises(SeatError, match="that everybody may read"):
                client.read_file("resolv.conf")
            client.close()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("admitted", [True, False])
def test_a_descriptor_that_lingers_ends_the_helper_in_time(tmp_path: Path, watched: Stander, *, admitted: bool) -> None:
    """What a client passes is closed by the helper, and closing can wait for an hour: then its supervisor starts it."""
    require("root", "setpriv")
    sock = tmp_path / "s"
    program = "import daemon.netns as n; n.STUCK_S = 1; n.main()"
    user = [] if admitted else [find("setpriv") or "", "--reuid=65534", "--clear-groups", "--"]
    helper_process = subprocess.Popen([*HELPER[:-1], program, "--socket", str(sock), "--process", watched.name])
    with contextlib.ExitStack() as stack:
        stack.callback(helper_process.wait)
        stack.callback(helper_process.kill)
        wait_until(lambda: answers(sock), lambda: helper_process.poll() is None, lambda: "no helper")
        sock.chmod(0o666)
        for folder in (tmp_path, *list(tmp_path.parents)[:3]):
            folder.chmod(folder.stat().st_mode | 0o055)
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        full = socket.create_connection(listener.getsockname())
        peer = stack.enter_context(listener.accept()[0])  # never reads
        full.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                full.send(bytes(1 << 16))
        full.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, FOR_EVER_S))
        os.kill(helper_process.pid, signal.SIGSTOP)  # the message is there before it is asked who sends it
        send = (
            "import array, os, socket, sys; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET);"
            "s.connect(sys.argv[1]); s.sendmsg([b'{}'], [(1, 1, array.array('i', [int(sys.argv[2])]))])"
        )
        argv = [*user, sys.executable, "-I", "-c", send, str(sock), str(full.fileno())]
        subprocess.run(argv, pass_fds=[full.fileno()], check=True, timeout=20)
        full.close()
        os.kill(helper_process.pid, signal.SIGCONT)
        assert helper_process.wait(20) == -signal.SIGALRM
        assert peer.fileno() >= 0


def test_descriptors_that_are_passed_to_it_are_not_kept(tmp_path: Path, watched: Stander) -> None:
    """A client may pass what it likes: nothing of it stays open."""
    with helper(tmp_path, "--process", watched.name) as (path, pid):
        client = HelperClient(path)
        client.mark()
        before = open_descriptors(pid)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock, Path("/dev/null").open("rb") as null:
            sock.settimeout(10)
            sock.connect(path)
            for _ in range(100):
                passed = array.array("i", [null.fileno()] * 200)
                sock.sendmsg([b'{"op": "mark"}'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, passed)])
                assert b"pid" in sock.recv(4096)
            client.mark()
            assert open_descriptors(pid) == before + 1  # the connection itself
        client.close()


@pytest.mark.parametrize("kind", ["file", "link", "link to a dead socket"])
def test_no_file_is_pushed_aside_for_its_socket(tmp_path: Path, kind: str) -> None:
    """Only a socket that nobody serves any more is replaced: connecting to any other file fails in the same way."""
    path, other = tmp_path / "s", tmp_path / "other"
    other.write_text("precious")
    if kind == "file":
        path.write_text("precious")
    else:
        if kind == "link to a dead socket":
            other.unlink()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
                dead.bind(str(other))
        path.symlink_to(other)
    with pytest.raises(OSError, match="in use"):
        _listen(str(path), None)
    assert other.exists()
    assert path.is_symlink() or path.read_text() == "precious"


def test_the_group_is_given_to_the_socket_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may write to its folder can put a link there just then: what it leads to keeps its group."""
    require("root")
    path, other = tmp_path / "s", tmp_path / "other"
    other.write_text("precious")
    group = next(each for each in grp.getgrall() if each.gr_gid)

    def swap(_name: str) -> grp.struct_group:
        path.unlink()
        path.symlink_to(other)
        return group

    monkeypatch.setattr(grp, "getgrnam", swap)  # the moment between bind and chown
    _listen(str(path), group.gr_name).close()
    assert other.stat().st_gid == os.getgid()
    assert path.lstat().st_gid == group.gr_gid


def test_the_search_ends_with_the_helper() -> None:
    """It holds the helper's listening socket too: left behind, it would keep the next helper from its path."""
    ours, theirs = os.pipe()

    def hang() -> int:
        os.write(theirs, b"x")
        time.sleep(60)
        return 0

    if not (process := os.fork()):
        with contextlib.suppress(BaseException):
            apart(hang, 50)
        os._exit(0)
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as told:
        assert told.read(1) == b"x"
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        assert select.select([told], [], [], 20)[0]
        assert told.read(1) == b""
