"""Lines of the Connector's log, recorded and varied, and what they are read as."""

import time

import pytest

from checks.connlog.model import CauseSeen, LogCause, LogState
from checks.connlog.parser import LogParser
from tests.support.connector_log import AT, meaning_of, raw, recorded

ROWS = list(recorded())


@pytest.mark.parametrize(("meaning", "line"), ROWS, ids=[f"{n}-{row[0]}" for n, row in enumerate(ROWS)])
def test_recorded(meaning: str, line: str) -> None:
    """Every line that the sources quote is read as what they say it means."""
    assert meaning_of(line) == meaning


def test_every_cause_and_state_is_recorded() -> None:
    """No member of the closed sets is without a recorded line, so that none can be forgotten."""
    meanings = {meaning for meaning, _ in ROWS}
    seen = {meaning.split(" ")[1] for meaning in meanings if meaning.startswith(("cause", "state"))}
    assert "nameserver down all" in meanings
    assert {*LogState, *LogCause} - seen == {LogCause.ALL_NAMESERVERS_FAILED}


SERVICE = [(meaning, line) for meaning, line in ROWS if line.startswith("[") and "ANALYTICS {" not in line]
PREFIXES = ("", "x | ", "[1.2] ", "2026-01-02T03:04:05Z ", "\x1b[31m", "host app[1]: ")
SUFFIXES = ("", " and more", "\r", " \x1b[0m")


@pytest.mark.parametrize(("meaning", "line"), SERVICE)
def test_what_stands_around_does_not_matter(meaning: str, line: str) -> None:
    """Timestamps, syslog prefixes, colours before a line and text behind it change nothing."""
    varied = {prefix + line + suffix for prefix in PREFIXES for suffix in SUFFIXES}
    assert {meaning_of(text) for text in varied} == {meaning}


@pytest.mark.parametrize(("meaning", "line"), [row for row in SERVICE if row[0] != "state other"])
def test_case_does_not_matter(meaning: str, line: str) -> None:
    """A line in capitals, or in small letters, is the same line."""
    assert (meaning_of(line.upper()), meaning_of(line.lower())) == (meaning, meaning)


@pytest.mark.parametrize("character", ["\x80", "\xff", "\u017f", "\x00", "\u202e"])
def test_strange_bytes_around_a_state(character: str) -> None:
    """Bytes of no text before the level do not hide a state."""
    line = character.encode("utf-8", "replace") + b"\xff [INFO] [connector] State: Online"
    assert meaning_of(line) == "state online"


def test_the_time_is_the_readers() -> None:
    """A service line carries the time at which its reader says that it was written."""
    assert LogParser(None).feed(raw("Gone, code 410", 5.0)) == CauseSeen(at=5.0, cause=LogCause.TOKEN_GONE)


UNITS = (
    b"state: ",
    b"]state: ",
    b"[error] ",
    b"relay ",
    b" is not available",
    b"relay 1.2.3.4:5 ",
    b"gone,",
    b"gone    ",
    b"nameserver 1",
    b"nameserver 1.2.3.4:53 ",
    b"preconnect a relay listener 1.1.1.1",
    b"[",
    b"1.1.1.1.",
    b'\\"',
    b"[{",
    b"token is expired",
    b"ANALYTICS {",
    b'"user"',
    b'{"user":',
)


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("start", [b"", b'ANALYTICS {"event_type":"x","user":1,"user":'])
def test_time_grows_with_the_line_and_no_faster(start: bytes, unit: bytes) -> None:
    """A line made to be read slowly takes time linear in its length, and none beyond what is looked at."""
    parser = LogParser(None)

    def cost(size: int) -> float:
        line = raw(start + unit * (size // len(unit)), AT)
        costs = []
        for _ in range(5):
            begin = time.thread_time()
            parser.feed(line)
            costs.append(time.thread_time() - begin)
        return min(costs)

    # 16 times the length: 16 times the work if it is linear, 256 times if it is quadratic. 0.5 ms is the clock's noise.
    assert cost(48_000) < 64 * (cost(3_000) + 0.0005)
    assert cost(4_000_000) < 4 * (cost(60_000) + 0.005)


SPOOFED = (
    "x: State: Error", "[INFO] State: Online", "Nameserver 192.0.2.1:53 has failed",
    "[msg] All nameservers have failed",
    "Gone, code 410", "Invalid token", "token verification failed: token expired",
)  # fmt: skip


@pytest.mark.parametrize("name", SPOOFED)
def test_a_quoted_name_fakes_nothing(name: str) -> None:
    """What a user asks for may stand in quotes in a line: it is no state, no nameserver and no token error."""
    assert meaning_of(f'[ERROR] [libsdwan] lookup of "{name}" failed') == "cause other"
    assert meaning_of(f'[INFO] [libsdwan] lookup of "{name}" failed') in {"nothing", "cause nameserver_failed"}


def test_a_quoted_answer_of_the_controller_counts() -> None:
    """Where the line says that an answer was asked for, what the answer says may be quoted."""
    assert meaning_of('[WARN] [libsdwan] failed to get SD: "Gone, code 410"') == "cause token_gone"
    assert meaning_of('failed to get an access token: {"error":"Invalid token"}') == "cause token_invalid"
