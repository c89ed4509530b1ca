import pytest

from checks.model import CheckName, Event, Reason, Status
from daemon.report import document
from daemon.state import TargetState
from tests.support.reports import head, row, sound_host

REFUSED = (Status.CRITICAL, Reason.REFUSED)
FINE = "Host network, clock, control plane, relays, nameservers are fine."


def _resource(name: str, tcp: Status, reason: Reason | None = None, dns: Status = Status.OK) -> list[TargetState]:
    events = {Status.CRITICAL: Event.DNS_LOOKUP_ERROR, Status.OK: Event.NONE}
    return [
        row(f"dns:{name}", dns, None if dns is Status.OK else Reason.NXDOMAIN, resources=(name,), event=events[dns]),
        row(f"tcp:{name}:1", tcp, reason, resources=(name,)),
    ]


def _ok(count: int) -> list[TargetState]:
    return [r for n in range(count) for r in _resource(f"ok{n}", Status.OK)]


DNS_DOWN = _resource("nx", Status.SKIPPED, Reason.DEPENDENCY_FAILED, dns=Status.CRITICAL)
TCP_DOWN = _resource("down", *REFUSED)
SILENT = [row("tcp:*.lab", Status.SKIPPED, Reason.NOT_PROBEABLE, resources=("Lab",))]
CUT_OFF = [row("tcp:a:1", Status.SKIPPED, Reason.DEPENDENCY_FAILED, resources=("A",))]
STARVED = _resource("slow", Status.UNKNOWN, Reason.PROBER_STARVED)
WARNED = _resource("warned", Status.WARNING, Reason.RESOLVERS_DISAGREE)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (_ok(38) + DNS_DOWN + TCP_DOWN,
         "2 of 40 Resources would fail now: 1 DNS lookup error, 1 unable to connect."),
        (DNS_DOWN, "1 of 1 Resource would fail now: 1 DNS lookup error."),
        (_ok(1), "The Resource answers."),
        (_ok(3), "All 3 Resources answer."),
        (_ok(2) + SILENT, "2 of 3 Resources answer; 1 not probed."),
        (_ok(1) + STARVED + TCP_DOWN, "1 of 3 Resources would fail now: 1 unable to connect; 1 reached no verdict."),
        (_ok(1) + WARNED, "All 2 Resources answer; 1 of them with a warning."),
        (_ok(1) + SILENT + CUT_OFF, "1 of 3 Resources answer; 1 cut off by another failure; 1 not probed."),
        (SILENT, "None of 1 Resource was judged; 1 not probed."),
    ],
)  # fmt: skip
def test_resources_come_first_and_each_is_counted_once(rows: list[TargetState], expected: str) -> None:
    """The sentence counts Resources, not rows, and never calls fine what nobody looked at."""
    configured = len({name for r in rows for name in r.result.resources})
    whole = document(head(configured=configured), [*rows, *sound_host()])
    assert whole["summary"] == f"{expected} {FINE}"


def test_other_links_are_named_by_verdict() -> None:
    """What is critical, warned of or unknown is named in this order, then what is fine; skipped is not mentioned."""
    rows = [
        row("host:network"),
        row("clock:system", Status.UNKNOWN, Reason.NO_TIME_SOURCE),
        row("control_plane:a", Status.CRITICAL, Reason.TIMEOUT),
        row("control_plane:b"),
        row("relay:r", Status.CRITICAL, Reason.TIMEOUT),
        row("nat:udp", Status.SKIPPED, Reason.NOT_PROBEABLE),
        row("resolver:1", Status.WARNING, Reason.SERVFAIL),
        row("provider:p", Status.WARNING, Reason.HTTP_STATUS),
        row("definition:d", Status.WARNING, Reason.DEFINITION_OVERLAP),
    ]
    whole = document(head(asked=set(CheckName) - {CheckName.DNS, CheckName.TCP}, configured=5), rows)
    assert whole["summary"] == (
        "Critical: control plane, relays. Warning: nameservers. Unknown: clock. Host network is fine. "
        "Twingate's status page reports an incident. 1 finding on definitions."
    )


def test_names_alone_are_said_to_resolve() -> None:
    """When ports are not asked, nothing claims that they answer."""
    whole = document(head(asked=[CheckName.DNS], configured=1), [row("dns:a", resources=("A",))])
    assert whole["summary"] == "The Resource resolves."


def test_nothing_asked_is_said_plainly() -> None:
    """An empty report and an empty configuration each say so."""
    assert document(head(asked=[]), [])["summary"] == "Nothing was checked."
    assert document(head(), sound_host())["summary"] == f"No Resource is configured. {FINE}"
