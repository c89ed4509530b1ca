"""connector-health-netns: what it hands out, to whom, and what it keeps of its privilege."""

import ast
import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.helper import HelperClient, start_helper
from tests.support.netns import Namespace, namespace
from tests.support.seat_helper import Stander, cookie, helper, open_descriptors, stander
from tests.support.servers import find, require, wait_until

SOURCE = Path(__file__).parents[2] / "daemon"
KINDS = [(f, k) for f in (socket.AF_INET, socket.AF_INET6) for k in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
NEEDED = "0000000000282004"  # CAP_SYS_ADMIN, CAP_SYS_PTRACE, CAP_NET_RAW, CAP_DAC_READ_SEARCH
NONE = "0000000000000000"
NOBODY = 65534
PLANTED = {
    "TWINGATE_NETWORK": "acme", "TWINGATE_ACCESS_TOKEN": "planted-access", "TWINGATE_REFRESH_TOKEN": "planted-refresh",
    "TWINGATE_DNS": "10.0.0.2,10.0.0.3", "TWINGATE_LOG_LEVEL": "5", "TWINGATE_LABEL_SITE": "x\ny=z", "HOME": "/root",
    "XTWINGATE_URL": "no", "TWINGATE_URLX": "no", "TWINGATE_METRICS_PORT": "9" * 2000,
}  # fmt: skip


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    """A network namespace for stand-ins."""
    with namespace() as made:
        yield made


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, space: Namespace) -> Iterator[Stander]:
    """A running stand-in."""
    with stander(tmp_path_factory.mktemp("standin")) as made:
        made.start(space, PLANTED)
        yield made


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, watched: Stander) -> Iterator[tuple[str, int]]:
    """A helper that watches it: its socket and its process id."""
    with helper(tmp_path_factory.mktemp("helper"), "--process", watched.name) as made:
        yield made


@contextlib.contextmanager
def client_at(path: str) -> Iterator[HelperClient]:
    """Make a client and close it."""
    made = HelperClient(path)
    try:
        yield made
    finally:
        made.close()


@contextlib.contextmanager
def raw(path: str) -> Iterator[socket.socket]:
    """Connect to a helper without its client."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(10)
        sock.connect(path)
        yield sock


def test_it_is_small_and_needs_nothing_but_python() -> None:
    """Whoever audits it reads 200 lines, its other half, and how it makes raw sockets; nothing of others is loaded."""
    parts = {"daemon.netns": 200, "daemon.netns_target": 280, "checks.net.rawtcp": 160}
    for part, most in parts.items():
        text = (SOURCE.parent / part.replace(".", "/")).with_suffix(".py").read_text()
        assert len(text.splitlines()) <= most
        for node in ast.walk(ast.parse(text)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] in sys.stdlib_module_names or name in parts
    for package in ("daemon", "checks", "checks/net"):
        assert (SOURCE.parent / package / "__init__.py").read_text().count("import") == 0


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_sockets_stand_in_the_connector_s_network(
    beside: tuple[str, int], space: Namespace, family: int, kind: int
) -> None:
    """What it passes is a non-blocking socket of the namespace of the process, not of ours."""
    with (
        client_at(beside[0]) as client,
        client.open_socket(family, kind) as theirs,
        space.open_socket(family, kind) as same,
        socket.socket(family, kind) as ours,
    ):
        assert (theirs.family, theirs.type, theirs.gettimeout()) == (family, kind, 0)
        assert cookie(theirs) == cookie(same) != cookie(ours)
        assert not theirs.get_inheritable()


def test_it_keeps_four_capabilities_and_gets_no_more(beside: tuple[str, int]) -> None:
    """Every set is cut, the bounding set too, and no executable could bring anything back."""
    status = dict(re.findall(r"^(\w+):\s+(\S+)$", Path(f"/proc/{beside[1]}/status").read_text(), re.MULTILINE))
    assert [status[f"Cap{name}"] for name in ("Prm", "Eff", "Bnd", "Inh", "Amb")] == [NEEDED] * 3 + [NONE] * 2
    assert status["NoNewPrivs"] == "1"
    assert status["Threads"] == "1"


def test_the_state_is_that_of_the_process(beside: tuple[str, int], watched: Stander, space: Namespace) -> None:
    """Number, start, namespace, descriptors and sysctl are the process's, and its settings come without tokens."""
    with client_at(beside[0]) as client:
        state = client.state()
        assert client.mark() == (state.pid, state.started, state.namespace)
    assert state.pid == watched.pid
    assert state.namespace == Path(f"/run/netns/{space.name}").stat().st_ino
    assert state.own is False
    assert state.started == int(Path(f"/proc/{watched.pid}/stat").read_text().rpartition(")")[2].split()[19])
    assert state.fds[0] == open_descriptors(watched.pid)
    assert state.fds[1] > state.fds[0]
    assert state.ping_group_range == (1, 0)
    assert dict(state.environment) == {
        "TWINGATE_NETWORK": "acme", "TWINGATE_DNS": "10.0.0.2,10.0.0.3", "TWINGATE_LOG_LEVEL": "5",
        "TWINGATE_LABEL_SITE": "x\ny=z", "TWINGATE_METRICS_PORT": "9" * 512,
    }  # fmt: skip


def test_tokens_never_leave_it(beside: tuple[str, int]) -> None:
    """No byte of a token is in what it sends."""
    with raw(beside[0]) as sock:
        sock.send(b'{"op": "state"}')
        assert b"planted" not in sock.recv(1 << 17)


@pytest.mark.parametrize(
    "request_",
    [
        b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"op": "socket"}', b'{"op": "socket", "family": 2, "type": 3}',
        b'{"op": "socket", "family": 1, "type": 1}', b'{"op": "socket", "family": 17, "type": 2}',
        b'{"op": "socket", "family": [2], "type": {}}', b'{"op": "socket", "family": "2", "type": "1"}',
        b'{"op": "file", "name": "../etc/shadow"}', b'{"op": "file", "name": "passwd"}', b'{"op": "file", "name": []}',
        b'{"op": "file"}', b'{"op": "net", "name": "tcp"}', b'{"op": "net", "name": "../environ"}', b'{"op": "run"}',
        b'{"op": {"a": 1}}', b"[" * 256, b'{"id": 1, "op": "state"' + b" " * 300 + b"}", b'{"op": "mark"}' * 3,
    ],
)  # fmt: skip
def test_bad_requests_are_refused(beside: tuple[str, int], request_: bytes) -> None:
    """Whatever is asked that it does not know: one clear refusal, no descriptor, and the next request is answered."""
    with raw(beside[0]) as sock:
        if request_:
            sock.send(request_)
            data, passed, _, _ = socket.recv_fds(sock, 4096, 4)
            assert json.loads(data)["error"] == "bad_request"
            assert passed == []
            sock.send(b'{"op": "mark", "id": 7}')
            assert json.loads(sock.recv(4096))["id"] == 7
        else:
            sock.send(request_)  # looks like the end of the connection, and is taken for it
            assert sock.recv(4096) == b""


def test_nothing_leaks(beside: tuple[str, int]) -> None:
    """Ten thousand sockets, files and refusals later both sides have as many descriptors as before."""
    with client_at(beside[0]) as client:
        client.mark()
        before = open_descriptors(), open_descriptors(beside[1])
        for number in range(10_000):
            client.open_socket(*KINDS[number % 4]).close()
            if number % 10 == 0:
                client.read_file("hosts")
                client.read_net("dev")
        client.mark()  # an answer comes before the helper has closed its own end of what it passed
        assert (open_descriptors(), open_descriptors(beside[1])) == before


def test_it_has_eight_clients_at_most(beside: tuple[str, int]) -> None:
    """The ninth is told so at once; when one leaves there is room again."""
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(raw(beside[0])) for _ in range(8)]
        with raw(beside[0]) as ninth:
            assert json.loads(ninth.recv(4096))["error"] == "permission_denied"
            assert ninth.recv(4096) == b""
        with client_at(beside[0]) as client, pytest.raises(SeatError, match="8 in all"):
            client.mark()
        held[0].close()
        with client_at(beside[0]) as client:
            wait_until(lambda: answered(client), lambda: True, lambda: "no room")


def answered(client: HelperClient) -> bool:
    """Tell whether a helper answers a client now."""
    with contextlib.suppress(SeatError):
        return bool(client.mark())
    return False


def test_a_client_that_does_not_listen_is_left(beside: tuple[str, int]) -> None:
    """Who asks and never reads is hung up on; the others are answered meanwhile."""
    with raw(beside[0]) as deaf, client_at(beside[0]) as other:
        # Its own send blocks until the helper has read, so this ends.
        with pytest.raises((BrokenPipeError, ConnectionResetError)):  # noqa: PT012 - which of them fails is open
            for _ in range(100_000):
                deaf.send(b'{"op": "mark"}')
        assert other.mark()


@pytest.mark.parametrize("admitted", [False, True])
def test_only_those_it_was_told_of_may_ask(tmp_path: Path, watched: Stander, admitted: bool) -> None:
    """A user who can open the socket is still no user whom it serves, unless --user says so."""
    ask = f"import os,socket,sys;os.setuid({NOBODY});s=socket.socket(1,5);s.connect(sys.argv[1]);print(s.recv(999))"
    if admitted:
        ask = ask.replace("print", "s.send(b'{}');print")
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    user = ["--user", str(NOBODY)] if admitted else []
    with helper(tmp_path, "--process", watched.name, *user) as (path, _):
        assert Path(path).stat().st_mode & 0o777 == 0o660
        Path(path).chmod(0o666)
        argv = [sys.executable, "-I", "-c", ask, path]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert ("bad_request" if admitted else "permission_denied") in said.stdout, said.stderr


@pytest.mark.parametrize(("fails", "code"), [(1, 3), (2, -signal.SIGABRT)])
def test_it_aborts_when_it_can_not_return(fails: int, code: int) -> None:
    """Left in a foreign network it would answer falsely for ever; not to have got in is just an error."""
    program = f"""
import os
from daemon.netns import READ, inside
calls = []
def setns(*arguments):
    calls.append(arguments)
    if len(calls) == {fails}:
        raise PermissionError("scripted")
place, own = os.open("/proc/self", os.O_PATH), os.open("/proc/self/ns/net", READ)
try:
    with inside(place, own, setns):
        pass
except PermissionError:
    raise SystemExit(3)
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False, preexec_fn=no_core)
    assert done.returncode == code


def no_core() -> None:
    """Leave no core file of what aborts on purpose."""
    import resource  # noqa: PLC0415 - in the child

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def test_one_of_our_own_ends_with_us(watched: Stander) -> None:
    """`healthctl check` as root starts a helper for itself; closing the client ends and reaps it."""
    client = start_helper(["--process", watched.name])
    process = client._process
    assert process
    assert client.mark()[0] == watched.pid
    client.close()
    assert process.returncode == 0


def test_one_that_can_not_start_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    """A helper that does not like its arguments says so and is not waited for."""
    with pytest.raises(SeatError) as caught:
        start_helper(["--container", "x", "--docker-host", "tcp://127.0.0.1:1"])
    assert caught.value.reason is Reason.PERMISSION_DENIED
    assert "must begin with unix://" in capfd.readouterr().err


def test_a_socket_from_systemd_is_served(tmp_path: Path, watched: Stander) -> None:
    """Socket activation: the listener is made by systemd, which may make it for a group of its choice."""
    require("systemd-socket-activate")
    path = tmp_path / "s"
    argv = [find("systemd-socket-activate") or "", "--seqpacket", "-l", str(path), sys.executable, "-I", "-c"]
    argv += ["from daemon.netns import main; main()", "--process", watched.name]
    process = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
    try:
        wait_until(path.exists, lambda: process.poll() is None, lambda: "no socket")
        with client_at(str(path)) as client:
            wait_until(lambda: answered(client), lambda: process.poll() is None, lambda: "no answer")
            assert client.mark()[0] == watched.pid
    finally:
        process.terminate()
        process.wait()


def test_a_socket_left_behind_is_replaced_and_a_live_one_is_not(tmp_path: Path, watched: Stander) -> None:
    """After a crash it starts again by itself; a second one does not push the first aside."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(str(tmp_path / "s"))
    with helper(tmp_path, "--process", watched.name) as (path, _):
        argv = [sys.executable, "-I", "-c", "from daemon.netns import main; main()", "--socket", path, "--process", "x"]
        second = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
        assert second.returncode == 2
        assert "the socket can't be had" in second.stderr
        with client_at(path) as client:
            assert client.mark()[0] == watched.pid
