"""From Resources to jobs."""

import pytest

from checks.model import CheckName, Reason
from checks.net.endpoint import Endpoint
from checks.tcp import TcpSpec
from daemon.config.load import parse_config
from daemon.config.rate import smallest_rate
from daemon.config.schema import Config
from daemon.jobs import Job
from daemon.targets import enabled_checks, make_plan

EVERYTHING = frozenset(CheckName)


def _config(resources: str, rest: str = "") -> Config:
    return parse_config(f"connector: {{network: acme}}\nresources:\n{resources}\n{rest}".encode(), "test.yaml").config


def _jobs(resources: str, rest: str = "", enabled: frozenset[CheckName] = EVERYTHING) -> dict[str, Job]:
    return {job.id: job for job in make_plan(_config(resources, rest), enabled).jobs}


def _spec(job: Job) -> TcpSpec:
    assert isinstance(job.spec, TcpSpec)
    return job.spec


def test_smallest_useful_file() -> None:
    """The smallest useful file yields every standing check, one name and one port."""
    found = _jobs("  - {name: Orders DB, address: orders-db.corp.internal, tcp: [5432]}")
    assert list(found) == [
        "host:network", "clock:system", "control_plane:acme.twingate.com", "relay:relays.twingate.com", "nat:udp",
        "resolver:nameservers", "provider:status.twingate.com", "connector:process",
        "dns:orders-db.corp.internal", "tcp:orders-db.corp.internal:5432",
    ]  # fmt: skip
    assert found["nat:udp"].fixed is not None, "no STUN server is configured: nothing to ask"
    assert found["dns:orders-db.corp.internal"].resources == ("Orders DB",)


def test_shared_endpoint_is_one_job() -> None:
    """Several Resources on one endpoint are one row; the Resource with the exact address comes first."""
    found = _jobs("""
  - {name: Any of corp, address: "*.corp.internal", tcp: [5432], samples: [orders-db.corp.internal]}
  - {name: Orders DB, address: orders-db.corp.internal, tcp: [5432]}
  - {name: Reporting, address: Orders-DB.corp.internal, tcp: [5432], interval: 10s}""")
    job = found["tcp:orders-db.corp.internal:5432"]
    assert job.resources == ("Orders DB", "Reporting", "Any of corp")
    assert job.connections == 1
    assert job.interval_s == 10
    assert _spec(job).expect == "up", "a Resource names this very port"
    assert sum(j.check is CheckName.TCP for j in found.values()) == 1


@pytest.mark.parametrize(
    ("resource", "expect"),
    [
        ("{name: R, address: a.test, tcp: [443]}", "up"),
        ('{name: R, address: a.test, tcp: ["443-444"]}', "learned"),
        ('{name: R, address: "*.test", samples: [a.test], tcp: [443]}', "learned"),
        ("{name: R, address: a.test, probe_ports: [443]}", "up"),
        ("{name: R, address: a.test, tcp: [443], expect: down}", "down"),
        ('{name: R, address: a.test, tcp: ["443-444"], expect: up}', "up"),
        ("{name: R, address: a.test, tcp: [443], expect: any}", "any"),
    ],
)
def test_never_up_memory_applies_to_what_nobody_wrote_down(resource: str, expect: str) -> None:
    """Ports from ranges and samples count only once they were up; those written one by one are expected up."""
    assert _spec(_jobs(f"  - {resource}")["tcp:a.test:443"]).expect == expect


@pytest.mark.parametrize(
    ("resource", "row", "why"),
    [
        ('{name: R, address: "*.corp.internal", tcp: [443]}', "tcp:*.corp.internal", "pattern"),
        ("{name: R, address: 10.0.0.0/8, tcp: [443]}", "tcp:10.0.0.0/8", "network"),
        ("{name: R, address: a.test}", "tcp:a.test", "probe_ports"),
        ("{name: R, address: a.test, tcp: [], udp: [53]}", "tcp:a.test", "UDP"),
        ("{name: R, address: a.test, tcp: [443], probe: dns}", "tcp:a.test", "probe: dns"),
        ("{name: R, address: a.test, tcp: [443], probe: never}", "tcp:a.test", "probe: never"),
    ],
)
def test_not_probeable_is_listed(resource: str, row: str, why: str) -> None:
    """What can't be probed is one tcp row without a port, skipped/not_probeable, which says why."""
    outcome = _jobs(f"  - {resource}")[row].fixed
    assert outcome is not None
    assert outcome.reason is Reason.NOT_PROBEABLE
    assert why in outcome.summary


def test_never_probed_is_not_even_resolved() -> None:
    """`probe: never` asks no nameserver either; `probe: dns` asks for the name alone."""
    assert "dns:a.test" not in _jobs("  - {name: R, address: a.test, tcp: [443], probe: never}")
    assert "dns:a.test" in _jobs("  - {name: R, address: a.test, tcp: [443], probe: dns}")


def test_ranges_share_the_budget() -> None:
    """Single ports come first, then each range gets its share of `max_ports_per_resource`."""
    found = _jobs('  - {name: R, address: 10.0.0.1, tcp: ["8000-8999", "9001-9099", 443]}')
    ports = sorted(_spec(j).port for j in found.values() if j.check is CheckName.TCP)
    assert len(ports) == 16
    assert ports[0] == 443
    assert {8000, 8006, 9001, 9007} <= set(ports)


@pytest.mark.parametrize(("port", "interval", "confirmable"), [(22, 300, False), (25, 300, False), (443, 30, True)])
def test_port_policy_sets_the_pace(port: int, interval: float, confirmable: bool) -> None:
    """A port with a duration is probed no more often than that, and never by the fast confirmation."""
    job = _jobs(f"  - {{name: R, address: a.test, tcp: [{port}]}}")[f"tcp:a.test:{port}"]
    assert (job.interval_s, job.confirmable) == (interval, confirmable)


def test_half_open_only_ports_are_not_allowed() -> None:
    """A port that permits nothing but a half-open probe is skipped/not_allowed and never scheduled."""
    job = _jobs("  - {name: R, address: a.test, tcp: [3306]}")["tcp:a.test:3306"]
    assert job.fixed is not None
    assert job.fixed.reason is Reason.NOT_ALLOWED


def test_literal_in_the_file_is_exempt_from_deny() -> None:
    """A literal address is allowed by being written into the file, as an address or as a sample."""
    found = _jobs("""
  - {name: A, address: 127.0.0.1, tcp: [80]}
  - {name: B, address: 127.0.0.0/8, samples: [127.0.0.2], tcp: [80]}""")
    assert _spec(found["tcp:127.0.0.1:80"]).literal_allowed
    assert _spec(found["tcp:127.0.0.2:80"]).literal_allowed


def test_ipv6_target_is_bracketed() -> None:
    """An IPv6 endpoint is written as everywhere: [address]:port."""
    assert "tcp:[2001:db8::1]:443" in _jobs('  - {name: R, address: "2001:db8::1", tcp: [443]}')


def test_a_check_that_is_off_has_no_job() -> None:
    """`checks: {nat: false}` and `--only` leave a check out altogether."""
    conf = _config("  - {name: R, address: a.test, tcp: [443]}", "checks: {nat: false}")
    enabled = enabled_checks(conf)
    assert CheckName.NAT not in enabled
    assert not any(j.check is CheckName.NAT for j in make_plan(conf, enabled).jobs)
    only = enabled_checks(conf, frozenset({CheckName.TCP, CheckName.NAT}))
    assert {j.check for j in make_plan(conf, only).jobs} == {CheckName.TCP}


@pytest.mark.parametrize(
    ("rest", "row", "skipped"),
    [
        ("relays: {endpoints: []}", "relay:relays", True),
        ("clock: {servers: [], controller_date: false}", "clock:system", True),
        ("clock: {servers: []}", "clock:system", False),
        ("provider: {enabled: never}", "provider:status.twingate.com", True),
        ("relays: {stun: [127.0.0.1]}", "nat:udp", False),
    ],
)
def test_nothing_to_ask_is_one_skipped_row(rest: str, row: str, skipped: bool) -> None:
    """A check with nothing to ask is one row skipped/not_probeable; the Controller's Date alone is something to ask."""
    fixed = _jobs("  - {name: R, address: a.test, tcp: [443]}", rest)[row].fixed
    assert (fixed is not None) is skipped
    assert fixed is None or fixed.reason is Reason.NOT_PROBEABLE


def test_relays_of_the_operator_are_proven() -> None:
    """A Relay that the operator named is proven; the built-in default is not."""
    rest = 'relays: {endpoints: ["relays.twingate.com:443", "10.9.9.9:30001"]}'
    found = _jobs("  - {name: R, address: a.test, tcp: [443]}", rest)
    proven = {job.target: getattr(job.spec, "proven", None) for job in found.values() if job.check is CheckName.RELAY}
    assert proven == {"relays.twingate.com": False, "10.9.9.9:30001": True}
    assert getattr(found["relay:10.9.9.9:30001"].spec, "endpoint", None) == Endpoint("10.9.9.9", 30001)


def test_ids_are_unique() -> None:
    """No two jobs share an id, however Resources overlap."""
    plan = make_plan(
        _config("""
  - {name: A, address: a.test, tcp: [1, 2, "3-5"]}
  - {name: B, address: A.test., tcp: ["1-3"]}
  - {name: C, address: a.test}
  - {name: D, address: a.test, probe: never}"""),
        EVERYTHING,
    )
    ids = [job.id for job in plan.jobs]
    assert len(ids) == len(set(ids))
    assert set(plan.rows_of["C"]) == {"dns:a.test", "tcp:a.test"}


def test_the_rate_that_the_configuration_is_held_to_is_the_plans() -> None:
    """What is refused as too fast is counted as the plan counts it: once an endpoint, at its own pace."""
    config = _config("""
  - {name: A, address: a.test, tcp: [443, 22, 3306, "8000-8099"]}
  - {name: B, address: A.test, tcp: [443], interval: 10s}
  - {name: C, address: "*.b.test", samples: [x.b.test], tcp: [443]}
  - {name: D, address: d.test, probe_ports: [443]}
  - {name: E, address: e.test, tcp: [443], probe: dns}
  - {name: F, address: 10.0.0.0/8, tcp: [443]}""")
    planned = [job for job in make_plan(config, EVERYTHING).jobs if job.connections]
    assert smallest_rate(config) == pytest.approx(sum(job.connections / job.interval_s for job in planned))
