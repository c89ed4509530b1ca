"""Somebody else may listen on the daemon's port: whatever comes is bounded, and shown as harmless text."""

import contextlib
import json
import re
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from checks.net.endpoint import Endpoint
from daemon.cli.answer import MAX_FACTS, as_json, read_document
from daemon.cli.ask import AskError, Bounds, UnreachableError, ask
from daemon.cli.places import Place
from daemon.cli.render_status import render
from daemon.report import encode, report
from tests.support.cli import healthctl
from tests.support.observed import everything
from tests.support.outage import NOW, outage
from tests.support.servers import free_port
from tests.support.statuses import Lie, answer, liar

SHORT = Bounds(silence_s=0.2, whole_s=0.5, max_bytes=1 << 20)


def document() -> dict[str, Any]:
    """Return a document as a daemon sends it, to be spoilt."""
    found: dict[str, Any] = json.loads(encode(report(everything())))
    return found


def outage_document() -> dict[str, Any]:
    """Return one with a cause, alerts and changes, to be spoilt."""
    found: dict[str, Any] = json.loads(encode(report(outage(2))))
    return found


def says(data: bytes) -> Lie:
    """Answer with these bytes."""
    return lambda sock: sock.sendall(data)


def endless(sock: socket.socket) -> None:
    """Send a body for as long as somebody takes it."""
    sock.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(b" " * 65536)


def dripping(sock: socket.socket) -> None:
    """Send a byte of a header now and then, for ever."""
    sock.sendall(b"HTTP/1.1 200 OK\r\nX: ")
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(b"x")
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("lie", "words"),
    [
        (says(b""), "does not speak HTTP"),
        (says(b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak HTTP"),
        (says(b"\x00\xff" * 500), "does not speak HTTP"),
        (says(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n"), "does not speak HTTP"),
        (says(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70000), "does not speak HTTP"),
        (says(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), "does not speak HTTP"),
        (says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "does not speak HTTP"),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 40), "does not speak HTTP"),
        (says(answer(b"see \x1b[2J there\nmore", status="403 No")), r"answered HTTP 403: see \x1b[2J there"),
        (endless, "answered more than 1 MiB: it is not connector-health"),
        (dripping, "did not finish its answer within 0.5 s"),
    ],
)
def test_what_is_no_answer_is_one_clear_line(lie: Lie, words: str) -> None:
    """Garbage, too much, too slow or a refusal: each ends the asking with its own line."""
    with liar(lie) as at, pytest.raises(AskError) as caught:
        ask([Place(at)], "/api/v1/status", SHORT)
    assert words in str(caught.value)
    assert str(at) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_silence_is_not_waited_for_for_ever() -> None:
    """A daemon that hangs accepts and says nothing: that is told, and how long it was waited for."""
    over = threading.Event()

    def wait(_: socket.socket) -> None:
        over.wait(10)

    with liar(wait) as at:
        try:
            with pytest.raises(AskError, match=r"fell silent for 0\.2 s: the daemon hangs"):
                ask([Place(at)], "/", SHORT)
        finally:
            over.set()


def test_a_socket_that_takes_no_connection_is_not_reachable(tmp_path: Path) -> None:
    """A full queue of connections: the next place is asked."""
    path = tmp_path / "full.sock"
    with socket.socket(socket.AF_UNIX) as server, contextlib.ExitStack() as stack:
        server.bind(str(path))
        server.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(str(path))
        with liar(says(answer(b"healthy\n"))) as at:
            assert ask([Place(str(path)), Place(at)], "/-/healthy", SHORT).body == b"healthy\n"


def test_the_next_place_is_asked_only_where_nobody_listens() -> None:
    """Who answers wrongly is told of: asking on would hide it."""
    with liar(says(b"garbage")) as wrong, liar(says(answer(b"healthy\n"))) as right:
        with pytest.raises(AskError, match="does not speak HTTP"):
            ask([Place(wrong), Place(right)], "/-/healthy", SHORT)
        nobody = Place(Endpoint("127.0.0.1", free_port()))
        assert ask([nobody, Place(right)], "/-/healthy", SHORT).place == Place(right)
        with pytest.raises(UnreachableError, match="connection refused"):
            ask([nobody], "/-/healthy", SHORT)


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"schema": "1"},
        {"status": "good"},
        {"checks": {}},
        {"started_at": "yesterday"},
        {"started_at": "9999-99-99T00:00:00.000Z"},
        {"duration_seconds": None},
        {"connector": 7},
        {"connector_log": {}},
        {"learned": []},
        {"predictions": {"counts": [{}]}},
    ],
)
def test_another_document_is_refused(change: dict[str, Any]) -> None:
    """What is not of schema 1, or not of its types, is not shown at all."""
    with pytest.raises(ValueError, match="no document of schema 1"):
        read_document(json.dumps(document() | change).encode())


@pytest.mark.parametrize(
    "change", [{"status": "fine"}, {"check": "weather"}, {"state": "sleeping"}, {"since": "x"}, {"resources": [7]}]
)
def test_another_row_is_refused(change: dict[str, Any]) -> None:
    """A row of other words than ours would be shown wrongly."""
    whole = document()
    whole["checks"][0] |= change
    with pytest.raises(ValueError, match="no document of schema 1"):
        read_document(json.dumps(whole).encode())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"null", b"{", b"[" * 100_000, b'{"schema":1,"checks":' + b"[" * 100_000, b"\xff\xfe{}"]
)
def test_what_is_no_document_is_refused(body: bytes) -> None:
    """Nor does deep nesting or another encoding do more than that."""
    with pytest.raises(ValueError, match="no document of schema 1"):
        read_document(body)


def test_a_daemon_of_before_the_update_is_understood() -> None:
    """One that was not restarted yet does not tell of log, alerts and changes: that is not known, and no error."""
    later = ("connector_log", "learned", "predictions", "alerts", "changes", "flap", "flapping")
    old = {k: v for k, v in document().items() if k not in later}
    old["checks"] = [{k: v for k, v in row.items() if k not in later} for row in old["checks"]]
    found = read_document(json.dumps(old).encode())
    assert (found["alerts"], found["changes"], found["checks"][0]["flapping"]) == (None, [], None)
    assert "Causes" not in render(found, NOW)
    assert (found["connector_log"], found["learned"], found["predictions"]) == (
        None, {"relays": [], "samples": []}, None,
    )  # fmt: skip


def test_a_newer_daemon_may_say_more() -> None:
    """Unknown keys are left alone, in the document and in its rows."""
    whole = document() | {"news": [1]}
    whole["checks"][0]["more"] = {}
    assert read_document(json.dumps(whole).encode())["status"] == "critical"


def test_what_a_daemon_says_of_causes_and_alerts_arrives() -> None:
    """Read back, it is what was sent, so that `status` tells what the daemon knows."""
    whole = outage_document()
    found = read_document(json.dumps(whole).encode())
    assert all(found[name] == whole[name] for name in ("diagnosis", "alerts", "changes"))
    assert [row["suppressed_by"] for row in found["checks"]] == [row["suppressed_by"] for row in whole["checks"]]


@pytest.mark.parametrize(
    ("where", "name", "value"),
    [
        (("diagnosis", 0), "since", "yesterday"),
        (("diagnosis", 0), "since", "9999-12-31T23:59:59-23:00"),
        (("diagnosis", 0), "explains", [7]),
        (("diagnosis", 0), "resources", "many"),
        (("alerts",), "active", [{}]),
        (("alerts", "active", 0), "starts_at", "x"),
        (("alerts", "pending", 0), "fires_at", None),
        (("alerts", "alertmanagers", 1), "failing_since", "x"),
        (("alerts",), "truncated", {"A": "x"}),
        (("changes", 0), "at", 5),
        (("changes", 0), "text", None),
    ],
)
def test_another_diagnosis_is_refused(where: tuple[str | int, ...], name: str, value: object) -> None:
    """What is not of the types that we print is not printed."""
    whole = outage_document()
    part: Any = whole
    for step in where:
        part = part[step]
    part[name] = value
    with pytest.raises(ValueError, match="no document of schema 1"):
        read_document(json.dumps(whole).encode())


def test_facts_are_not_taken_apart() -> None:
    """Endless facts cost what their bytes cost: they are read of the Connector's row only, and only if short."""
    whole = document()
    for found in whole["checks"]:
        found["facts"] = {"x": [[]] * (MAX_FACTS // 4)}
    assert all(found["facts"] == {} for found in read_document(json.dumps(whole).encode())["checks"])


def test_json_is_passed_on_without_control_characters() -> None:
    """What would move a terminal is written as its escape, and means the same."""
    whole = document() | {"connector": "a\x7f\x9b2J\u202eb"}
    text = as_json(json.dumps(whole, ensure_ascii=False).encode(), indent=2)
    assert json.loads(text) == whole
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert as_json(json.dumps(whole).encode(), indent=-1).count("\n") == 0


def test_a_liars_text_does_nothing_to_the_terminal() -> None:
    """ANSI in every text of a well-formed document comes out as escapes, in every format."""
    evil = "\x1b]0;owned\x07\x9b2J\u202e\r\nSUMMARY  OK"
    whole = document() | {"connector": evil, "remote_network": evil, "summary": evil, "confidence": evil}
    for found in whole["checks"]:
        found |= {"id": evil + found["id"], "target": evil, "summary": evil, "action": evil, "reason": evil}
        found |= {"event": evil, "resources": [evil], "facts": {"running": True, "image": evil, "runtime": "docker"}}
    with liar(says(answer(json.dumps(whole).encode()))) as at:
        for more in ([], ["--all"], ["-o", "json"]):
            done = healthctl("status", "--web.listen-address", str(at), *more)
            assert done.returncode == 2
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.stdout + done.stderr)
            assert len(re.findall("^SUMMARY", done.stdout, re.MULTILINE)) == ("-o" not in more)


def test_who_is_not_the_daemon_is_told() -> None:
    """Another program's 200 is neither alive nor a status."""
    with liar(says(answer(b"<!doctype html>\x1b[2J"))) as at:
        for more, words in (([], "is no connector-health of this version"), (["--alive"], "is not connector-health")):
            done = healthctl("status", "--web.listen-address", str(at), *more)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
            assert words in done.stderr
            assert "\x1b" not in done.stderr


def test_a_liar_on_the_socket_is_bounded_too(tmp_path: Path) -> None:
    """The unix socket is asked under the same bounds."""
    with liar(endless, at=tmp_path / "s") as at, pytest.raises(AskError, match="more than 1 MiB"):
        ask([Place(at)], "/", SHORT)
