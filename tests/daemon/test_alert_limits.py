"""However much fails: at most 200 alerts of each name, and no sequence of events breaks the rules."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.model import Outcome
from daemon.causes import Cause, CauseSeverity
from tests.support.alert_desk import CRITICAL, OK, SUPPRESSED, UNKNOWN, AlertDesk, cause, port_fails

SEVERITIES: tuple[CauseSeverity, ...] = ("critical", "warning", "info")


def many(count: int) -> list[Cause]:
    """Return as many causes, each of one port; every tenth is critical, the last ones first."""
    return [port_fails(f"tcp:h{n}:1", "critical" if n % 10 == 9 else "warning") for n in range(count)]


def test_200_of_each_name() -> None:
    """The longest firing are shown, the rest is counted; another name has its own 200."""
    causes = many(250)
    more = cause("ConnectorDown", "connector:process", alert="ConnectorDown")
    desk = AlertDesk(*(c.evidence[0] for c in causes), "connector:process")
    desk.fail(*causes[:150])
    desk.tick()
    desk.wait(10)
    desk.fail(*causes[150:], more)
    desk.wait(130)
    assert len(desk.alerts.active) == 201
    assert dict(desk.alerts.truncated) == {"ConnectorUnableToConnect": 50}
    shown = {alert.key.labels[1] for alert in desk.alerts.active}
    assert {f"h{n}" for n in range(150)} <= shown, "the longest firing"
    assert {f"h{n}" for n in range(159, 250, 10)} <= shown, "of those that began together the worst"


def test_a_free_place_is_taken() -> None:
    """When one of the 200 ends the next is shown, with its own beginning, and nobody hears of what was never shown."""
    causes = many(210)
    desk = AlertDesk(*(c.evidence[0] for c in causes))
    desk.fail(*causes)
    desk.wait(61)
    shown = {alert.key for alert in desk.alerts.active}
    started = desk.alerts.active[0].starts_at
    first = next(c for c in causes if any(c.evidence[0] in a.rows for a in desk.alerts.active))
    hidden = next(c for c in causes if not any(c.evidence[0] in a.rows for a in desk.alerts.active))
    desk.heal(hidden)
    desk.wait(2)
    assert ({alert.key for alert in desk.alerts.active}, desk.alerts.resolved) == (shown, ())
    desk.heal(first)
    desk.wait(2)
    assert (len(desk.alerts.active), len(desk.alerts.resolved)) == (200, 1)
    assert {alert.starts_at for alert in desk.alerts.active} == {started}
    assert dict(desk.alerts.truncated) == {"ConnectorUnableToConnect": 8}


def test_thousands() -> None:
    """Of thousands of causes as many are held as can follow in time, always the same ones; all are counted."""
    causes = many(3000)
    desk = AlertDesk(*(c.evidence[0] for c in causes[:1000]))  # the others are never looked at again
    desk.fail(*causes[:1000])
    desk.causes = causes
    desk.wait(61)
    assert (len(desk.alerts.active), dict(desk.alerts.truncated)) == (200, {"ConnectorUnableToConnect": 2800})
    before = desk.alerts.active
    desk.causes = causes[1000:] + causes[:1000]
    desk.wait(3)
    assert (desk.alerts.active, desk.alerts.resolved) == (before, ())


def test_pending_is_bounded() -> None:
    """Of what waits no more is listed than could be shown."""
    causes = many(300)
    desk = AlertDesk(*(c.evidence[0] for c in causes))
    desk.fail(*causes)
    desk.tick()
    assert len(desk.alerts.pending) == 200


def test_texts_follow_but_not_at_once() -> None:
    """What an alert says follows its cause about once a minute: each change is sent anew."""
    one = port_fails()
    desk = AlertDesk(*one.evidence)
    desk.fail(one)
    desk.tick()
    desk.wait(60)
    versions = desk.alerts.version
    for count in range(120):
        desk.causes = [replace(one, resources=count)]
        desk.wait(1)
    assert desk.alerts.version - versions == 2
    assert "affects 119 Resources" in desk.alerts.active[0].description


ROWS = ("tcp:a:1", "tcp:b:1", "dns:c")
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(ROWS),
        st.sampled_from([OK, CRITICAL, CRITICAL, UNKNOWN, SUPPRESSED]),
        st.sampled_from(SEVERITIES),
        st.sampled_from(["", "", "", "starved", "warming", "explained", "restart"]),
        st.sampled_from([1, 5, 31, 70, 400]),
    ),
    min_size=5,
    max_size=40,
)  # fmt: skip


class CheckedDesk(AlertDesk):
    """Finds the causes as the diagnosis does, of each row that is held to be failing, and checks each tick."""

    def tick(self, *, stopping: bool = False) -> bool:
        """Decide once; whatever was decided must keep the rules."""
        self.causes = [
            cause("PortFails", row, alert="ConnectorUnableToConnect", target=row, severity=self.severity, resource=row)
            for row, held in self.board.rows.items()
            if held.failing
        ]
        before = self.alerts
        changed = super().tick(stopping=stopping)
        active = {alert.key: alert for alert in self.alerts.active}
        identities = {key.labels for key in active}
        assert len(identities) == len(active), "never two severities at once"
        assert not {alert.key for alert in self.alerts.resolved} & active.keys()
        if not self.engine.ready or self.engine.starved:
            assert [alert.key for alert in before.active] == list(active), "nothing is decided"
        for alert in before.active:
            if alert.key in active:
                assert active[alert.key].starts_at == alert.starts_at
            elif alert.key.labels not in identities:
                assert self.board.rows[alert.rows[0]].state == "ok", "known to be good"
        return changed

    severity: CauseSeverity = "warning"


@settings(max_examples=40, deadline=None)
@given(EVENTS)
def test_no_sequence_breaks_the_rules(events: list[tuple[str, Outcome, CauseSeverity, str, int]]) -> None:
    """An alert ends only where its row is held to be ok; no identity is ever active twice, nor ended and active; its
    beginning never changes; and nothing fires or ends while nothing may be decided.
    """
    desk = CheckedDesk(*ROWS)
    for row, outcome, severity, what, seconds in events:
        desk.severity = severity
        if what == "restart":
            kept = desk.book.dump()
            active = {replace(alert, ends_after=None) for alert in desk.alerts.active}
            desk = desk.restarted(kept)
            assert {replace(alert, ends_after=None) for alert in desk.alerts.active} == active
        desk.be(ready=what != "warming", starved=what == "starved")
        desk.explained = {row: "NameserverDown:x"} if what == "explained" else {}
        desk.see(row, outcome, times=2)
        desk.wait(seconds, step_s=1 if seconds < 31 else 10)


def test_another_cause_is_said_at_once() -> None:
    """When another cause takes over an alert, it says so in the same step, and goes on with its beginning."""
    one = cause("NoIPv4", "host:network", alert="ConnectorHostNetworkDown", title="No IPv4")
    desk = AlertDesk(*one.evidence)
    desk.fail(one)
    desk.wait(62)
    (before,) = desk.alerts.active
    desk.causes = [cause("HostNetworkDown", "host:network", alert="ConnectorHostNetworkDown", title="No network")]
    desk.wait(1)
    (after,) = desk.alerts.active
    assert (after.summary, after.cause, after.starts_at) == ("No network", "HostNetworkDown:x", before.starts_at)
