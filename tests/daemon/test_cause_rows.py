"""Causes put to the rows that they explain, and the sentence that begins with them."""

from collections.abc import Sequence

import pytest

from checks.model import CheckName, Event, Reason, Status
from daemon.cause_rows import NO_CAUSES, put_together
from daemon.causes import Cause, CauseSeverity, Domain
from daemon.document import CauseFound, Row
from daemon.report import document
from daemon.report_causes import cause as told
from daemon.state import TargetState
from daemon.summary import summarise
from tests.support.outage import outage_stage
from tests.support.reports import head, row

REFUSED = (Status.CRITICAL, Reason.REFUSED)
RESOURCE_CHECKS = frozenset({CheckName.DNS, CheckName.TCP})


def cause(
    code: str,
    target: str = "",
    explains: Sequence[str] = (),
    *,
    domain: Domain = Domain.NETWORK,
    evidence: Sequence[str] = (),
    resources: int = 0,
    severity: CauseSeverity = "critical",
) -> CauseFound:
    """Make one cause as a document has it."""
    made = Cause(code=code, target=target, domain=domain, severity=severity, title=code, text="", action="", since=0.0,
                 evidence=tuple(evidence), explains=tuple(explains), resources=resources)  # fmt: skip
    return told(made, "")


def failing(number: int, first: int = 1) -> list[TargetState]:
    """Return ports that fail, each of a Resource of its own."""
    return [row(f"tcp:h:{n}", *REFUSED, event=Event.UNABLE_TO_CONNECT, resources=(f"R{n}",))
            for n in range(first, first + number)]  # fmt: skip


def rows(*made: TargetState) -> list[Row]:
    """Return them as a document has them."""
    return document(head(), made)["checks"]


def ids(number: int) -> list[str]:
    """Return the ids of the first rows of `failing`."""
    return [f"tcp:h:{n}" for n in range(1, number + 1)]


def test_rows_are_told_with_the_first_cause_that_explains_them() -> None:
    """Once; what only shows a cause is evidence; rows that are gone, or from a second seat, are nobody's."""
    made = rows(*failing(3), row("host:network", Status.CRITICAL, Reason.NO_ROUTE), row("tcp:h:1@host", *REFUSED))
    found = put_together(
        [
            cause("A", explains=["tcp:h:1", "tcp:h:2", "gone", "tcp:h:1", "tcp:h:1@host"], evidence=["host:network"]),
            cause("B", explains=["tcp:h:2", "tcp:h:3"], evidence=["tcp:h:1"]),
        ],
        made,
    )
    assert [[r["id"] for r in told.rows] for told in found.told] == [["tcp:h:1", "tcp:h:2"], ["tcp:h:3"]]
    assert found.evidence == {"host:network"}
    assert [r["id"] for r in made if not found.covers(r)] == ["tcp:h:1@host"]
    assert put_together([], made) is NO_CAUSES


@pytest.mark.parametrize(
    ("domain", "evidence", "alone"),
    [
        (Domain.RESOURCE, ["tcp:h:1"], True),
        (Domain.RESOURCE, ["tcp:h:1", "tcp:h:2"], False),
        (Domain.RESOURCE, ["tcp:h:3"], False),
        (Domain.CLOCK, ["tcp:h:1"], False),
    ],
)
def test_one_port_that_fails_by_itself_stays_a_row(domain: Domain, evidence: list[str], *, alone: bool) -> None:
    """A cause that only repeats its row is not told beside it; any other is."""
    found = put_together([cause("X", domain=domain, evidence=evidence, explains=["tcp:h:3"])], rows(*failing(3)))
    assert (not found.told) is alone
    assert ("tcp:h:1" in found.alone) is alone
    assert ("tcp:h:3" in found.by) is not alone


@pytest.mark.parametrize(
    ("number", "counted", "blast"),
    [
        (3, 3, "explains 3 Resources: R1, R2, R3"),
        (7, 7, "explains 7 Resources: R1, R2, R3, R4, R5 and 2 more"),
        (7, 500, "explains 500 Resources: R1, R2, R3, R4, R5 and 495 more"),
        (0, 500, "explains 500 Resources"),
        (1, 1, "explains 1 Resource: R1"),
        (0, 0, ""),
    ],
)
def test_how_far_it_reaches(number: int, counted: int, blast: str) -> None:
    """The first few by name, all in the number, also where this document holds but some of them."""
    (told,) = put_together([cause("A", explains=ids(number), resources=counted)], rows(*failing(7))).told
    assert told.blast == blast


def test_rows_behind_which_no_resource_stands_are_counted_as_rows() -> None:
    """A cause on the way to Twingate explains rows, and no Resource."""
    relays = rows(*(row(f"relay:r{n}", *REFUSED) for n in range(2)))
    (told,) = put_together([cause("EgressBlocked", explains=["relay:r0", "relay:r1"])], relays).told
    assert (told.label, told.blast) == ("EgressBlocked", "explains 2 rows: relay:r0, relay:r1")


@pytest.mark.parametrize(
    ("code", "domain", "covered"),
    [("NextHopDown", Domain.HOST, True), ("NextHopDown", Domain.NETWORK, False), ("LocalFirewall", Domain.HOST, False)],
)
def test_a_host_cut_off_is_not_sent_after_its_time_servers(code: str, domain: Domain, *, covered: bool) -> None:
    """Where nothing leaves this host, that no time source answers is no advice of its own; else it is."""
    made = rows(row("clock:system", Status.UNKNOWN, Reason.NO_TIME_SOURCE), row("host:network"))
    found = put_together([cause(code, "10.0.0.1", domain=domain)], made)
    assert {r["id"] for r in made if found.covers(r)} == ({"clock:system"} if covered else set())


@pytest.mark.parametrize(
    ("explains", "hit"), [(ids(7), "hits R1, R2, R3, R4, R5 and 2 more"), (["tcp:h:1"], "hits R1"), ([], "")]
)
def test_whom_it_hits_is_named(explains: list[str], hit: str) -> None:
    """The names of the first few; how many they are stands in the text."""
    (told,) = put_together([cause("A", explains=explains, resources=len(explains))], rows(*failing(7))).told
    assert told.hit == hit


FIVE = "5 of 6 Resources would fail now: 5 unable to connect."


@pytest.mark.parametrize(
    ("causes", "expected"),
    [
        ([], FIVE),
        ([cause("SubnetUnreachable", "10.1.0.0/24", ids(5), resources=5)], f"SubnetUnreachable 10.1.0.0/24: {FIVE}"),
        ([cause("SubnetUnreachable", "10.1.0.0/24", ids(4), resources=4)],
         f"SubnetUnreachable 10.1.0.0/24 (4 of 6 Resources). {FIVE}"),
        ([cause("A", "x", ids(3), resources=3), cause("B", "", ["tcp:h:4", "tcp:h:5"], resources=2)],
         f"A x (3 of 6 Resources) and B (2 of 6 Resources). {FIVE}"),
        ([cause(code, "", ["tcp:h:1"] if code == "A" else (), resources=int(code == "A")) for code in "ABCDE"],
         f"A (1 of 6 Resources), B, C and 2 more causes. {FIVE}"),
        ([cause("PortFails", "h:1", domain=Domain.RESOURCE, evidence=["tcp:h:1"], resources=1)], FIVE),
        ([cause("DirectPathImpossible", severity="info")], FIVE),
    ],
)  # fmt: skip
def test_the_summary_begins_with_the_cause(causes: list[CauseFound], expected: str) -> None:
    """One that explains all that fails stands before the number; others are named with theirs, and no more is claimed.

    What only repeats a row, or stops nobody, does not lead.
    """
    made = rows(*failing(5), row("tcp:h:9", event=Event.NONE, resources=("R9",)))
    assert summarise(made, RESOURCE_CHECKS, 6, causes) == expected


def test_a_cause_is_named_where_resources_were_not_asked_for_or_are_fine() -> None:
    """It is what is wrong, whether or not it stops anybody yet."""
    clock = cause("ClockSkewed", domain=Domain.CLOCK, evidence=["clock:system"])
    made = rows(row("clock:system", Status.CRITICAL, Reason.OFFSET_EXCEEDED))
    assert summarise(made, frozenset({CheckName.CLOCK}), 3, [clock]) == "ClockSkewed. Critical: clock."
    fine = rows(row("tcp:a:1", event=Event.NONE, resources=("A",)))
    assert summarise(fine, RESOURCE_CHECKS, 1, [clock]) == "ClockSkewed. The Resource answers."


def test_the_worst_is_named_when_everything_fails() -> None:
    """What is skipped because of the cause counts to it, and the sentence stays the one that it was without."""
    stage = outage_stage(3)
    made = rows(*stage.board.rows.values())
    told = cause("NameserverDown", "10.0.0.2", [f"dns:s{n}.corp.internal" for n in range(3)], resources=3)
    with_it, without = (summarise(made, RESOURCE_CHECKS, 15, causes) for causes in ([told], []))
    assert with_it == f"NameserverDown 10.0.0.2: {without}"
    assert without.startswith("3 of 15 Resources would fail now: 3 DNS lookup errors.")
