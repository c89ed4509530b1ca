"""Nothing of a person leaves the parser: by the types of what it returns, and by what was planted."""

import dataclasses
import gc
import json
import logging
import types
import typing
from collections.abc import Iterator, Mapping
from enum import StrEnum

import msgspec
import pytest

from checks.connlog import analytics_line, shapes
from checks.connlog.book import LogBook
from checks.connlog.model import ConnectionKind, ConnectionSeen, LogEvent
from checks.connlog.parser import LogParser
from checks.connlog.summary import LogSummary
from tests.support.connector_log import AT, raw, recorded

# Every field that is text, and what makes it harmless.
TEXT = {
    "ConnectionSeen.address": "a name or an IP by its shape",
    "ConnectionSeen.rule": "a name, an IP, a CIDR or a pattern by its shape",
    "ConnectionSeen.ip": "an IP",
    "Endpoint.host": "an IP: relays and nameservers are literal",
    "LogSummary.problem": "the words of the one who reads the log, not of the log",
    "LogSummary.nameservers_down": "keys: `all`, or an endpoint",
    "LogSummary.failing": "keys: an address, or an address with its port",
    "Capability.advice": "our own words",
}
EMAIL, CLIENT_IP, USER, DEVICE, CONNECTION = (
    "planted.person@example.com",
    "192.0.2.199",
    "77331199",
    "device-55117733",
    "deadbeef77-24",
)
PLANTED = (EMAIL, "planted", CLIENT_IP, USER, DEVICE, "55117733", CONNECTION, "deadbeef77")


def leaves(kind: object, where: str) -> Iterator[tuple[str, object]]:
    """Yield every type that an instance of `kind` may hold, with the field that holds it."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = typing.get_type_hints(kind)
        for field in dataclasses.fields(kind):
            yield from leaves(hints[field.name], f"{kind.__name__}.{field.name}")
    elif origin is typing.Literal:
        return
    elif arguments:
        assert origin in (typing.Union, types.UnionType, tuple, Mapping), (where, kind)
        for argument in arguments:
            if argument is not Ellipsis:
                yield from leaves(argument, where)
    else:
        yield where, kind


@pytest.mark.parametrize("root", [LogEvent, LogSummary])
def test_types_are_an_allow_list(root: object) -> None:
    """An event and a summary hold enums, numbers, endpoints and the few texts that are listed above."""
    for where, kind in leaves(root, "?"):
        if kind is str:
            assert where in TEXT
        else:
            assert kind in (int, float, bool, type(None)) or (isinstance(kind, type) and issubclass(kind, StrEnum)), (
                where
            )


def test_what_is_not_declared_is_not_decoded() -> None:
    """The decoder knows no e-mail, client address, device or connection id."""
    structs = (analytics_line.Line, analytics_line.User, analytics_line.Resource, analytics_line.Connection)
    names = {field.encode_name for kind in (*structs, analytics_line.Relay) for field in msgspec.structs.fields(kind)}
    assert names == {
        *("event_type", "timestamp", "user", "service_account", "resource", "connection", "relays"),
        *("id", "address", "applied_rule", "ip", "port"),
        *("resource_ip", "resource_port", "protocol", "tunnel_path", "error_message"),
    }


def planted() -> Iterator[str]:
    """Yield lines of every kind with something of a person in every field that is a person's, or free text."""
    texts = (EMAIL, f"x {EMAIL} y", json.dumps({"email": EMAIL}), f"{CLIENT_IP}:4711 {USER}", f"<{DEVICE}>")
    people: dict[str, object] = {"user": {"email": EMAIL, "id": USER, "name": EMAIL}, "device": {"id": DEVICE}}
    for text in texts:
        for kind in ("established_connection", "failed_to_connect", "denied_access", "closed_connection", text):
            connection: dict[str, object] = {
                "client_ip": CLIENT_IP,
                "id": CONNECTION,
                "error_message": text,
                "resource_ip": "10.1.2.3",
            }
            connection |= {"client_geo": {"ipAddress": CLIENT_IP}}
            event: dict[str, object] = {"event_type": kind, "connection": connection, "location": text} | people
            event["resource"] = {"address": "db.corp.example.com", "applied_rule": "*.corp.example.com"}
            line = "ANALYTICS " + json.dumps(event)
            yield line
            yield from (line[:cut] for cut in range(0, len(line), 7))
            yield "ANALYTICS " + json.dumps(event | {"resource": {"address": text, "applied_rule": text}})
            yield "ANALYTICS " + json.dumps(
                event | {"user": text, "timestamp": text, "relays": [{"ip": text, "port": 9}]}
            )
            yield "ANALYTICS " + json.dumps(event | {"user": {"id": {"email": EMAIL}}, "connection": [connection]})
            yield "ANALYTICS " + json.dumps(event | {"service_account": {"id": USER, "name": EMAIL, "key": EMAIL}})
        for _, line in recorded():
            if "ANALYTICS" not in line:
                yield from (f"{text} {line}", f"{line} {text}", line.replace(" ", f" {text} "))
        yield f"[DEBUG] [libsdwan] verify_token: {json.dumps({'typ': 'DAT', 'email': text})} token verification failed"
        yield f"[INFO] [connector] State: {text}"
        yield f"[msg] Nameserver {text} has failed: request timed out."
        yield f"[msg] Nameserver {text} is back up"


def _clock() -> float:
    return AT


def reachable(*roots: object) -> Iterator[str]:
    """Yield every text and number that is held, however deep, by some objects."""
    held, seen = list(roots), set[int]()
    while held:
        one = held.pop()
        if id(one) in seen or isinstance(one, type | types.ModuleType | types.FunctionType):
            continue
        seen.add(id(one))
        if isinstance(one, str | bytes | int | float):
            yield str(one)
        held.extend(gc.get_referents(one))


def test_reachable_looks_deep() -> None:
    """The search of the test below finds what a book and a cache hold."""
    book = LogBook(_clock)
    book.note(ConnectionSeen(at=AT, kind=ConnectionKind.DNS_LOOKUP_ERROR, address="deep.example.com", user=4711))
    shapes.target_of("cached.example.com")
    assert {"deep.example.com", "4711", "cached.example.com"} <= set(reachable(book, shapes._target))


def test_planted_people_are_found_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """E-mails, client addresses, and ids of users, devices and connections are in no event, summary, log or object."""
    caplog.set_level(logging.DEBUG)
    parser, book = LogParser(None), LogBook(_clock)
    told: list[str] = []
    for line in planted():
        event = parser.feed(raw(line))
        if event is not None:
            told.append(repr(event))
            book.note(event)
    assert len(told) > 500
    assert parser.unparsed > 100
    told += [repr(book.summary(AT)), caplog.text, *reachable(parser, book, shapes._ip, shapes._target, shapes._rule)]
    for secret in PLANTED:
        assert not [text for text in told if secret in text], secret


def test_an_unreadable_line_is_not_quoted() -> None:
    """The reason why a line can't be read holds nothing of it, nor does any exception behind it."""
    for body in (
        f'{{"user": {{"email": "{EMAIL}" "x"}}}}',
        f'{{"{EMAIL}": \udcff',
        f'"{EMAIL}"',
        f'{{"event_type": "{EMAIL}',
    ):
        with pytest.raises(ValueError, match=r"^[a-zA-Z ]+$") as caught:
            analytics_line.decode(body.encode("utf-8", "surrogateescape"))
        assert EMAIL not in repr((caught.value, caught.value.__cause__))
        assert caught.value.__suppress_context__
