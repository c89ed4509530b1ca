"""Causes, alerts and changes on the status page."""

import re
from dataclasses import replace

import msgspec

from checks.model import Event, Reason, Status
from daemon.alert import Alerts
from daemon.causes import Cause, Change, ChangeKind, Domain
from daemon.config.schema import Alerting
from daemon.report import report
from daemon.view import View
from daemon.web.page import MAX_CAUSES, MAX_CHANGES, MAX_ROWS, Page
from tests.support.outage import CHANGE, NOW, found, nameserver_down, outage, outage_stage
from tests.support.pages import Checker
from tests.support.views import Stage, plain_job, tcp_job


def page(view: View) -> Checker:
    """Render the page of a view, and read it."""
    return Checker(Page().render(report(view), NOW))


def articles(checker: Checker) -> int:
    """Count the boxes, one for each cause and each row that needs attention."""
    return sum(tag == "article" for tag, _ in checker.tags)


def test_the_cause_stands_on_top() -> None:
    """Verdict, cause with all that helps, alerts, what else needs attention, changes; each once, in this order."""
    text = page(outage()).text
    order = ["critical NameserverDown 10.0.0.2: 500 of 512 Resources would fail now", "Cause critical",
             "Nameserver 10.0.0.2 does not answer", "10.0.0.2 gave no valid reply",
             "It hits Server 0, Server 1, Server 2, Server 3, Server 4 and 495 more.",
             "Changed before: 2026-01-02 04:00:58 UTC: default route via 10.0.0.1 on eth0 gone",
             "Possible: a firewall on the way that drops port 53", "See that the nameserver runs",
             "dig @10.0.0.2 s0.corp.internal A", "Runbook: https://runbooks.example.com/ConnectorNameserverDown.md",
             "NameserverDown 10.0.0.2 · for 3 minutes", "1000 rows explained by it",
             "Alerts critical ConnectorNameserverDown", "fires for 2 minutes", "pending ConnectorUnableToConnect",
             "fires in 40 s", "failing Alertmanager am-2.example.com:9093", "Needs attention Nothing else does.",
             "Recent changes 3 minutes ago: default route via 10.0.0.1 on eth0 gone", "By check"]  # fmt: skip
    place = 0
    for words in order:
        assert words in text[place:], f"{words!r} is not in: {text[place : place + 2000]}"
        place = text.index(words, place) + len(words)


def test_five_hundred_failures_are_one_box() -> None:
    """What the cause explains is folded away under it, closed, and no box of its own."""
    checker = page(outage())
    assert articles(checker) == 1
    assert all("open" not in attributes for tag, attributes in checker.tags if tag == "details")


def test_folded_rows_are_bounded() -> None:
    """No more rows than a phone can scroll; the rest is counted."""
    checker = page(outage(MAX_ROWS))
    assert f"{2 * MAX_ROWS} rows explained by it" in checker.text
    assert f"{MAX_ROWS} more: all of them as JSON." in checker.text
    assert sum(tag == "li" for tag, _ in checker.tags) == 1 + MAX_ROWS + 1


def test_without_causes_there_is_no_such_section() -> None:
    """Nor alerts, nor changes: the page is what it was."""
    stage = Stage([plain_job("host:network")])
    stage.see("host:network")
    text = page(stage.view()).text
    assert not re.search("Cause|Alerts|Recent changes", text)
    assert "Needs attention Nothing does." in text


def test_a_port_that_fails_by_itself_stays_in_its_box() -> None:
    """A cause that only repeats a row is told there, with what changed before."""
    stage = Stage([tcp_job("10.1.0.1", 22, "R")])
    stage.see("tcp:10.1.0.1:22", Status.CRITICAL, Reason.REFUSED, action="Start it.", event=Event.UNABLE_TO_CONNECT)
    stage.diagnosis = found(Cause(
        code="PortFails", target="10.1.0.1:22", domain=Domain.RESOURCE, severity="warning", title="t", text="",
        action="", since=NOW, evidence=("tcp:10.1.0.1:22",), resources=1, changed=(CHANGE,), possible=("x y",),
    ))  # fmt: skip
    checker = page(stage.view())
    assert articles(checker) == 1
    assert "Start it." in checker.text
    assert "Changed before: 2026-01-02 04:00:58 UTC" in checker.text
    assert "Possible: x y" in checker.text


def test_the_connector_comes_before_what_may_fail_because_of_it() -> None:
    """Of what is equally bad the Connector's own row is the first."""
    stage = outage_stage(3)
    stage.see("connector:process", Status.CRITICAL, Reason.NOT_RUNNING, times=2, summary="it exited")
    text = page(stage.view()).text
    assert text.index("it exited") < text.index("Name s0.corp.internal")


def test_a_runbook_is_linked_on_the_web_only() -> None:
    """A path, or anything that a browser might run, stays text."""
    for base, linked in (("https://r.example.com", True), ("docs/runbooks", False), ("javascript:alert(1)//", False)):
        stage = outage_stage(1)
        stage.config = msgspec.structs.replace(stage.config, alerting=Alerting(runbooks=base))
        stage.diagnosis = found(nameserver_down(stage))
        checker = page(stage.view())
        targets = [attributes.get("href") or "" for tag, attributes in checker.tags if tag == "a"]
        assert any("ConnectorNameserverDown" in target for target in targets) is linked
        assert "ConnectorNameserverDown.md" in checker.text


def test_everything_from_outside_is_escaped() -> None:
    """Markup in a cause, an alert or a change stays text."""
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>"
    stage = outage_stage(1)
    cause = replace(nameserver_down(stage), title=evil, text=evil, action=f"{evil} By hand: {evil}", possible=(evil,),
                    changed=(replace(CHANGE, text=evil),), target=evil)  # fmt: skip
    stage.diagnosis, stage.changes = found(cause), (replace(CHANGE, text=evil),)
    view = outage(1)
    (alert,) = view.alerts.active
    stage.alerts = Alerts(active=(replace(alert, key=alert.key._replace(name=evil)),))
    stage.deliveries = (replace(view.deliveries[1], name=evil, problem=evil),)
    checker = page(stage.view())
    assert {tag for tag, _ in checker.tags}.isdisjoint({"script", "img"})
    assert checker.text.count(evil) >= 9


def test_few_changes_are_shown() -> None:
    """A list to glance at; the rest is in the JSON."""
    stage = outage_stage(1)
    stage.changes = tuple(Change(at=NOW - n, kind=ChangeKind.LINK, text=f"eth{n} down") for n in range(MAX_CHANGES + 5))
    text = page(stage.view()).text
    assert len(re.findall(r"eth\d+ down", text)) == MAX_CHANGES
    assert text.index("eth0 down") < text.index("eth1 down")


def test_shadow_mode_is_said() -> None:
    """Who reads the page knows that nobody is paged."""
    stage = outage_stage(1)
    stage.config = msgspec.structs.replace(stage.config, alerting=Alerting(mode="shadow"))
    assert "Alerts shadow mode: shown here, sent to nobody" in page(stage.view()).text


def test_many_causes_are_counted() -> None:
    """No more boxes than somebody would scroll past; the rest is a number with a link."""
    stage = outage_stage(1)
    one = replace(nameserver_down(stage), explains=())
    stage.diagnosis = found(*(replace(one, target=str(n), evidence=()) for n in range(MAX_CAUSES + 3)))
    checker = page(stage.view())
    assert "3 more causes: all of them as JSON." in checker.text
    assert checker.text.count("Nameserver 10.0.0.2 does not answer") == MAX_CAUSES
