"""Docker's answers are not trusted: malformed, endless and slow ones end in one clear clause, in bounded time."""

import asyncio
import contextlib
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from checks.connlog.model import LogUnreadableError, RawLine
from checks.model import Reason
from checks.net.errors import NetError
from checks.runtime.docker import DockerRuntime
from checks.runtime.docker_frames import MAX_FRAME
from checks.runtime.docker_log import DockerLog
from checks.runtime.docker_place import own_namespace
from checks.runtime.model import Sighting
from tests.support.cancel import check_cancellation
from tests.support.docker_fake import PING, Handler, answer, engine, fixed

SECRET = "planted-access-token"
ID = "a1" * 32
STAMP = b"2026-01-02T03:04:05.000000006Z "


def container(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return an answer of ContainerInspect."""
    return {
        "Id": ID, "Name": "/office", "Created": "2026-01-02T03:04:05Z", "RestartCount": 0, "ResolvConfPath": "",
        "State": {"Status": "running", "Running": True, "Pid": 0, "StartedAt": "2026-01-02T03:04:05.5+01:00",
                  "FinishedAt": "0001-01-01T00:00:00Z", "ExitCode": 0},
        "HostConfig": {"NetworkMode": "bridge", "LogConfig": {"Type": "json-file", "Config": {}}},
        "Config": {"Image": "twingate/connector:1", "Tty": False, "Labels": None,
                   "Env": [f"TWINGATE_ACCESS_TOKEN={SECRET}", "TWINGATE_NETWORK=acme", "TWINGATE_DNS"]},
    } | changes  # fmt: skip


def listed(*entries: tuple[str, str, str]) -> bytes:
    """Return an answer of ContainerList: (id, name, image)."""
    return answer([{"Id": i, "Names": [f"/{n}"], "Image": m, "State": "running", "Created": 1} for i, n, m in entries])


async def look(folder: Path, handler: Handler, name: str | None = "office", answer_s: float = 5.0) -> Sighting:
    """Look once at what this engine says."""
    async with engine(folder, handler) as url:
        runtime = DockerRuntime(url, name)
        runtime._api._answer_s = answer_s
        try:
            return await runtime.find()
        finally:
            await runtime.close()


async def test_a_plain_answer(tmp_path: Path) -> None:
    """What is missing of an answer is not made up; times of any zone are Unix time."""
    seen = await look(tmp_path, fixed({"/containers/office/json": answer(container())}))
    assert (seen.name, seen.running, seen.pid, seen.started_at) == ("office", True, None, 1767319445.0)
    assert (seen.version, seen.health, dict(seen.environment)) == ("", None, {"TWINGATE_NETWORK": "acme"})


async def test_tokens_are_never_decoded(tmp_path: Path) -> None:
    """What may not be known stays bytes: a token that can't be made a string at all does not even disturb."""
    body = answer(container()).partition(b"\r\n\r\n")[2].replace(SECRET.encode(), b"\xff\xfe no text")
    seen = await look(tmp_path, fixed({"/containers/office/json": answer(body)}))
    assert dict(seen.environment) == {"TWINGATE_NETWORK": "acme"}


@pytest.mark.parametrize(
    ("body", "status", "evidence"),
    [
        (b"", 200, "can't be read"),
        (b"[" * 100_000, 200, "can't be read"),
        (container(Config={"Image": 7, "Env": [f"TWINGATE_ACCESS_TOKEN={SECRET}"]}), 200, "can't be read"),
        (container(Config={"Image": "x", "Env": {"TWINGATE_ACCESS_TOKEN": SECRET}}), 200, "can't be read"),
        (b'{"Id":"a","Name":"\xff' + SECRET.encode(), 200, "can't be read"),
        ({"message": SECRET}, 500, "answered HTTP 500"),
        ({"message": SECRET}, 403, "answered HTTP 403"),
        ({"message": SECRET}, 302, "answered HTTP 302"),
    ],
    ids=["empty", "deep", "wrong type", "object for a list", "cut off", "500", "403", "redirect"],
)
async def test_answers_of_no_use(tmp_path: Path, body: object, status: int, evidence: str) -> None:
    """An answer that is none is unknown, with what was seen, and what it held is nowhere in what we say."""
    seen = await look(tmp_path, fixed({"/containers/office/json": answer(body, status)}))
    assert seen.problem is Reason.PERMISSION_DENIED
    assert evidence in seen.evidence
    assert seen.action
    assert SECRET not in repr(seen)


@pytest.mark.parametrize(
    ("ping", "evidence"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK", "names no version"),
        (PING.replace(b"1.41", b"../x"), "names no version"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000 + b"\r\n\r\n", "HTTP"),
        (b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
    ],
    ids=["not http", "no version", "path for a version", "endless header", "bad chunk"],
)
async def test_no_docker(tmp_path: Path, ping: bytes, evidence: str) -> None:
    """What listens there and is no Docker is said to be none."""
    seen = await look(tmp_path, fixed({}, ping))
    assert seen.problem is not None
    assert evidence in seen.evidence


async def test_endless_body(tmp_path: Path) -> None:
    """A body without end is given up at its bound."""

    async def endless(path: str, writer: asyncio.StreamWriter) -> bool:
        if path == "/_ping":
            writer.write(PING)
            return True
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
        while True:
            writer.write(chunk)
            await writer.drain()

    seen = await look(tmp_path, endless)
    assert "sent more than 16 MiB" in seen.evidence


async def test_trickle(tmp_path: Path) -> None:
    """A body that comes byte by byte is given up when its time is over, not when each read's is."""

    async def trickle(path: str, writer: asyncio.StreamWriter) -> bool:
        if path == "/_ping":
            writer.write(PING)
            return True
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)
        return False

    seen = await look(tmp_path, trickle, answer_s=0.3)
    assert "no complete answer within 0.3 s" in seen.evidence


async def test_list_of_lies(tmp_path: Path) -> None:
    """Names and ids of the list that are no names are shown harmlessly and never become part of a question."""
    asked = []
    answers = fixed({"/containers/json": listed(("../x", "../../y", "sha256:" + "0" * 64), (ID, "a", "not/ours"))})

    async def handle(path: str, writer: asyncio.StreamWriter) -> bool:
        asked.append(path)
        return await answers(path, writer)

    seen = await look(tmp_path, handle, name=None)
    assert seen.problem is Reason.NOT_FOUND
    assert set(asked) == {"/_ping", "/v1.41/containers/json?all=1"}


@pytest.mark.parametrize(
    ("image", "found"),
    [
        ("twingate/connector", True),
        ("docker.io/twingate/connector@sha256:" + "0" * 64, True),
        ("localhost:5000/twingate/connector:1.80.0@sha256:" + "0" * 64, True),
        ("nottwingate/connector:1", False),
        ("twingate/connector-extra:1", False),
        ("twingate/connector/x:1", False),
    ],
)
async def test_image_names(tmp_path: Path, image: str, found: bool) -> None:
    """The Connector's image is known by its repository, whatever its registry, tag and digest."""
    answers = {"/containers/json": listed((ID, "office", image)), f"/containers/{ID}/json": answer(container())}
    assert (await look(tmp_path, fixed(answers), name=None)).running is (True if found else None)


def log_of(*parts: bytes, status: int = 200, pause: bool = False, cut: bool = False) -> Handler:
    """Answer the question for the log with these parts of a chunked body."""

    async def handle(path: str, writer: asyncio.StreamWriter) -> bool:
        if path == "/_ping":
            for byte in (PING[:30], PING[30:]) if pause else (PING,):
                writer.write(byte)
                await asyncio.sleep(0.002 if pause else 0)
            return True
        writer.write(b"HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\n\r\n" % status)
        for part in parts:
            if pause:
                await asyncio.sleep(0.002)
            writer.write(b"%x\r\n%s\r\n" % (len(part), part))
            await writer.drain()
        if cut:
            return False
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    return handle


def frame(text: bytes, stream: int = 1, stamp: bytes = STAMP) -> bytes:
    """Return a record of the log in its frame."""
    return bytes([stream, 0, 0, 0]) + len(stamp + text).to_bytes(4, "big") + stamp + text


async def follow(folder: Path, handler: Handler, *, tty: bool = False) -> Sequence[RawLine]:
    """Read the log of this engine to its end."""
    found: list[RawLine] = []
    async with engine(folder, handler) as url, asyncio.timeout(20):
        await gather(url, found, tty=tty)
    return found


async def gather(url: str, found: list[RawLine], *, tty: bool = False) -> None:
    """Read into `found`: what came before a failure is there, too."""
    async with contextlib.aclosing(DockerLog(url, "office", tty=tty).follow(None, None)) as batches:
        async for batch in batches:
            found += batch


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_frames_in_pieces(tmp_path: Path, size: int) -> None:
    """Frames are put together however the network has cut them, and a line whatever its parts' times are."""
    later = STAMP.replace(b"06Z", b"07Z")
    whole = frame(b"one\n") + frame(b"A" * 16384) + frame(b"err\n", 2) + frame(b"B\n", stamp=later) + frame(b"end")
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    found = await follow(tmp_path, log_of(*parts))
    assert [line.text for line in found] == [b"one", b"err", b"A" * 16384 + b"B", b"end"]
    assert found[0].at == pytest.approx(1767323045, abs=0.001)


@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_terminal_in_pieces(tmp_path: Path, size: int) -> None:
    """So are the bare records of a terminal."""
    whole = STAMP + b"one\r\n" + STAMP + b"A" * 16384 + STAMP + b"B\r\n" + STAMP + b"end"
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    found = await follow(tmp_path, log_of(*parts), tty=True)
    assert [line.text for line in found] == [b"one", b"A" * 16384 + b"B", b"end"]


async def test_zone_of_the_daemon(tmp_path: Path) -> None:
    """A daemon that stamps in its own zone is understood."""
    found = await follow(tmp_path, log_of(frame(b"x\n", stamp=b"2026-01-02T05:04:05.000000006+02:00 ")))
    assert found[0].at == pytest.approx(1767323045, abs=0.001)
    assert found[0].text == b"x"


@pytest.mark.parametrize(
    ("body", "tty", "text"),
    [
        (b"\x01\x00\x00\x00" + (MAX_FRAME + 1).to_bytes(4, "big"), False, "not a container's log"),
        (b"\x01\x00\x00\x00\xff\xff\xff\xff", False, "not a container's log"),
        (b"plain text without frames", False, "not a container's log"),
        (frame(b"no time\n", stamp=b""), False, "not a container's log"),
        (frame(b"x\n", stamp=b"2026-13-02T03:04:05.000000006Z "), False, "not a container's log"),
        (frame(b"error reading log", 3, b""), False, "can't read the log file"),
        (b"x" * 4096, True, "not a container's log"),
        (b"x " * 4096 + b"\n", True, "not a container's log"),
    ],
    ids=["long frame", "longest frame", "no frames", "no time", "no such time", "error", "no blank", "no stamp"],
)
async def test_no_log(tmp_path: Path, body: bytes, tty: bool, text: str) -> None:
    """What is not of a container's log is one clause, whatever its declared length."""
    with pytest.raises(LogUnreadableError, match=text):
        await follow(tmp_path, log_of(body), tty=tty)


async def test_broken_off(tmp_path: Path) -> None:
    """A stream that breaks off is told apart from one that ended, after all that had come."""
    handler = log_of(frame(b"one\n"), cut=True)
    found: list[RawLine] = []
    async with engine(tmp_path, handler) as url:
        with pytest.raises(NetError, match="middle of its answer"):
            await gather(url, found)
    assert [line.text for line in found] == [b"one"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, LogUnreadableError), (404, LogUnreadableError), (501, LogUnreadableError), (500, NetError)],
)
async def test_log_refused(tmp_path: Path, status: int, kind: type[Exception]) -> None:
    """Each refusal says whether asking again soon is of use."""
    with pytest.raises(kind):
        await follow(tmp_path, log_of(status=status))


async def test_rotation_and_cursor(tmp_path: Path) -> None:
    """When Docker has deleted the file that a cursor counted in, what is newer than the cursor is read all the same."""
    newer = [STAMP.replace(b"05.0", b"0%d.0" % second) for second in (6, 7)]
    async with engine(tmp_path, log_of(frame(b"new\n", stamp=newer[0]), frame(b"newer\n", stamp=newer[1]))) as url:
        log = DockerLog(url, "office", now=lambda: 1767323100.0)
        found = [
            line async for batch in log.follow("1767323040000000000:500:1767323045000000006", None) for line in batch
        ]
    assert [line.text for line in found] == [b"new", b"newer"]


async def test_cancelled_at_each_wait(tmp_path: Path) -> None:
    """Cancelled while Docker hesitates at every point, it leaves no socket and no task."""
    async with engine(tmp_path, log_of(frame(b"one\n"), frame(b"two\n"), pause=True)) as url:

        async def read() -> None:
            async with contextlib.aclosing(DockerLog(url, "office").follow(None, None)) as batches:
                async for _ in batches:
                    pass

        assert await check_cancellation(read) >= 8
    gc.collect()


@pytest.mark.parametrize("host", ["tcp://docker.example.com:2375", "https://127.0.0.1:2376", "http://[::1"])
async def test_hosts_that_are_not_followed(host: str) -> None:
    """A log over TLS, or from a host given by name, is not read, and that is said."""
    with pytest.raises(LogUnreadableError, match="can't be read over"):
        await anext(DockerLog(host, "office").follow(None, None))


def mountinfo(folder: Path, root: str) -> Path:
    """Make a /proc in which this file of Docker's is our resolv.conf."""
    (folder / "self").mkdir()
    text = f"1 2 0:1 / / rw - overlay overlay rw\n3 1 8:1 {root} /etc/resolv.conf rw - ext4 /dev/sda1 rw\n"
    (folder / "self/mountinfo").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("root", "mode", "path", "shared"),
    [
        ("/var/lib/docker/containers/a1/resolv.conf", "bridge", "/var/lib/docker/containers/a1/resolv.conf", True),
        ("/containers/a1/resolv.conf", "container:b2", "/data/containers/a1/resolv.conf", True),
        ("/var/lib/docker/containers/b2/resolv.conf", "bridge", "/var/lib/docker/containers/a1/resolv.conf", False),
        ("/var/lib/docker/containers/b2/resolv.conf", "host", "/var/lib/docker/containers/a1/resolv.conf", None),
        ("/etc/resolv.conf", "host", "/var/lib/docker/containers/a1/resolv.conf", True),
        ("/etc/resolv.conf", "bridge", "/var/lib/docker/containers/a1/resolv.conf", False),
    ],
    ids=["we joined it", "it joined us", "apart", "both in containers", "both on the host", "it alone in a container"],
)
def test_own_namespace_without_its_process(
    tmp_path: Path, root: str, mode: str, path: str, shared: bool | None
) -> None:
    """Where its process can't be seen, a shared resolv.conf tells that two containers share a network."""
    proc = mountinfo(tmp_path, root)
    assert own_namespace(container=ID, pid=1, network_mode=mode, resolv_conf=path, proc=proc) is shared
