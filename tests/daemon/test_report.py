import json
import math

import pytest

from checks.model import CheckName, Event, Reason, Status
from daemon.report import Reporter, document, encode, overall, report, sort_key
from daemon.report_filter import filter_rows
from daemon.report_text import text_steps
from daemon.state import State, TargetState
from daemon.version import __version__
from tests.support.reports import head, office, row, sound_host
from tests.support.sliced import stepped, text_of
from tests.support.views import Stage, tcp_job

OK, WARNING, CRITICAL, UNKNOWN, SKIPPED = Status.OK, Status.WARNING, Status.CRITICAL, Status.UNKNOWN, Status.SKIPPED


def test_document_is_the_contract_to_the_letter() -> None:
    """Keys, their order, times, roundings and nulls are those of the contract."""
    failing = row(
        "tcp:orders-db.corp.internal:5432",
        CRITICAL,
        Reason.REFUSED,
        event=Event.UNABLE_TO_CONNECT,
        summary="refused",
        action="Start it.",
        resources=("Orders DB", "Reporting"),
        measurements={"connect_seconds": 0.0011},
        facts={"addresses": ("10.1.2.3",)},
    )
    whole = document(head(configured=2), [failing])
    expected = {
        "schema": 1,
        "version": __version__,
        "connector": "office-1",
        "remote_network": "Office",
        "vantage": "host",
        "confidence": "host_view",
        "started_at": "2026-01-02T03:04:05.678Z",
        "duration_seconds": 1.23457,
        "status": "critical",
        "summary": "2 of 2 Resources would fail now: 2 unable to connect.",
        "checks": [
            {
                "id": "tcp:orders-db.corp.internal:5432",
                "check": "tcp",
                "target": "orders-db.corp.internal:5432",
                "resource": "Orders DB",
                "resources": ["Orders DB", "Reporting"],
                "status": "critical",
                "reason": "refused",
                "event": "unable_to_connect",
                "summary": "refused",
                "action": "Start it.",
                "started_at": "2026-01-02T03:04:05.678Z",
                "duration_seconds": 0.0012,
                "state": None,
                "since": None,
                "suppressed_by": None,
                "measurements": {"connect_seconds": 0.0011},
                "facts": {"addresses": ["10.1.2.3"]},
                "flap": None,
                "flapping": None,
                "slowed_to_seconds": None,
            }
        ],
        "diagnosis": [],
        "connector_log": None,
        "learned": {"relays": [], "samples": []},
        "predictions": None,
        "alerts": None,
        "changes": [],
        "probing": None,
    }
    assert encode(whole) == json.dumps(expected, indent=2)


def test_a_row_without_resource_reason_or_event_says_null() -> None:
    """What does not apply is null or empty, never left out."""
    (found,) = document(head(), [row("clock:system")])["checks"]
    assert (found["resource"], found["resources"], found["reason"], found["event"]) == (None, [], None, None)
    assert (found["action"], found["measurements"], found["facts"]) == ("", {}, {})


def test_a_daemon_tells_state_since_and_who_silences() -> None:
    """Only where states are held over time are they told, with the row that silences a Resource's."""
    silenced = row("tcp:db:1", SKIPPED, Reason.DEPENDENCY_FAILED, state=State.SUPPRESSED, facts={"parent": "dns:db"})
    (found,) = document(head(held=True), [silenced])["checks"]
    assert (found["state"], found["since"]) == ("suppressed", "2026-01-02T03:04:05.678Z")
    assert found["suppressed_by"] == "dns:db"


def test_rows_stand_from_this_host_outwards_and_in_natural_order() -> None:
    """The checks' own order, 10.0.0.2 before 10.0.0.10, and a second seat after all of the Connector's."""
    ids = [
        "host:network", "clock:system", "resolver:10.0.0.2", "resolver:10.0.0.10", "dns:a", "tcp:db2:80", "tcp:db2:443",
        "tcp:db10:80", "connector:x", "host:network@host", "tcp:db2:80@host",
    ]  # fmt: skip
    whole = document(head(), [row(i) for i in reversed(ids)])
    assert [found["id"] for found in whole["checks"]] == ids


def test_numbers_that_json_can_not_say_are_null() -> None:
    """Infinity and NaN, which are no JSON, become null, also deep inside facts."""
    odd = row("clock:system", measurements={"a_seconds": math.inf}, facts={"b": ({"c": math.nan},)})
    whole = json.loads(encode(document(head(), [odd])))
    assert whole["checks"][0]["measurements"] == {"a_seconds": None}
    assert whole["checks"][0]["facts"] == {"b": [{"c": None}]}


def test_time_stamps_keep_their_seconds_and_durations_six_digits() -> None:
    """A measured Unix time is not rounded to six significant digits; a duration is."""
    found = document(head(), [row("clock:system", measurements={"at_timestamp_seconds": 1767323045.678})])
    assert found["checks"][0]["measurements"] == {"at_timestamp_seconds": 1767323045.678}
    assert found["duration_seconds"] == 1.23457


@pytest.mark.parametrize(
    ("rows", "asked", "configured", "expected"),
    [
        ([("host:network", OK), ("clock:system", UNKNOWN)], ("host", "clock"), 0, UNKNOWN),
        ([("clock:system", UNKNOWN), ("nat:udp", WARNING)], ("clock", "nat"), 0, WARNING),
        ([("clock:system", WARNING), ("relay:r", CRITICAL)], ("clock", "relay"), 0, CRITICAL),
        ([("host:network", OK), ("nat:udp", SKIPPED)], ("host", "nat"), 0, OK),
        ([("host:network", OK), ("definition:a", WARNING), ("provider:p", CRITICAL)], ("host",), 0, OK),
        # Asked for Resources, and none was judged.
        ([("host:network", OK), ("tcp:*.lab", SKIPPED)], ("host", "tcp"), 1, UNKNOWN),
        ([("host:network", WARNING), ("tcp:*.lab", SKIPPED)], ("host", "tcp"), 1, WARNING),
        ([("host:network", OK), ("tcp:*.lab", SKIPPED), ("tcp:a:1", OK)], ("host", "tcp"), 2, OK),
        ([("host:network", OK), ("dns:a", OK), ("tcp:a:1", SKIPPED)], ("host", "dns", "tcp"), 1, OK),
        # Not asked for Resources, or there are none.
        ([("host:network", OK)], ("host",), 3, OK),
        ([("host:network", OK)], ("host", "dns", "tcp"), 0, OK),
        # Nothing at all was looked at.
        ([], ("nat",), 0, UNKNOWN),
    ],
)
def test_the_whole_is_as_bad_as_its_worst_row(
    rows: list[tuple[str, Status]], asked: tuple[str, ...], configured: int, expected: Status
) -> None:
    """Skipped never worsens, notes never worsen, and no verdict on any Resource is at least unknown."""
    made = [row(i, s, None if s is OK else Reason.TIMEOUT, resources=("R",) if i[:3] in ("dns", "tcp") else ())
            for i, s in rows]  # fmt: skip
    whole = document(head(asked=map(CheckName, asked), configured=configured), made)
    assert whole["status"] == expected.value
    assert overall(whole["checks"], frozenset(map(CheckName, asked)), configured) is expected


def test_json_says_everything_and_moves_no_terminal() -> None:
    """Control, ANSI and bidi characters are escaped in JSON text, losing nothing; other letters stay readable."""
    name = "Müller\x1b[31m\x9b2J\u202egnp.exe\U000e0041"
    text = encode(document(head(connector=name), []))
    assert json.loads(text)["connector"] == name
    assert "Müller\\u001b[31m\\u009b2J\\u202egnp.exe\\udb40\\udc41" in text


def test_filter_keeps_verdict_and_summary_of_the_whole() -> None:
    """A filter changes which rows are listed and nothing else."""
    whole = office()
    part = filter_rows(whole, status=["critical"])
    assert [r["id"] for r in part["checks"]] == ["dns:payroll.corp.internal", "tcp:10.1.2.3:5432"]
    assert {k: v for k, v in part.items() if k != "checks"} == {k: v for k, v in whole.items() if k != "checks"}
    assert list(part) == list(whole)


def test_filters_are_combined() -> None:
    """Each filter narrows; a Resource matches wherever it stands behind a row."""
    whole = office()
    assert [r["id"] for r in filter_rows(whole, resource=["Reporting"])["checks"]] == ["tcp:10.1.2.3:5432"]
    assert [r["id"] for r in filter_rows(whole, resource=["Payroll"], check=["tcp"])["checks"]] == [
        "tcp:payroll.corp.internal:443"
    ]
    assert filter_rows(whole, resource=["nobody"])["checks"] == []


def test_pages_neither_repeat_nor_skip_a_row() -> None:
    """Page by page one reads each row once, in order, even if the row at a page's end has gone meanwhile."""
    rows = sound_host() + [row(f"tcp:10.0.0.{n}:1") for n in range(20)]
    whole = document(head(), rows)
    seen: list[str] = []
    after = None
    for _ in range(4):
        seen += [r["id"] for r in filter_rows(whole, limit=7, after=after)["checks"]]
        after = seen[-1]
    assert filter_rows(whole, limit=7, after=after)["checks"] == []
    assert seen == [r["id"] for r in whole["checks"]]
    gone = [r for r in rows if r.id != "tcp:10.0.0.5:1"]
    assert filter_rows(document(head(), gone), limit=1, after="tcp:10.0.0.5:1")["checks"][0]["id"] == "tcp:10.0.0.6:1"


def test_any_id_has_a_place() -> None:
    """A made-up `after` is no error: it sorts somewhere, and pages end."""
    rows: list[TargetState] = [row("host:network")]
    for word in ("", ":", "nonsense", "tcp:²", "tcp:" + "9" * 5000):
        after = filter_rows(document(head(), rows), after=word)["checks"]
        assert len(after) == (sort_key("host:network") > sort_key(word))


def test_what_is_kept_between_two_documents_is_never_old() -> None:
    """The daemon's document says what one made from nothing says; rows that are gone are forgotten, new ones found."""
    jobs = [tcp_job("a.test", 443), tcp_job("b.test", 443), tcp_job("a.test", 22)]
    stage = Stage(jobs[:2])
    asked = frozenset({CheckName.TCP})
    reporter = Reporter()

    def same() -> list[str]:
        text = text_of(reporter, stage.view(), asked)
        assert text == encode(report(stage.view(), asked), indent=None)
        return [row["id"] for row in json.loads(text)["checks"]]

    for status, reason in ((OK, None), (OK, None), (CRITICAL, Reason.REFUSED)):
        stage.at += 30
        stage.see("tcp:a.test:443", status, reason)
        stage.see("tcp:b.test:443")
        assert same() == ["tcp:a.test:443", "tcp:b.test:443"]
    stage.board.load(jobs[1:])
    assert same() == ["tcp:b.test:443"]
    stage.see("tcp:a.test:22")
    assert same() == ["tcp:a.test:22", "tcp:b.test:443"]


def test_rows_that_come_and_go_while_a_document_is_made() -> None:
    """A document is of one moment: what is recorded, or vanishes, while it is made changes nothing in it."""
    jobs = [tcp_job(f"10.0.0.{n}", 443) for n in range(250)]
    stage, reporter, asked = Stage(jobs), Reporter(), frozenset({CheckName.TCP})
    for job in jobs:
        stage.see(job.id)
    view = stage.view()
    expected = encode(report(view, asked), indent=None)

    def disturb(step: int) -> None:
        stage.see(jobs[step % 100].id, CRITICAL, Reason.REFUSED)
        stage.board.load(jobs[: 250 - step])

    whole, _ = stepped(reporter.steps(view, asked), disturb)
    pieces, _ = stepped(text_steps(whole), disturb)
    assert b"".join(pieces).decode() == expected
    with pytest.raises(KeyError, match="nonsense"):
        whole["checks"][0]["nonsense"]  # type: ignore[typeddict-item]
