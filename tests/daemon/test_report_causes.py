"""Causes, alerts and changes in the document."""

import json
from dataclasses import replace

from checks.model import CheckName, Reason, Status
from daemon.alert import NO_ALERTS, Alerts
from daemon.causes import NO_DIAGNOSIS, Cause, Change, ChangeKind, Domain
from daemon.config.schema import Alerting
from daemon.document import Document, Row
from daemon.report import Reporter, encode, report
from daemon.report_causes import MAX_CHANGES, MAX_PENDING, alerts, changes
from daemon.report_causes import cause as told
from daemon.report_text import BATCH as TEXT_BATCH
from daemon.report_text import text_steps
from daemon.sketch import entire
from daemon.slices import BATCH, at_once
from daemon.view import EngineFigures
from tests.support.outage import CHANGE, NOW, found, key, nameserver_down, outage, outage_stage
from tests.support.sliced import stepped, text_of
from tests.support.views import STARTED_AT, Stage, tcp_job

ENGINE = EngineFigures(connector="office-1", started_at=STARTED_AT)
EVERY = frozenset(CheckName)


def rows_of(whole: Document) -> dict[str, Row]:
    """Return rows by id."""
    return {row["id"]: row for row in whole["checks"]}


def test_a_cause_is_told_as_the_contract_says() -> None:
    """Keys and their order, ids of rows, times; what changed is one line with its time; the runbook is an address."""
    (told,) = json.loads(encode(report(outage(1))))["diagnosis"]
    contract = {
        "code": "NameserverDown",
        "title": "Nameserver 10.0.0.2 does not answer",
        "fault_domain": "resolver",
        "target": "10.0.0.2",
        "severity": "critical",
        "since": "2026-01-02T04:01:05.678Z",
        "explains": ["dns:s0.corp.internal", "tcp:s0.corp.internal:443"],
        "changed": ["2026-01-02 04:00:58 UTC: default route via 10.0.0.1 on eth0 gone"],
        "runbook": "https://runbooks.example.com/ConnectorNameserverDown.md",
    }
    assert {name: told[name] for name in contract} == contract
    assert [name for name in told if name in contract] == list(contract)
    more = {"id": "NameserverDown:10.0.0.2", "evidence": ["resolver:10.0.0.2"], "resources": 1,
            "possible": ["a firewall on the way that drops port 53"], "alert": "ConnectorNameserverDown"}  # fmt: skip
    assert {name: told[name] for name in more} == more
    assert told["action"].startswith("See that")
    assert told["text"].startswith("10.0.0.2 gave no valid reply")


def test_a_cause_without_an_alert_has_no_runbook() -> None:
    """Null, not an address that leads nowhere."""
    cause = replace(nameserver_down(outage_stage(1)), alert=None)
    assert told(cause, "docs/runbooks")["runbook"] is None
    down = replace(cause, alert="ConnectorDown")
    assert told(down, Alerting().runbooks)["runbook"] == "docs/runbooks/ConnectorDown.md"
    assert told(replace(down, runbook="docs/reasons.md#x"), "docs/runbooks")["runbook"] == "docs/reasons.md#x"


def test_what_a_cause_explains_is_suppressed_by_it() -> None:
    """The state and who silences; status, reason and event stay what was observed; a skipped row keeps its parent."""
    rows = rows_of(report(outage(2)))
    name, port = rows["dns:s0.corp.internal"], rows["tcp:s0.corp.internal:443"]
    assert (name["state"], name["suppressed_by"]) == ("suppressed", "NameserverDown:10.0.0.2")
    assert (name["status"], name["reason"], name["event"]) == ("critical", "timeout", "dns_lookup_error")
    assert (port["state"], port["suppressed_by"]) == ("suppressed", "dns:s0.corp.internal")
    assert (rows["host:network"]["state"], rows["host:network"]["suppressed_by"]) == ("ok", None)
    assert rows["resolver:10.0.0.2"]["suppressed_by"] is None


def test_a_single_look_holds_nothing() -> None:
    """`check` finds causes, but its rows have no state, nobody silences, and no alert is decided."""
    whole = report(outage(2, held=False))
    held = [(r["state"], r["since"], r["suppressed_by"], r["flap"], r["flapping"]) for r in whole["checks"]]
    assert set(held) == {(None, None, None, None, None)}
    assert whole["alerts"] is None
    assert [cause["code"] for cause in whole["diagnosis"]] == ["NameserverDown"]


def test_alerts_are_told() -> None:
    """What fires, what is about to, who does not take it; labels that do not apply are left out."""
    told = report(outage(1))["alerts"]
    assert told is not None
    assert (told["mode"], told["pending_left"], told["truncated"]) == ("live", 0, {})
    assert told["active"] == [
        {
            "name": "ConnectorNameserverDown", "severity": "critical", "labels": {"nameserver": "10.0.0.2"},
            "starts_at": "2026-01-02T04:02:05.678Z", "summary": "Nameserver 10.0.0.2 does not answer",
            "action": "See that the nameserver runs.", "cause": "NameserverDown:10.0.0.2", "flapping": False,
            "ends_after": None,
        }
    ]  # fmt: skip
    assert told["pending"] == [
        {
            "name": "ConnectorUnableToConnect", "severity": "warning",
            "labels": {"resource": "Wiki", "address": "10.9.0.1", "port": "22"}, "fires_at": "2026-01-02T04:04:46.178Z",
        }
    ]  # fmt: skip
    assert [(one["alertmanager"], one["failing_since"], one["problem"]) for one in told["alertmanagers"]] == [
        ("am-1.example.com:9093", None, ""),
        ("am-2.example.com:9093", "2026-01-02T03:54:05.678Z", "connection refused"),
    ]


def test_pending_alerts_are_bounded_the_soonest_first() -> None:
    """As many as there are rows may be pending: the ones that fire first are listed, the rest is counted."""
    many = {key("ConnectorUnableToConnect", port=str(n)): NOW + 1000 - n for n in range(MAX_PENDING + 50)}
    told = alerts(Alerts(pending=many, truncated={"B": 1, "A": 2}), (), "shadow")
    assert (len(told["pending"]), told["pending_left"], told["mode"]) == (MAX_PENDING, 50, "shadow")
    assert told["pending"][0]["labels"]["port"] == str(MAX_PENDING + 49)
    assert list(told["truncated"]) == ["A", "B"]
    assert alerts(NO_ALERTS, (), "live")["active"] == []


def test_changes_are_told_the_latest_first() -> None:
    """Bounded, and with their kind."""
    many = [Change(at=NOW + n, kind=ChangeKind.LINK, text=f"eth{n} down") for n in range(MAX_CHANGES + 9)]
    told = changes(many)
    assert len(told) == MAX_CHANGES
    assert told[0] == {"at": "2026-01-02T04:05:03.678Z", "kind": "link", "text": f"eth{MAX_CHANGES + 8} down"}
    assert report(outage(1))["changes"][0]["text"] == CHANGE.text


def test_flapping_is_told() -> None:
    """The daemon's rows have the flap value and what follows from it."""
    stage = Stage([tcp_job("a.test", 1)])
    for n in range(20):
        stage.see("tcp:a.test:1", *((Status.CRITICAL, Reason.REFUSED) if n // 2 % 2 else (Status.OK, None)))
    (row,) = report(stage.view())["checks"]
    state = stage.board.rows["tcp:a.test:1"]
    assert state.flapping
    assert (row["flap"], row["flapping"]) == (round(state.held.flap, 1), True)


def test_rows_follow_the_diagnosis() -> None:
    """A row is told anew when another cause, or none, explains it, just as in a document made from nothing."""
    stage, reporter = outage_stage(3), Reporter()
    down = nameserver_down(stage)
    other = Cause(code="ZoneFailing", target="corp.internal", domain=Domain.RESOLVER, severity="warning", title="t",
                  text="", action="", since=NOW, explains=("dns:s1.corp.internal",))  # fmt: skip
    for of in (NO_DIAGNOSIS, found(down), found(other), found(other, down), found(down), NO_DIAGNOSIS):
        stage.diagnosis = of
        view = stage.view(ENGINE)
        text = text_of(reporter, view, EVERY)
        assert text == encode(report(view, EVERY), indent=None)
        row = rows_of(json.loads(text))["dns:s1.corp.internal"]
        assert row["state"] == ("suppressed" if of.causes else "failing")
        sketches = at_once(reporter.steps(view, EVERY))
        for one in (*sketches["checks"], *sketches["diagnosis"]):
            part = dict(one)
            assert {name: entire(one).get(name) for name in part} == part


def test_documents_handed_out_do_not_change() -> None:
    """A document that is still being written is not touched when rows report anew and the next is made."""
    stage, reporter = outage_stage(2), Reporter()
    first = at_once(reporter.steps(stage.view(ENGINE), EVERY))
    text = encode(report(stage.view(ENGINE), EVERY))
    stage.diagnosis = found(nameserver_down(stage))
    stage.see("dns:s1.corp.internal", summary="it resolves again")
    at_once(reporter.steps(stage.view(ENGINE), EVERY))
    assert encode(first) == text


def test_warnings_that_a_cause_explains_name_it() -> None:
    """A warning is no failure, so its state stays; who explains it is told."""
    stage = outage_stage(1)
    stage.see("clock:system", Status.WARNING, Reason.CLOCK_STEPPED, summary="x")
    cause = replace(nameserver_down(stage), explains=("clock:system",))
    stage.diagnosis = found(cause)
    row = rows_of(report(stage.view(ENGINE)))["clock:system"]
    assert (row["state"], row["suppressed_by"]) == ("ok", cause.id)


def test_a_document_of_many_rows_is_made_in_steps() -> None:
    """Whatever explains 2,000 rows, the document is made and written with a pause after each few of them."""
    stage, reporter = outage_stage(1000, 0), Reporter()
    for explained in (NO_DIAGNOSIS, found(nameserver_down(stage))):
        stage.diagnosis = explained
        whole, made = stepped(reporter.steps(stage.view(ENGINE), EVERY))
        pieces, written = stepped(text_steps(whole))
        assert made >= 5 * len(whole["checks"]) / BATCH
        assert written >= len(whole["checks"]) / TEXT_BATCH
        assert b"".join(pieces).decode() == encode(report(stage.view(ENGINE), EVERY), indent=None)
        assert len(pieces) > 10


def test_a_document_needs_no_result() -> None:
    """A diagnosis that names rows which are gone by now is told all the same."""
    stage = Stage([tcp_job("a.test", 1)])
    stage.see("tcp:a.test:1", Status.CRITICAL, Reason.REFUSED)
    cause = replace(nameserver_down(outage_stage(1)), evidence=("gone",), explains=("gone", "dns:x"))
    stage.diagnosis = found(cause)
    whole = report(stage.view(ENGINE))
    assert whole["diagnosis"][0]["explains"] == ["gone", "dns:x"]
    assert whole["checks"][0]["suppressed_by"] is None


def test_causes_follow_the_diagnosis() -> None:
    """A cause is told as it is now, and not once it is over."""
    stage, reporter = outage_stage(2), Reporter()
    cause = nameserver_down(stage)
    titles = []
    for causes in ((cause,), (replace(cause, title="worse"),), ()):
        stage.diagnosis = found(*causes)
        view = stage.view(ENGINE)
        text = text_of(reporter, view, EVERY)
        assert text == encode(report(view, EVERY), indent=None)
        titles.append([told["title"] for told in json.loads(text)["diagnosis"]])
    assert titles == [[cause.title], ["worse"], []]
