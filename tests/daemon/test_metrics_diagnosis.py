"""Causes as metrics."""

from dataclasses import replace

from checks.model import Reason, Status
from daemon.causes import Cause, Domain
from daemon.config.schema import Metrics
from daemon.metrics.diagnosis import MAX_CAUSES, diagnosis_steps
from daemon.metrics.state import state_families
from daemon.slices import at_once
from tests.support.exposed import exposition, lint, series, series_of, values
from tests.support.office import diagnosed, office, seen, watched
from tests.support.outage import found, nameserver_down, one_alert, outage_stage
from tests.support.views import STARTED_AT, Stage, tcp_job

PORT = "tcp:10.9.8.7:631"


def port_fails(number: int, explains: int = 0) -> Cause:
    """Return the cause that one port is."""
    return Cause(
        code="PortFails", target=f"10.1.0.1:{number}", domain=Domain.RESOURCE, severity="warning", title="t", text="",
        action="", since=STARTED_AT, explains=tuple(f"tcp:x:{n}" for n in range(explains)),
    )  # fmt: skip


def test_a_cause_and_how_far_it_reaches() -> None:
    """One series says that it is there, the other how many rows it explains; both are gone with it."""
    stage = outage_stage(20)
    stage.diagnosis = found(nameserver_down(stage))
    labels = (("code", "NameserverDown"), ("fault_domain", "resolver"), ("target", "10.0.0.2"))
    shown = series(exposition(stage))
    assert values(shown, "diagnosis") == {labels: 1}
    assert values(shown, "diagnosis_explains") == {labels: 40}
    stage.diagnosis = found()
    assert not values(series(exposition(stage)), "diagnosis")


def test_at_most_two_hundred_and_always_the_same() -> None:
    """Those that explain most are kept; which of equals are does not depend on the order in which they were found."""
    big = [port_fails(n, explains=2) for n in range(30)]
    many = [port_fails(n) for n in range(1000, 1000 + MAX_CAUSES)] + big
    stage = Stage([tcp_job("a", 1)])
    stage.diagnosis = found(*many)
    shown = values(series_of(at_once(diagnosis_steps(stage.view()))), "diagnosis_explains")
    assert len(shown) == MAX_CAUSES
    assert sum(shown.values()) == 60
    stage.diagnosis = found(*reversed(many))
    assert values(series_of(at_once(diagnosis_steps(stage.view()))), "diagnosis_explains") == shown


def test_the_same_cause_twice_is_one_series() -> None:
    """Two series with the same labels would break the whole scrape."""
    stage = Stage([tcp_job("a", 1)])
    stage.diagnosis = found(port_fails(1, explains=3), replace(port_fails(1), since=0.0))
    assert list(values(series_of(at_once(diagnosis_steps(stage.view()))), "diagnosis_explains").values()) == [3]


def test_targets_are_written_harmlessly() -> None:
    """A target comes from the configuration; it is escaped as every label is."""
    stage = Stage([tcp_job("a", 1)])
    stage.diagnosis = found(replace(port_fails(1), target='a"\n\x1b[2J'))
    (labels,) = values(series_of(at_once(diagnosis_steps(stage.view()))), "diagnosis")
    assert dict(labels)["target"] == 'a"\\x0a\\x1b[2J'


def test_one_look_has_causes_and_no_alerts() -> None:
    """`check -o prometheus` shows why, and nothing that only a daemon can decide."""
    stage = diagnosed(watched(seen(office())))
    names = {family.name.removeprefix("connector_health_") for family in state_families(stage.view()) if family.lines}
    assert {"diagnosis", "diagnosis_explains"} <= names
    assert not [name for name in names if name.startswith(("alert", "notifications"))]


def test_promtool_is_content_during_an_outage() -> None:
    """The linter finds nothing in what a daemon shows of causes, alerts and their delivery."""
    stage = outage_stage(5)
    stage.diagnosis, stage.alerts = found(nameserver_down(stage)), one_alert()
    assert lint(exposition(stage, openmetrics=False)) == ""


def test_what_is_explained_still_shows_that_it_fails() -> None:
    """With `detail: failing` an explained row stays: suppressed is no reason to hide what users meet."""
    stage = office(Metrics(detail="failing"))
    stage.see(PORT, Status.CRITICAL, Reason.REFUSED, times=2, facts={"accepted": (), "failed": {"10.9.8.7": "refused"}})
    before = values(series(exposition(stage)), "resource_tcp_up")
    stage.diagnosis = found(replace(port_fails(1), explains=(PORT,)))
    shown = series(exposition(stage))
    assert values(shown, "resource_tcp_up") == before != {}
    assert values(shown, "resources")[("state", "suppressed"),] == 1
