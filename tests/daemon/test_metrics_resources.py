"""What is shown of Resources: the presence rules, and the budget."""

import pytest

from checks.model import CheckName, Event, Json, Reason, Status
from daemon.config.schema import Config, Resource
from daemon.config.schema import Metrics as MetricsConfig
from daemon.metrics.collection import Metrics
from tests.support.exposed import exposition, fixed_process, series, values
from tests.support.office import office, seen
from tests.support.views import Stage, dns_job, plain_job, tcp_job

PORT = (("address", "10.9.8.7"), ("port", "631"), ("resource", 'Printer "2"'))
FACTS: dict[str, Json] = {"accepted": ("10.1.2.3",)}


@pytest.mark.parametrize(
    ("status", "reason", "up", "seconds", "event"),
    [
        (Status.OK, None, 1, True, Event.NONE),
        (Status.WARNING, Reason.UNEXPECTEDLY_UP, 1, True, Event.NONE),
        (Status.CRITICAL, Reason.REFUSED, 0, False, Event.UNABLE_TO_CONNECT),
        (Status.UNKNOWN, Reason.PROBER_STARVED, None, False, None),
        (Status.SKIPPED, Reason.DEPENDENCY_FAILED, None, False, None),
        (Status.SKIPPED, Reason.NEVER_UP, None, False, None),
    ],
)
def test_presence(status: Status, reason: Reason | None, up: int | None, *, seconds: bool, event: Event | None) -> None:
    """A verdict is shown while it is one; durations after success only; a prediction only of a failure."""
    stage = office()
    stage.see("tcp:10.9.8.7:631", measurements={"connect_seconds": 0.1}, facts=FACTS)  # no trace of the last value
    facts: dict[str, Json] = FACTS if up else {"accepted": (), "failed": {"10.9.8.7": "refused"}}
    stage.see("tcp:10.9.8.7:631", status, reason, event=event, measurements={"connect_seconds": 0.2}, facts=facts)
    found = series(exposition(stage))
    assert values(found, "resource_tcp_up") == ({} if up is None else {PORT: up})
    assert values(found, "resource_tcp_seconds") == ({PORT: 0.2} if seconds else {})
    predicted = values(found, "resource_predicted_event")
    assert list(predicted) == ([(("address", "10.9.8.7"), ("event", event), *PORT[1:])] if up == 0 else [])


def test_an_old_verdict_is_not_shown() -> None:
    """After three intervals without a new result nobody knows any more; what was configured stays."""
    stage = seen(office())
    stage.at += 90
    assert values(series(exposition(stage)), "resource_tcp_up")
    stage.at += 1
    found = series(exposition(stage))
    assert not [name for name, _ in found if name.endswith("_up") and "resources" not in name]
    assert len(values(found, "resource_info")) == 9
    states = {dict(k)["state"]: v for k, v in values(found, "resources").items()}
    assert states["unknown"] == 6
    assert states["ok"] == states["failing"] == 0


def test_addresses_only_when_both_occur() -> None:
    """The share of addresses is told only when there is one."""
    found = values(series(exposition(seen(office()))), "resource_addresses")
    assert {(dict(k)["resource"], dict(k)["state"]): v for k, v in found.items()} == {
        ("Orders DB", "up"): 1, ("Orders DB", "down"): 2, ("Reporting", "up"): 1, ("Reporting", "down"): 2,
    }  # fmt: skip


def test_up_means_that_an_address_accepts() -> None:
    """`addresses: all` can be critical while an address accepts, `expect: down` ok while none does."""
    stage = office()
    some: dict[str, Json] = {"accepted": ("10.1.2.3",), "failed": {"10.1.2.4": "refused"}}
    stage.see("tcp:files.corp.internal:445", Status.CRITICAL, Reason.REFUSED, event=Event.UNABLE_TO_CONNECT, facts=some)
    stage.see("tcp:10.9.8.7:631", event=Event.NONE, facts={"addresses": (), "expected_down": True})
    up = {dict(k)["address"]: v for k, v in values(series(exposition(stage)), "resource_tcp_up").items()}
    assert up == {"files.corp.internal": 1, "10.9.8.7": 0}


def test_a_name_known_from_the_log_alone_is_not_up_while_it_fails() -> None:
    """A failure that is shown as a warning only, because nobody wrote the name, is a failure all the same."""
    stage = office()
    stage.see(
        "dns:files.corp.internal", Status.WARNING, Reason.NXDOMAIN, event=Event.NONE, facts={"only_learned": True}
    )
    up = {dict(k)["address"]: v for k, v in values(series(exposition(stage)), "resource_dns_up").items()}
    assert up["files.corp.internal"] == 0


def test_a_second_seat_is_not_mixed_in() -> None:
    """A row seen from a second seat would have the same labels: only the first seat's are shown."""
    found = values(series(exposition(seen(office()))), "resource_tcp_up")
    assert found[(("address", "orders-db.corp.internal"), ("port", "5432"), ("resource", "Orders DB"))] == 1


def test_labels_of_a_user_can_break_nothing() -> None:
    """A label that would be ours, or no label at all, is left out."""
    resource = Resource(name="A", address="10.0.0.1", labels={"address": "x", "a-b": "x", "__x": "x", "team": 'a"\\\n'})
    stage = Stage([tcp_job("10.0.0.1", 1, "A")], [resource])
    found = values(series(exposition(stage)), "resource_info")
    assert list(found) == [(("address", "10.0.0.1"), ("resource", "A"), ("team", 'a"\\\\x0a'))]


def crowd(size: int, **metrics: object) -> Stage:
    """Make that many Resources with a name and a port each; every tenth port is refused."""
    resources = [Resource(name=f"R{i}", address=f"h{i}.corp.internal") for i in range(size)]
    jobs = [job for r in resources for job in (dns_job(r.address, r.name), tcp_job(r.address, 443, r.name))]
    config = Config(resources=tuple(resources), metrics=MetricsConfig(**metrics))  # type: ignore[arg-type]
    stage = Stage([plain_job("host:network"), *jobs], resources, config)
    for i, resource in enumerate(resources):
        stage.see(f"dns:{resource.address}", event=Event.NONE, measurements={"lookup_seconds": 0.001})
        port = f"tcp:{resource.address}:443"
        if i % 10:
            stage.see(port, event=Event.NONE, measurements={"connect_seconds": 0.001}, facts=FACTS)
        else:
            stage.see(port, Status.CRITICAL, Reason.REFUSED, times=2, event=Event.UNABLE_TO_CONNECT)
    return stage


@pytest.mark.parametrize(
    ("detail", "size", "info", "up"),
    [("all", 1500, 1500, 3000), ("failing", 20, 20, 2), ("none", 20, 0, 0), ("auto", 1000, 1000, 2000),
     ("auto", 1001, 1001, 101)],
)  # fmt: skip
def test_detail(detail: str, size: int, info: int, up: int) -> None:
    """`auto` shows all names and ports up to 2,000, beyond only those that are not ok; sums are always there."""
    found = series(exposition(crowd(size, detail=detail)))
    shown = len(values(found, "resource_dns_up")) + len(values(found, "resource_tcp_up"))
    assert (len(values(found, "resource_info")), shown) == (info, up)
    assert sum(values(found, "resources").values()) == size
    assert values(found, "series_dropped") == {(): 0}


@pytest.mark.parametrize("most", [150, 200, 333, 390])
def test_budget(most: int) -> None:
    """Never more series than `max_series`; a row is shown whole or not at all, those that are not ok first."""
    stage = crowd(100, detail="all", max_series=most)
    text = exposition(stage)
    found = series(text)
    assert len(found) <= most
    everything = len(series(exposition(crowd(100, detail="all"))))
    assert values(found, "series_dropped") == {(): everything - len(found)}
    assert values(found, "series") == {(): len(found)}
    tcp, seconds = values(found, "resource_tcp_up"), values(found, "resource_tcp_seconds")
    assert {k for k, v in tcp.items() if v} == set(seconds)
    assert text == exposition(stage)
    if len(tcp) >= 10:
        assert list(tcp.values()).count(0) == 10


def test_nothing_slips_in_behind_the_first_that_found_no_room() -> None:
    """What is left out is the end of the order, not whatever happens to be large."""
    resources = [Resource(name=n, address="10.0.0.1") for n in "ABC"]
    jobs = [tcp_job("10.0.0.1", 1, "A"), tcp_job("10.0.0.1", 2, "A", "B", "C"), tcp_job("10.0.0.1", 3, "A")]
    stage = Stage(jobs, resources)
    for job in jobs:
        stage.see(job.id, event=Event.NONE, measurements={"connect_seconds": 0.1}, facts=FACTS)
    fixed = len([1 for name, _ in series(exposition(stage)) if not name.startswith("connector_health_resource_tcp")])
    stage.config = Config(resources=tuple(resources), metrics=MetricsConfig(detail="all", max_series=fixed + 5))
    found = series(exposition(stage))
    assert [dict(k)["port"] for k in values(found, "resource_tcp_up")] == ["1"]
    assert values(found, "series_dropped") == {(): 8}


def test_metadata_does_not_churn_when_room_is_short() -> None:
    """Which Resources are identified does not depend on how they are."""
    stage = crowd(100, detail="all", max_series=150)
    before = values(series(exposition(stage)), "resource_info")
    stage.at += 1000
    assert values(series(exposition(stage)), "resource_info") == before


def test_a_new_plan_gets_new_labels() -> None:
    """Label blocks that were kept for the last plan are not used for the next."""
    metrics = Metrics(fixed_process)
    first, second = (Stage([tcp_job("10.0.0.1", 1, n)], [Resource(name=n, address="10.0.0.1")]) for n in "AB")
    for stage, name in ((first, "A"), (second, "B")):
        stage.see("tcp:10.0.0.1:1", facts=FACTS)
        found = values(series(metrics.render(stage.view(), openmetrics=True).decode()), "resource_tcp_up")
        assert [dict(k)["resource"] for k in found] == [name]


def test_same_state_is_rendered_anew_when_it_changes() -> None:
    """Lines that are kept for a row end with its state."""
    metrics, stage = Metrics(fixed_process), office()
    for accepted in (("10.1.2.3",), (), ("10.1.2.3",)):
        stage.see("tcp:10.9.8.7:631", facts={"accepted": accepted})
        found = values(series(metrics.render(stage.view(), openmetrics=True).decode()), "resource_tcp_up")
        assert found == {PORT: len(accepted)}


def test_ten_thousand_targets() -> None:
    """Ten thousand Resources are rendered, within the budget, and read by the strict parser."""
    found = series(exposition(crowd(10_000, detail="all", max_series=35_000)))
    assert 34_990 <= len(found) <= 35_000
    assert len(values(found, "resource_info")) == 10_000
    assert values(found, "check_last_run_timestamp_seconds").keys() == {
        (("check", CheckName.DNS),),
        (("check", CheckName.TCP),),
    }
