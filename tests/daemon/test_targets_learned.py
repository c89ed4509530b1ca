"""From what the log taught to jobs."""

import pytest

from checks.model import CheckName, Reason
from checks.names import NameSpec
from checks.net.endpoint import Endpoint
from checks.relay import RelaySpec
from checks.tcp import TcpSpec
from daemon.config.load import parse_config
from daemon.jobs import Job
from daemon.observed import MAX_LEARNED_RELAYS, Learned, LearnedRelay, LearnedSample
from daemon.plan import Plan
from daemon.targets import enabled_checks, make_plan

CORP = '{name: Corp, address: "*.corp.internal"}'
NET = "{name: Net, address: 10.0.0.0/8, tcp: [443]}"
RULES = ("*.corp.internal", "10.0.0.0/8", "app.example.com")


def sample(rule: str, address: str, port: int, *, active: bool = True) -> LearnedSample:
    """Make a sample."""
    return LearnedSample(
        rule=rule, address=address, port=port, first_at=0.0, last_at=1.0, days=1, count=10, active=active
    )


def relay(text: str, *, proven: bool = True) -> LearnedRelay:
    """Make a Relay."""
    host, port = text.rsplit(":", 1)
    return LearnedRelay(endpoint=Endpoint(host, int(port)), first_at=0.0, last_at=1.0, days=1, count=10, proven=proven)


def plan(resources: str, *samples: LearnedSample, rest: str = "") -> Plan:
    """Plan these Resources with these samples."""
    config = parse_config(f"resources: [{resources}]\n{rest}".encode(), "test.yaml").config
    return make_plan(config, enabled_checks(config), Learned(samples=samples))


def jobs(*args: object, **more: str) -> dict[str, Job]:
    """Return the jobs of dns and tcp."""
    found = plan(*args, **more).jobs  # type: ignore[arg-type]
    return {job.id: job for job in found if job.check in (CheckName.DNS, CheckName.TCP)}


def test_an_active_sample_is_probed_and_stands_for_its_resource() -> None:
    """A name behind a pattern gets its dns and tcp rows, marked as learned; the row that nothing is probed goes."""
    found = plan(CORP, sample("*.corp.internal", "db.corp.internal", 5432))
    rows = {job.id: job for job in found.jobs}
    assert found.rows_of == {"Corp": ("dns:db.corp.internal", "tcp:db.corp.internal:5432")}
    name, port = (rows[row_id].spec for row_id in found.rows_of["Corp"])
    assert isinstance(name, NameSpec)
    assert name.learned_sample
    assert isinstance(port, TcpSpec)
    assert (port.learned_sample, port.expect, port.literal_allowed) == (True, "learned", False)
    assert rows["tcp:db.corp.internal:5432"].name == "db.corp.internal"


def test_what_is_not_active_is_not_probed() -> None:
    """Without an active sample the Resource shows that it can't be probed."""
    assert list(jobs(CORP, sample("*.corp.internal", "db.corp.internal", 5432, active=False))) == [
        "tcp:*.corp.internal"
    ]


def test_ports_of_a_resource_with_all_ports() -> None:
    """A port learned where all are allowed is probed; the name was configured, so its own row is not capped."""
    found = jobs("{name: App, address: app.example.com}", sample("app.example.com", "app.example.com", 8443))
    assert list(found) == ["dns:app.example.com", "tcp:app.example.com:8443"]
    assert found["dns:app.example.com"].spec == NameSpec(name="app.example.com")


def test_a_literal_behind_a_network_stays_under_the_deny_list() -> None:
    """Only an address written in the file is exempt from `probing.deny`, not one from the log."""
    found = jobs(NET, sample("10.0.0.0/8", "10.0.0.7", 443))
    spec = found["tcp:10.0.0.7:443"].spec
    assert isinstance(spec, TcpSpec)
    assert (spec.literal_allowed, spec.learned_sample) == (False, True)
    written = jobs("{name: One, address: 10.0.0.7}", sample("10.0.0.7", "10.0.0.7", 443))["tcp:10.0.0.7:443"].spec
    assert isinstance(written, TcpSpec)
    assert written.literal_allowed


def test_the_configuration_wins() -> None:
    """What the configuration names is planned from it, as if nothing had been learned."""
    resources = f"{CORP}, {{name: Own, address: db.corp.internal, tcp: [5432]}}"
    assert jobs(resources, sample("*.corp.internal", "db.corp.internal", 5432)) == jobs(resources)


@pytest.mark.parametrize(("own", "learned"), [(0, 4), (3, 1), (4, 0)])
def test_an_address_gets_no_more_ports_than_configured_ones(own: int, learned: int) -> None:
    """`max_ports_per_resource` holds with learned ports too, and configured ones come first."""
    ports = ", ".join(str(port) for port in range(1, own + 1))
    samples = [sample("app.example.com", "app.example.com", 9000 + n) for n in range(9)]
    found = jobs(
        f"{{name: App, address: app.example.com, probe_ports: [{ports}]}}",
        *samples,
        rest="probing: {max_ports_per_resource: 4}",
    )
    probed = [job.spec.port for job in found.values() if isinstance(job.spec, TcpSpec)]
    assert probed == [*range(1, own + 1), *range(9000, 9000 + learned)]


def test_resources_on_one_rule_share_what_is_behind_it() -> None:
    """A sample belongs to every Resource with that address which permits the port; the others stay as they were."""
    found = plan(
        "{name: A, address: 10.0.0.0/8, tcp: [443]}, {name: B, address: 10.0.0.0/8}, "
        "{name: C, address: 10.0.0.0/8, tcp: [22]}, {name: D, address: 10.0.0.0/8, probe: never}",
        sample("10.0.0.0/8", "10.0.0.7", 443),
    )
    assert found.rows_of == {
        "A": ("tcp:10.0.0.7:443",), "B": ("tcp:10.0.0.7:443",), "C": ("tcp:10.0.0.0/8",), "D": ("tcp:10.0.0.0/8",),
    }  # fmt: skip


def test_a_port_with_a_policy_is_not_connected_to() -> None:
    """What may only be probed half-open is listed as not allowed, as everywhere; a duration sets the pace."""
    found = jobs(
        CORP, sample("*.corp.internal", "db.corp.internal", 3306), sample("*.corp.internal", "db.corp.internal", 22)
    )
    fixed = found["tcp:db.corp.internal:3306"].fixed
    assert fixed is not None
    assert fixed.reason is Reason.NOT_ALLOWED
    assert (found["tcp:db.corp.internal:22"].interval_s, found["tcp:db.corp.internal:22"].confirmable) == (300.0, False)


@pytest.mark.parametrize("expect", ["any", "down"])
def test_what_the_operator_expects_of_a_resource_holds_for_what_is_behind_it(expect: str) -> None:
    """`expect: any` and `expect: down` of the Resource go for its samples too."""
    resource = f'{{name: Corp, address: "*.corp.internal", expect: {expect}}}'
    spec = jobs(resource, sample("*.corp.internal", "a.corp.internal", 1))["tcp:a.corp.internal:1"].spec
    assert isinstance(spec, TcpSpec)
    assert spec.expect == expect


def _relays(text: str, *relays: LearnedRelay) -> dict[str, bool | None]:
    config = parse_config(text.encode(), "test.yaml").config
    found = make_plan(config, enabled_checks(config), Learned(relays=relays)).jobs
    specs = {job.target: job.spec for job in found if job.check is CheckName.RELAY}
    return {target: spec.proven if isinstance(spec, RelaySpec) else None for target, spec in specs.items()}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", {"relays.twingate.com": False, "198.51.100.7:30001": True, "198.51.100.8": True}),
        ("relays: {endpoints: []}", {"198.51.100.7:30001": True, "198.51.100.8": True}),
        ("relays: {endpoints: ['198.51.100.7:30001']}", {"198.51.100.7:30001": True, "198.51.100.8": True}),
        ("relays: {learn: false}", {"relays.twingate.com": False}),
        ("relays: {endpoints: [], learn: false}", {"relays": None}),
    ],
)
def test_relays_in_use_are_proven(text: str, expected: dict[str, bool | None]) -> None:
    """A Relay that the Connector uses is probed as a proven one; `learn: false` leaves it at what is configured."""
    learned = (relay("198.51.100.7:30001"), relay("198.51.100.8:443"), relay("198.51.100.9:30001", proven=False))
    assert _relays(text, *learned) == expected


def test_the_built_in_relay_is_proven_once_it_is_used() -> None:
    """The documented default alone proves nothing; the Connector's use of it does."""
    assert _relays("{}", relay("relays.twingate.com:443")) == {"relays.twingate.com": True}


def test_no_more_than_sixteen_relays_are_added() -> None:
    """However many are claimed, the plan stays small."""
    found = _relays("{}", *(relay(f"198.51.100.{n}:30001") for n in range(1, 100)))
    assert len(found) == MAX_LEARNED_RELAYS + 1
