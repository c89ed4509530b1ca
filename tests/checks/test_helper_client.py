"""The client of the helper: whatever comes back, it ends in time, says one clause, and keeps no descriptor."""

import array
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.helper import HelperClient
from checks.net.helper_wire import MAX_REST_S, REST_S
from checks.net.rawtcp import open_raw
from tests.support.netns import namespace
from tests.support.seat_helper import helper, open_descriptors, stander
from tests.support.servers import require

TCP = (socket.AF_INET, socket.SOCK_STREAM)
STATE = {
    "pid": 7, "started": 8, "namespace": 9, "own": False, "fds": [3, 1024], "ping_group_range": [1, 0],
    "environment": {"TWINGATE_NETWORK": "acme"},
}  # fmt: skip


class Scripted:
    """The other end of a connected pair: it has answered before it was asked."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.client = HelperClient(sock=self.ours)

    def says(self, answer: object, *descriptors: int) -> None:
        """Send an answer with descriptors, and close them here."""
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        self.theirs.sendmsg([data], passed)
        for each in descriptors:
            os.close(each)


@pytest.fixture
def other() -> Iterator[Scripted]:
    """A scripted helper; no descriptor may be left of what it passed."""
    made = Scripted()
    before = open_descriptors()
    yield made
    assert open_descriptors() == before
    made.client.close()
    made.theirs.close()


def tcp() -> int:
    """Make the descriptor of a TCP socket."""
    return socket.socket(*TCP).detach()


def udp() -> int:
    """Make the descriptor of a UDP socket."""
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def null() -> int:
    """Open a device."""
    return os.open("/dev/null", os.O_RDONLY)


def large() -> int:
    """Open a regular file that is too large."""
    return os.open("/bin/busybox", os.O_RDONLY)


ASKS: dict[str, Callable[[HelperClient], object]] = {
    "socket": lambda client: client.open_socket(*TCP).close(),
    "raw": lambda client: client.open_raw(socket.AF_INET).raw.close(),
    "file": lambda client: client.read_file("hosts"),
    "mark": HelperClient.mark,
    "state": HelperClient.state,
}


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    ("answer", "passed"),
    [
        ({}, ()), ({}, (tcp, tcp)), ({}, (tcp, null, udp, tcp, tcp, tcp)), ({}, (null,)), ({}, (udp,)), ({}, (large,)),
        (STATE, (tcp, tcp)), (b"no JSON", ()), (b"no JSON", (tcp,)), (b"[" * 5000, ()), ([], (tcp,)), (7, ()),
        (b'{"pid": 1e999, "started": 1, "namespace": 1}', ()), ({"pid": "x"}, ()),
        ({**STATE, "fds": 3}, ()), ({**STATE, "fds": [1]}, ()), ({**STATE, "environment": []}, ()),
        ({"error": "permission_denied", "text": "no"}, (tcp,)), ({"error": None, "id": 1}, (null, null)),
        ({"error": ["x"], "text": {}}, ()), ({"error": "failed", "text": "x", "errno": "EPERM"}, ()),
    ],
)  # fmt: skip
def test_a_strange_answer_is_refused(
    other: Scripted, ask: str, answer: object, passed: tuple[Callable[[], int], ...]
) -> None:
    """What is not exactly what was asked for is permission_denied with one clause, and every descriptor is closed."""
    other.says(answer, *(make() for make in passed))
    with contextlib.suppress(FileNotFoundError):
        if ask == "mark" and answer in ({**STATE, "fds": 3}, {**STATE, "fds": [1]}, {**STATE, "environment": []}):
            assert ASKS[ask](other.client) == (7, 8, 9)
            return
        with pytest.raises(SeatError) as caught:
            ASKS[ask](other.client)
        assert caught.value.reason is Reason.PERMISSION_DENIED
        assert len(caught.value.evidence) < 300


def test_a_raw_socket_must_be_deaf_for_good(other: Scripted) -> None:
    """One without the locked filter would hear what is not ours: it is not taken, whoever passes it."""
    require("root")
    other.says({}, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).detach())
    with pytest.raises(SeatError, match="does not fit"):
        other.client.open_raw(socket.AF_INET)
    other.says({}, open_raw(socket.AF_INET6, 4242).detach())
    with pytest.raises(SeatError, match="does not fit"):
        other.client.open_raw(socket.AF_INET)
    for port in (None, 0, 65536, True, "4242"):
        other.says({"port": port}, open_raw(socket.AF_INET, 4242).detach())
        with pytest.raises(SeatError, match="does not fit"):
            other.client.open_raw(socket.AF_INET)
    other.says({"port": 4242}, open_raw(socket.AF_INET, 4242).detach())
    other.client.open_raw(socket.AF_INET).raw.close()


def test_answers_are_what_they_say(other: Scripted) -> None:
    """Each kind of refusal is its own error, and a state is read as it was sent, without a token if there were one."""
    other.says({"error": "not_running", "text": "gone"})
    with pytest.raises(SeatError) as caught:
        other.client.mark()
    assert (caught.value.reason, caught.value.evidence) == (Reason.NOT_RUNNING, "gone")
    other.says({"error": "failed", "text": "x", "errno": 97})
    with pytest.raises(OSError, match="x") as kernel:
        other.client.open_socket(*TCP)
    assert (kernel.value.errno, isinstance(kernel.value, SeatError)) == (97, False)
    other.says({"error": "not_found", "text": "there is no such file"})
    with pytest.raises(FileNotFoundError):
        other.client.read_file("hosts")
    other.says({**STATE, "environment": {"TWINGATE_NETWORK": "acme", "TWINGATE_ACCESS_TOKEN": "planted"}})
    state = other.client.state()
    assert (state.pid, state.started, state.namespace, state.own, state.fds) == (7, 8, 9, False, (3, 1024))
    assert dict(state.environment) == {"TWINGATE_NETWORK": "acme"}


def test_an_answer_that_comes_late_is_not_taken_for_the_next(other: Scripted) -> None:
    """After a time-out its number tells it, and the socket that came with it is closed."""
    other.says({"id": 0}, udp())
    other.says({"id": 1}, tcp())
    made = other.client.open_socket(*TCP)
    assert made.fileno() >= 0
    made.close()


def test_answers_that_come_just_in_time_are_not_asked_for_all_the_time() -> None:
    """A helper that is slow without ever being late would hold up the event loop: it is left alone for a while."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    now, step = [100.0], [0.03]

    def clock() -> float:
        now[0] += step[0]
        return now[0]

    client = HelperClient(sock=ours, clock=clock)

    def asked() -> bool:
        theirs.send(json.dumps(STATE).encode())
        try:
            client.mark()
        except SeatError as error:
            assert "did not answer lately" in str(error)  # noqa: PT017 - how many came before it is counted
            return False
        theirs.recv(999, socket.MSG_DONTWAIT)
        return True

    answers = 0
    while asked():
        answers += 1
        assert answers < 20
    assert answers >= 2, "one slow answer is no habit"
    step[0] = 0.0
    now[0] += 60
    assert all(asked() for _ in range(1000)), "one that is quick again is asked as often as one likes"
    client.close()
    theirs.close()


def test_silence_ends_in_time_and_is_left_alone() -> None:
    """A helper that hangs stops the event loop once, then not again for a while that doubles."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    now = [100.0]

    def clock() -> float:
        now[0] += 0.3  # every look at the clock takes longer than the time-out: the answer is waited for 1 ms
        return now[0]

    client = HelperClient(sock=ours, clock=clock)

    def asked() -> int:
        with pytest.raises(SeatError) as caught:
            client.mark()
        assert caught.value.reason is Reason.PERMISSION_DENIED
        with contextlib.suppress(BlockingIOError):
            return len(theirs.recv(999, socket.MSG_DONTWAIT))
        return 0

    assert asked() > 0
    assert asked() == 0
    rest = REST_S
    for _ in range(6):
        now[0] += rest + 1
        assert asked() > 0
        rest = min(rest * 2, MAX_REST_S)
        now[0] += rest - 2
        assert asked() == 0
    now[0] += MAX_REST_S
    theirs.send(json.dumps({"id": 9, **STATE}).encode())
    theirs.send(json.dumps(STATE).encode())
    assert client.mark() == (7, 8, 9)
    client.close()
    theirs.close()


def test_a_stopped_helper_goes_on_where_it_was(tmp_path: Path) -> None:
    """A real one, stopped by a signal: an error within the time-out; continued, it serves the same client."""
    now = [0.0]
    with namespace() as ns, stander(tmp_path) as watched:
        watched.start(ns)
        with helper(tmp_path, "--process", watched.name) as (path, pid):
            client = HelperClient(path, clock=lambda: now[0])
            client.open_socket(*TCP).close()
            before = open_descriptors()
            os.kill(pid, signal.SIGSTOP)
            try:
                with pytest.raises(SeatError, match="does not answer: is it stopped"):
                    client.open_socket(*TCP)
            finally:
                os.kill(pid, signal.SIGCONT)
            now[0] += REST_S
            client.open_socket(*TCP).close()
            assert open_descriptors() == before
            client.close()


def test_root_asks_no_helper_of_another_user(tmp_path: Path) -> None:
    """A false helper that the daemon's user puts into its own directory hands nothing to `check` as root."""
    require("root")
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:
        folder.chmod(folder.stat().st_mode | 0o011)
    path, ours, theirs = tmp_path / "netns.sock", *socket.socketpair()
    if not (child := os.fork()):
        os.setresuid(65534, 65534, 65534)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
            door.bind(str(path))
            path.chmod(0o666)
            door.listen()
            theirs.send(b"!")
            theirs.recv(1)
        os._exit(0)
    with ours, theirs, contextlib.closing(HelperClient(str(path))) as client:
        assert ours.recv(1)
        with pytest.raises(SeatError, match="user 65534's") as caught:
            client.mark()
        assert caught.value.reason is Reason.PERMISSION_DENIED
        ours.send(b"!")
        assert os.waitpid(child, 0)[1] == 0


def test_an_empty_packet_leaves_no_descriptor() -> None:
    """A packet without a byte is the end of the helper, and what came with it is closed as well."""
    before = open_descriptors()
    scripted = Scripted()
    scripted.says(b"", tcp(), null())
    scripted.says(b"", udp())
    with pytest.raises(SeatError, match="closed the connection"):
        scripted.client.mark()
    scripted.theirs.close()
    assert open_descriptors() == before
