"""connector-health-netns: which process it takes for the Connector."""

import contextlib
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon import netns_target
from daemon.netns_target import Refusal, apart, of_container, of_process, of_unit
from tests.support.netns import namespace
from tests.support.seat_helper import Stander, stander
from tests.support.servers import require, wait_until

HIERARCHIES = [top for top in netns_target.CGROUPS if Path(top, "cgroup.procs").exists()]
RUNNING = {"State": {"Running": True, "Pid": 4711}, "Config": {"Image": "twingate/connector:1"}}


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Stander]:
    """A running stand-in."""
    with namespace() as ns, stander(tmp_path) as made:
        made.start(ns)
        yield made


def test_a_process_is_found_by_its_executable(watched: Stander) -> None:
    """The name of the executable or of the command finds it, and nothing else does."""
    assert of_process(watched.name) == watched.pid
    with pytest.raises(Refusal) as caught:
        of_process(watched.name + "x")
    assert caught.value.args[0] == "not_running"


def test_two_processes_of_one_name_are_ambiguous(watched: Stander) -> None:
    """Which of two is the Connector can't be guessed: somebody else's process must not become our seat."""
    other = os.spawnv(os.P_NOWAIT, str(watched.root / watched.name), [watched.name, "sleep", "60"])
    exe = Path(f"/proc/{other}/exe")
    try:
        wait_until(lambda: exe.readlink().name == watched.name, lambda: True, lambda: "it does not start")
        with pytest.raises(Refusal) as caught:
            of_process(watched.name)
    finally:
        os.kill(other, 9)
        os.waitpid(other, 0)
    assert caught.value.args == (
        "permission_denied",
        f"2 processes are called {watched.name}: choose by --container or --unit",
    )


@pytest.mark.parametrize("slices", ["system.slice", "system.slice/system-twingate.slice", "chtest.slice"])
@pytest.mark.parametrize("top", HIERARCHIES or [""])
def test_a_unit_is_found_by_its_control_group(watched: Stander, top: str, slices: str) -> None:
    """In either version of control groups, and in whatever slice the unit is."""
    require("root")
    if not top:
        pytest.skip("no control groups of systemd's here")
    unit = f"{watched.name}.service"
    with contextlib.ExitStack() as stack:
        folder = Path(top)
        for name in (*slices.split("/"), unit):
            folder /= name
            if not folder.exists():
                folder.mkdir()
                stack.callback(folder.rmdir)
        (folder / "cgroup.procs").write_text(str(watched.pid))
        assert of_unit(unit) == watched.pid
        watched.stop()
        with pytest.raises(Refusal, match="no process belongs to the unit"):
            of_unit(unit)
    with pytest.raises(Refusal):
        of_unit("x.service")


@contextlib.contextmanager
def docker(folder: Path, answers: dict[str, bytes]) -> Iterator[str]:
    """Answer each path with scripted bytes, as a Docker that may be anything."""
    path = folder / "docker"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client = listener.accept()[0]
                    with client, contextlib.suppress(OSError):
                        asked = client.recv(4096).split(b" ")[1].decode()
                        client.sendall(answers.get(asked, b"HTTP/1.0 404 Not Found\r\n\r\n{}"))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        yield str(path)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def ok(answer: object) -> bytes:
    """Write a good answer."""
    return b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(answer).encode()


@pytest.mark.parametrize(
    ("images", "found"),
    [
        (["twingate/connector:1"], "c0"),
        (["nginx", "docker.io/twingate/connector@sha256:" + "0" * 64], "c1"),
        (["registry.corp.internal:5000/mirror/twingate/connector"], "c0"),
        (["sha256:" + "ab" * 32], "c0"),
        (["0123456789ab"], "c0"),
        (["nottwingate/connector:1", "twingate/connector-x", "twingate/connectors:1"], None),
        ([], None),
    ],
)
def test_the_only_container_of_the_image_is_found(tmp_path: Path, images: list[str], found: str | None) -> None:
    """Whatever the registry and tag, and when the tag has moved on; other images are not taken for it."""
    listed = [{"Id": f"c{number}", "Image": image} for number, image in enumerate(images)]
    answers = {"/containers/json": ok(listed), "/containers/c0/json": ok(RUNNING), "/containers/c1/json": ok(RUNNING)}
    if found:
        others = {f"/containers/c{number}/json" for number in range(2)} - {f"/containers/{found}/json"}
        answers |= {each: ok({**RUNNING, "Config": {"Image": "nginx"}}) for each in others}
    with docker(tmp_path, answers) as path:
        if found:
            assert of_container(path, "") == 4711
        else:
            with pytest.raises(Refusal, match="no container of the image"):
                of_container(path, "")


def test_of_several_containers_none_is_chosen(tmp_path: Path) -> None:
    """Two Connectors and no name: that is for a person to decide."""
    listed = [{"Id": each, "Image": "twingate/connector:1"} for each in "ab"]
    with docker(tmp_path, {"/containers/json": ok(listed)}) as path, pytest.raises(Refusal) as caught:
        of_container(path, "")
    assert caught.value.args[0] == "permission_denied"
    assert "--container NAME" in caught.value.args[1]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (ok({**RUNNING, "State": {"Running": False, "Pid": 0}}), "not_running"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n{}", "not_running"),
        (b"", "permission_denied"), (b"garbage", "permission_denied"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "permission_denied"),
        (b"HTTP/1.0 500 Oh\r\n\r\n{}", "permission_denied"), (ok([]), "permission_denied"),
        (ok({"State": {"Running": True, "Pid": "x"}}), "permission_denied"), (ok({"State": 3}), "permission_denied"),
        (b"HTTP/1.0 200 OK\r\n\r\n" + b"[" * 100_000, "permission_denied"),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 99\r\n\r\n{", "permission_denied"),
        (b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 500, "permission_denied"),
    ],
)  # fmt: skip
def test_whatever_docker_says_is_an_answer_or_a_refusal(tmp_path: Path, answer: bytes, kind: str) -> None:
    """A container that does not run is not running; what can't be understood is no verdict about it."""
    with docker(tmp_path, {"/containers/name/json": answer}) as path, pytest.raises(Refusal) as caught:
        of_container(path, "name")
    assert caught.value.args[0] == kind


def test_without_docker_it_says_so(tmp_path: Path) -> None:
    """No socket, and one where nobody listens or answers: one clause each."""
    with pytest.raises(Refusal, match="there is no Docker at"):
        of_container(str(tmp_path / "none"), "x")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "s"))
        with pytest.raises(Refusal, match="does not answer"):
            of_container(str(tmp_path / "s"), "x")
        silent.listen()
        with pytest.raises(Refusal, match="does not answer"):
            of_container(str(tmp_path / "s"), "x")


def _capabilities() -> int:
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    return int(status["CapEff"], 16) | int(status["CapPrm"], 16)


def _held() -> tuple[int, str]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
    return len(list(Path("/proc/self/fd").iterdir())), children


def test_docker_is_asked_without_any_capability() -> None:
    """What parses Docker's answers holds no privilege: not even what the helper itself keeps."""
    require("root")
    assert _capabilities() != 0
    assert apart(_capabilities) == 0


def test_a_search_that_fails_or_hangs_is_a_refusal() -> None:
    """The child's refusal is ours; one that never ends is ended, and one that dies has said nothing."""
    before = _held()

    def refuse() -> int:
        raise Refusal("not_running", "nothing runs")

    def hang() -> int:
        while True:
            signal.pause()

    def die() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 0

    for find, kind in ((refuse, "not_running"), (hang, "permission_denied"), (die, "permission_denied")):
        with pytest.raises(Refusal) as caught:
            apart(find, 0.2)
        assert caught.value.args[0] == kind
    assert _held() == before, "neither a descriptor nor a child that nobody waited for"
