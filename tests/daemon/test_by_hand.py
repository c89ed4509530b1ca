"""Commands to repeat by hand: they begin where the probe stood."""

from dataclasses import replace

import pytest

from checks.model import Outcome, Reason, Status
from checks.net.seat import Seat
from daemon.by_hand import from_there
from tests.support.fakes import FakeResolver

THERE = Seat(resolver=FakeResolver(), name="connector", mark=lambda: (4711, 1, 2))
INSIDE = "nsenter -t 4711 -n "


def _action(action: str, seat: Seat) -> str:
    rows = {"t": Outcome(status=Status.CRITICAL, reason=Reason.REFUSED, summary="refused", action=action)}
    return from_there(rows, seat)["t"].action


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ("By hand on this host: nc -vz -w 5 10.1.2.3 22", "By hand on this host: {}nc -vz -w 5 10.1.2.3 22"),
        ("Ask it by hand: dig @10.0.0.2 a.test A. It hangs.", "Ask it by hand: {}dig @10.0.0.2 a.test A. It hangs."),
        ("By hand: dig @10.0.0.2 a A; dig @10.0.0.3 a A", "By hand: {0}dig @10.0.0.2 a A; {0}dig @10.0.0.3 a A"),
        ("Compare `ip route get 10.1.2.3` with", "Compare `{}ip route get 10.1.2.3` with"),
        ("Repeat it by hand on this host: dig a.test A", "Repeat it by hand on this host: dig a.test A"),
        ("On that host see `ss -ltn`.", "On that host see `ss -ltn`."),
        ("By hand: nsenter -t 9 -n ip -br addr", "By hand: nsenter -t 9 -n ip -br addr"),
        ("", ""),
    ],
)  # fmt: skip
def test_a_command_begins_in_the_connectors_network(action: str, expected: str) -> None:
    """What asks an address is asked from there; what asks a name, or belongs on another host, is left alone."""
    assert _action(action, THERE) == expected.format(INSIDE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("between this host and that one", "between the Connector's network and that one"),
        ("This host has no route to it.", "The Connector's network has no route to it."),
        ("this host's own policy forbids it", "the Connector's own policy forbids it"),
        ("Repeat it by hand on this host: dig a.test A", None),
        ("Compare this host's clock", None),
        ("issuer X is trusted by this host alone", None),
        ("This host ran out of descriptors", None),
        ("9 of this host's 10 file descriptors are in use", None),
    ],
)  # fmt: skip
def test_what_is_called_this_host_is_where_the_probe_stood(text: str, expected: str | None) -> None:
    """From the Connector's seat "this host" would send people to the wrong network; what is the host's stays so."""
    rows = {"t": Outcome(status=Status.CRITICAL, reason=Reason.TIMEOUT, summary=text, action=text)}
    there, here = from_there(rows, THERE)["t"], from_there(rows, replace(THERE, name="host"))["t"]
    assert (there.summary, there.action) == ((expected or text),) * 2
    assert here == rows["t"]


@pytest.mark.parametrize(
    "seat",
    [replace(THERE, name="host"), replace(THERE, mark=lambda: "host"), replace(THERE, mark=lambda: None)],
    ids=["host", "own-namespace", "gone"],
)
def test_on_this_host_nothing_is_entered(seat: Seat) -> None:
    """Where the probe stood in our own network, or nobody stands in the other, the command is as it was."""
    assert _action("By hand: nc -vz 10.1.2.3 22", seat) == "By hand: nc -vz 10.1.2.3 22"
