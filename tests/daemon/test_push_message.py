"""What is said of an alert, and by whose clock."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from daemon.alert import Alert
from daemon.moments import unix_time
from daemon.push.message import Instant, Wording, body
from tests.support.push_lab import T0, alert

RESEND_S = 60.0


def told(one: Alert, now: Instant | None = None, generator: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Return what an Alertmanager reads of one alert."""
    settings: dict[str, Any] = {"identity": ("office-1", "Office"), "external_labels": {}, "runbooks": "docs/runbooks"}
    wording = Wording(**{**settings, **more})
    found = json.loads(body(wording.messages([one]), now or Instant(ours=T0 + 100), RESEND_S, generator))
    assert len(found) == 1
    result: dict[str, Any] = found[0]
    return result


def test_every_field() -> None:
    """An alert carries its name, severity, this Connector, what it is about, texts, times and the link back."""
    one = alert(
        "ConnectorUnableToConnect", resource="Orders DB", address="db.corp", port="5432", severity="warning",
        summary="Orders DB refuses", description="Two\nlines", action="Start it",
    )  # fmt: skip
    assert told(one, generator="https://health.example.com/") == {
        "labels": {
            "alertname": "ConnectorUnableToConnect", "severity": "warning", "connector": "office-1",
            "remote_network": "Office", "resource": "Orders DB", "address": "db.corp", "port": "5432",
        },
        "annotations": {
            "summary": "Orders DB refuses", "description": "Two\nlines", "action": "Start it",
            "runbook_url": "docs/runbooks/ConnectorUnableToConnect.md",
        },
        "startsAt": "2026-01-02T03:04:05.000Z",
        "endsAt": "2026-01-02T03:09:45.000Z",
        "generatorURL": "https://health.example.com/",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("identity", "external", "expected"),
    [
        pytest.param(("c", ""), {}, {"connector": "c"}, id="an empty one is left out"),
        pytest.param(("c", ""), {"dc": "x", "empty": ""}, {"connector": "c", "dc": "x"}, id="external ones are added"),
        pytest.param(("c", ""), {"connector": "d", "port": "1"}, {"connector": "c", "port": "1"},
                     id="but never instead of ours"),
        pytest.param(("c\n\u202e", ""), {}, {"connector": "c\\x0a\\u202e"}, id="made harmless as in the metrics"),
    ],
)  # fmt: skip
def test_labels(identity: tuple[str, str], external: Mapping[str, str], expected: Mapping[str, str]) -> None:
    """Labels are the identity: no empty one, ours before external ones, written as Prometheus reads them."""
    labels = told(alert("ConnectorDown"), identity=identity, external_labels=external)["labels"]
    assert labels == {"alertname": "ConnectorDown", "severity": "critical", **expected}


def test_runbooks_have_one_slash() -> None:
    """The address of a runbook is made with one slash, however its base ends."""
    notes = told(alert("ConnectorDown"), runbooks="https://wiki.example.com/r/")["annotations"]
    assert notes == {"runbook_url": "https://wiki.example.com/r/ConnectorDown.md"}


def test_hostile_texts_are_bounded() -> None:
    """A text with control characters, half a character or a megabyte is escaped and cut, and never stops the push."""
    notes = told(alert("ConnectorDown", summary="\x1b[2J\ud800", description="x\n" * 500_000))["annotations"]
    assert notes["summary"] == "\\x1b[2J\\ud800"
    assert len(notes["description"]) <= 4000


@pytest.mark.parametrize(
    ("ends_after", "now", "expected"),
    [
        pytest.param(None, Instant(ours=T0 + 100), (0, 340), id="fires: lapses after four resends"),
        pytest.param(None, Instant(ours=T0 + 100, theirs=T0 + 700), (0, 940), id="fires, our clock is 10 min behind"),
        pytest.param(None, Instant(ours=T0 + 100, theirs=T0 - 500), (0, 340), id="fires, our clock is 10 min ahead"),
        pytest.param(None, Instant(ours=T0 - 900), (0, 240), id="fires, our clock was set back since"),
        pytest.param(50, Instant(ours=T0 + 100), (0, 50), id="over: its true end"),
        pytest.param(50, Instant(ours=T0 + 100, theirs=T0 + 700), (0, 50), id="over, our clock is behind"),
        pytest.param(50, Instant(ours=T0 + 100, theirs=T0 + 80), (0, 30), id="over, our clock is 20 s ahead"),
        pytest.param(50, Instant(ours=T0 + 100, theirs=T0 - 500), (-550.001, -550), id="over, our clock is far ahead"),
        pytest.param(5000, Instant(ours=T0, theirs=T0 + 5), (0, 5), id="over by a clock that was set back since"),
        pytest.param(5000, Instant(ours=T0 - 50), (-50.001, -50), id="over by a clock that was set back further"),
        pytest.param(0, Instant(ours=T0 + 100), (-0.001, 0), id="over as soon as it began"),
        pytest.param(-80, Instant(ours=T0 - 50), (-80.001, -80), id="over before it began: the clock was set back"),
    ],
)
def test_times(ends_after: float | None, now: Instant, expected: tuple[float, float]) -> None:
    """What fires does so by the Alertmanager's clock, what is over is over by it, and no end is before its start."""
    one = told(alert("ConnectorClockSkew", ends_at=None if ends_after is None else T0 + ends_after), now)
    assert (unix_time(one["startsAt"]) - T0, unix_time(one["endsAt"]) - T0) == pytest.approx(expected, abs=0.0011)
    assert one["startsAt"] < one["endsAt"]


def test_what_did_not_change_is_not_worded_again() -> None:
    """The same alert gives the same message; what is not mentioned any more is forgotten."""
    wording = Wording(("c", ""), {}, "r")
    first, second = alert("ConnectorDown"), alert("ConnectorRestarting")
    before = wording.messages([first, second])
    assert wording.messages([second])[0] is before[1]
    assert wording.messages([first])[0] is not before[0]
