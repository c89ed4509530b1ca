"""ANALYTICS lines that are cut, mixed up or made to do harm: dropped, counted, and nothing else."""

import json
import time

import pytest

from checks.connlog.analytics_line import MAX_BODY, decode
from checks.connlog.parser import LogParser
from tests.support.connector_log import SALT, analytics, connection_of, raw

GOOD = analytics(timestamp=1_694_779_427_692).removeprefix("ANALYTICS ")
DAMAGED = {
    "empty": "{}",
    "no kind": '{"event_type":null}',
    "kind of a wrong type": '{"event_type":5}',
    "cut": GOOD[:-1],
    "cut in a string": GOOD[:30],
    "two objects": GOOD + GOOD,
    "text behind": GOOD + " x",
    "NaN": GOOD.replace("1694779427692", "NaN"),
    "Infinity": GOOD.replace("1694779427692", "-Infinity"),
    "NaN in a field we skip": GOOD[:-1] + ', "x": NaN}',
    "single quotes": GOOD.replace('"', "'"),
    "a key twice": GOOD[:-1] + ', "event_type": "denied_access"}',
    "an inner key twice": GOOD.replace('"resource_port"', '"resource_ip": "10.9.9.9", "resource_port"'),
    "a bomb": '{"x":' * 20_000 + "1" + "}" * 20_000,
    "a bomb of arrays": GOOD[:-1] + ', "x":' + "[" * 30_000 + "]" * 30_000 + "}",
    "an open bomb": GOOD[:-1] + ', "x":' + "[" * 30_000,
    "oversized": GOOD[:-1] + ', "x": "' + "x" * MAX_BODY + '"}',
    "a raw newline": GOOD.replace("db.corp", "db\ncorp"),
    "half a surrogate": GOOD.replace("13610", "\\ud800"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_lines_are_dropped_and_counted(name: str) -> None:
    """A line that is not one whole object is no event, makes no noise, and is counted."""
    parser = LogParser(SALT)
    assert parser.feed(raw("ANALYTICS " + DAMAGED[name])) is None
    assert (parser.lines, parser.unparsed) == (1, 1)


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"])
@pytest.mark.parametrize("where", [b"someone", b"10.1.2.3", b"13610", b"db.corp"])
def test_invalid_utf8_is_dropped_and_counted(bad: bytes, where: bytes) -> None:
    """Bytes that are no text, even in a field that is not read, are damage."""
    parser = LogParser(SALT)
    assert parser.feed(raw(b"ANALYTICS " + GOOD.encode().replace(where, bad))) is None
    assert parser.unparsed == 1


def test_an_oversized_object_is_not_decoded() -> None:
    """An object longer than any real event is refused before it is read, although it is whole."""
    whole = GOOD[:-1] + ', "x": "' + "x" * MAX_BODY + '"}'
    with pytest.raises(ValueError, match="longer than any event"):
        decode(whole.encode())


def test_a_key_may_stand_in_other_objects() -> None:
    """The same name in an object, or a text, of a later version is no key written twice."""
    event = json.loads(GOOD)
    event["gateway"] = {"user": 1, "address": {"address": 2}, "relays": [{"resource": 1}, {"resource": 2}]}
    event["location"] = '{"user": 1, "user": 2}'
    event["connection"]["name"] = "user"
    event["note"] = 'a "user": b, "user": c'
    assert connection_of("ANALYTICS " + json.dumps(event)) == connection_of("ANALYTICS " + GOOD)


def test_a_text_without_an_end_takes_linear_time() -> None:
    """Quotes in a text that never ends are not each the beginning of another: 16 times as long, not 256 times."""

    def seconds(quotes: int) -> float:
        body = b'{"user" "user" ' + b'\\"' * quotes
        start = time.perf_counter()
        with pytest.raises(ValueError, match="not one JSON object"):
            decode(body)
        return time.perf_counter() - start

    short, long = (min(seconds(quotes) for _ in range(3)) for quotes in (2000, 32_000))
    assert long < 100 * short
