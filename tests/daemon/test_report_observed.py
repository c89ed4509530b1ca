"""What the document says of the Connector besides the probes."""

import json
from dataclasses import replace
from typing import Any

from checks.connlog.model import LogCause
from checks.connlog.summary import LogSummary
from checks.model import CheckName, Event, Reason, Status
from daemon.cli.answer import read_document
from daemon.observed import Observed, Predictions
from daemon.report import document, encode, report
from tests.support.observed import LOG, NOW, OBSERVED, everything
from tests.support.reports import head, row


def test_the_log_is_told_in_numbers() -> None:
    """States, causes, who fails and what the log can show at all; times are RFC 3339, lists the worst first."""
    log: dict[str, Any] = json.loads(encode(report(everything())))["connector_log"]
    advice = log["capability"].pop("advice")
    assert log == {
        "problem": None,
        "lines": 48211,
        "last_line_at": "2026-01-05T03:04:02.678Z",
        "state": "online",
        "state_at": "2026-01-03T03:04:05.678Z",
        "token": None,
        "token_at": None,
        "nameservers_down": [{"nameserver": "10.0.0.3", "since": "2026-01-05T03:00:05.678Z"}],
        "causes": [
            {"cause": "nameserver_failed", "count": 12, "last_at": "2026-01-05T03:00:05.678Z"},
            {"cause": "relay_unreachable", "count": 3, "last_at": "2026-01-05T01:04:05.678Z"},
        ],
        "events": {"denied": 7, "established": 20311},
        "paths": {"direct": 20000, "relayed": 311},
        "failing": [
            {"target": "wiki.corp.internal:443", "users": 11},
            {"target": "db.corp.internal:5432", "users": 3},
        ],
        "capability": {"errors": True, "states": False, "analytics": True},
    }
    assert ["TWINGATE_LOG_LEVEL=5" in line for line in advice] == [True]


def test_what_was_learned_is_told_with_its_evidence() -> None:
    """What is in use by now before what is too new; each with how often and on how many days it was seen."""
    learned = report(everything())["learned"]
    assert [(relay["endpoint"], relay["proven"], relay["days"]) for relay in learned["relays"]] == [
        ("192.0.2.9:443", True, 4),
        ("192.0.2.8:443", False, 1),
    ]
    assert learned["samples"] == [
        {
            "rule": "*.corp.internal",
            "address": "db.corp.internal",
            "port": 5432,
            "first_seen": "2026-01-02T03:04:05.678Z",
            "last_seen": "2026-01-05T03:03:56.678Z",
            "days": 3,
            "count": 40,
            "active": True,
        }
    ]


def test_precision_and_recall_come_with_their_counts() -> None:
    """Every pair of predicted and observed is listed, so that anyone can work the shares out again."""
    record = report(everything())["predictions"]
    assert record is not None
    counts = {(one["predicted"], one["observed"]): one["count"] for one in record["counts"]}
    assert counts["none", "none"] == 20000
    assert (record["precision"], record["recall"]) == (round(53 / 60, 6), round(53 / 57, 6))
    (disagreement,) = record["disagreements"]
    assert disagreement == {
        "id": "tcp:wiki.corp.internal:443", "at": "2026-01-05T02:54:05.678Z", "observed": "unable_to_connect",
        "count": 3,
    }  # fmt: skip


def test_what_nobody_looked_at_is_null() -> None:
    """A single look reads no log and compares nothing; a daemon whose users met nothing has no shares."""
    whole = report(everything(Observed()))
    assert (whole["connector_log"], whole["predictions"]) == (None, None)
    assert whole["learned"] == {"relays": [], "samples": []}
    record = report(everything(Observed(predictions=Predictions())))["predictions"]
    assert record == {"counts": [], "precision": None, "recall": None, "disagreements": []}


def test_an_unreadable_log_says_why() -> None:
    """A log that can't be read is a part with a problem, not an absence."""
    log = report(everything(Observed(log=LogSummary(problem="the log driver is syslog"))))["connector_log"]
    assert log is not None
    assert (log["problem"], log["lines"], log["state"], log["capability"]["errors"]) == (
        "the log driver is syslog", 0, None, None,
    )  # fmt: skip


def test_a_token_error_is_told() -> None:
    """The token error that holds now, with its time."""
    refused = replace(LOG, token=LogCause.TOKEN_GONE, token_at=NOW - 60)
    log = report(everything(replace(OBSERVED, log=refused)))["connector_log"]
    assert log is not None
    assert (log["token"], log["token_at"]) == ("token_gone", "2026-01-05T03:03:05.678Z")


def test_the_parts_come_last_and_have_the_types_that_are_written_down() -> None:
    """The keys of before keep their places, and a strict reader of the types takes the document as it is."""
    whole = report(everything())
    parts = ["diagnosis", "connector_log", "learned", "predictions", "alerts", "changes", "probing"]
    assert list(whole)[-7:] == parts
    read = read_document(encode(whole, indent=None).encode())
    assert json.loads(json.dumps(read | {"checks": []})) == json.loads(json.dumps(whole | {"checks": []}))
    assert [one["id"] for one in read["checks"]] == [one["id"] for one in whole["checks"]]


def test_a_second_look_decides_nothing() -> None:
    """A row seen from the host too changes neither the verdict, nor the counts, nor a word of the summary."""
    first = [
        row("relay:r"),
        row("tcp:a:1", Status.WARNING, Reason.TIMEOUT, resources=("A",), event=Event.UNABLE_TO_CONNECT),
    ]
    second = [
        row("relay:r@host", Status.CRITICAL, Reason.TIMEOUT),
        row("tcp:a:1@host", Status.CRITICAL, Reason.TIMEOUT, resources=("A",), event=Event.UNABLE_TO_CONNECT),
    ]
    asked = [CheckName.RELAY, CheckName.TCP]
    without = document(head(asked=asked, configured=1), first)
    found = document(head(asked=asked, configured=1), [*first, *second])
    assert (found["status"], found["summary"]) == (without["status"], without["summary"])
    assert found["status"] == "warning"


def test_a_second_look_alone_is_no_verdict() -> None:
    """Were it all there is, nothing would be known."""
    whole = document(head(asked=[CheckName.TCP], configured=1), [row("tcp:a:1@host", resources=("A",))])
    assert whole["status"] == "unknown"
