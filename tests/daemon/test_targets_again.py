"""A plan that is made after another: what stays the same is the very same object, and nothing is kept too long."""

import gc
import tracemalloc
from functools import cache

import pytest

from daemon.config.load import parse_config
from daemon.config.same import kept_where_equal
from daemon.config.schema import Config, PortRange, Resource
from daemon.observed import Learned, LearnedSample
from daemon.plan import NO_PLAN, Plan, PlanChange, change_between
from daemon.slices import at_once
from daemon.targets import enabled_checks, plan_steps

MANY = 10_000
NOTHING = Learned()
SOME = """
  - {name: DB, address: db.test, tcp: [5432, "8000-8004"]}
  - {name: Shared, address: db.test, tcp: [5432]}
  - {name: Any, address: 10.0.0.5}
  - {name: Corp, address: "*.corp.test", tcp: [443], samples: [a.corp.test]}
  - {name: SSH, address: 10.0.0.7, tcp: [22, 3306]}
"""
VARIANTS = {
    "as-it-is": "",
    "timeout": "schedule: {timeout: 4s}\n",
    "interval": "schedule: {interval: 20s}\n",
    "dns-timeout": "dns: {timeout: 4s}\n",
    "method": "probing: {method: connect}\n",
    "port-policy": "probing: {ports: {22: 10m}}\n",
    "deny": "probing: {deny: [10.0.0.0/8]}\n",
    "fewer-ports": "probing: {max_ports_per_resource: 2}\n",
    "fewer-addresses": "probing: {max_addresses_per_name: 1}\n",
    "relay": 'relays: {endpoints: ["r.test:443"]}\n',
    "no-dns": "checks: {dns: false}\n",
    "other-order": "ORDER",
    "other-resource": "OTHER",
    "gone": "GONE",
}
SAMPLES = tuple(
    LearnedSample(rule=rule, address=address, port=port, first_at=0, last_at=0, days=2, count=9, active=True)
    for rule, address, port in (("*.corp.test", "b.corp.test", 443), ("10.0.0.5", "10.0.0.5", 81))
)


@cache
def _config(variant: str) -> Config:
    lines = SOME.strip("\n").splitlines()
    match VARIANTS[variant]:
        case "ORDER":
            lines.reverse()
        case "OTHER":
            lines[1] = '  - {name: Shared, address: db.test, tcp: [5432], probe: half_open, labels: {team: "1"}}'
        case "GONE":
            del lines[0]
        case more:
            lines.append(more)
    return parse_config(("resources:\n" + "\n".join(lines)).encode(), "test.yaml").config


def _plan(config: Config, before: Plan | None = None, moment: tuple[Learned, bool] = (NOTHING, False)) -> Plan:
    learned, half_open = moment
    return at_once(plan_steps(config, enabled_checks(config), learned, half_open=half_open, before=before))


@pytest.mark.parametrize("first", VARIANTS)
def test_a_plan_after_another_is_what_it_would_be_by_itself(first: str) -> None:
    """Whatever changes (a section, a Resource, the order, what was learned, the method), no outdated job is kept."""
    moments = (
        (Learned(), False),
        (Learned(samples=SAMPLES), False),
        (Learned(), True),
        (Learned(samples=SAMPLES), True),
    )
    wanted = {(second, at): _plan(_config(second), None, at) for second in VARIANTS for at in moments}
    for earlier in moments:
        before = _plan(_config(first), None, earlier)
        for (second, at), plan in wanted.items():
            assert _plan(_config(second), before, at) == plan, (second, at)


def test_equal_jobs_are_the_same_objects() -> None:
    """Another reading of the same file makes no new job; a change of one section only the jobs that it concerns."""
    before = _plan(_config("as-it-is"))
    again = _plan(_config.__wrapped__("as-it-is"), before)
    assert [one is other for one, other in zip(again.jobs, before.jobs, strict=True)] == [True] * len(before.jobs)
    change = at_once(change_between(before.by_id, _plan(_config("port-policy"), before).by_id))
    assert {job.id for _, job in change.changed} == {"tcp:10.0.0.7:22", "tcp:10.0.0.7:3306"}
    assert (change.added, change.removed) == ((), ())


def _many(changed: int, count: int = MANY) -> Config:
    ports = (PortRange(443, 443), PortRange(5432, 5432))
    first = Resource(name="First", address="a.test", tcp=())  # the nameservers are asked for it
    rest = (Resource(name=f"R{n}", address=f"h{n}{'-b' if n < changed else ''}.test", tcp=ports) for n in range(count))
    return Config(resources=(first, *rest))


def test_ten_of_ten_thousand_touch_ten() -> None:
    """Of 30,000 jobs those of ten changed Resources differ; all others, and what the file says again, are as before."""
    one = _many(0)
    before = _plan(one)
    other = at_once(kept_where_equal(one, _many(10)))
    change = at_once(change_between(before.by_id, _plan(other, before).by_id))
    assert (len(change.added), len(change.changed), len(change.removed)) == (30, 0, 30)
    same = [old is new for old, new in zip(one.resources, other.resources, strict=True)]
    assert same == [True] + [False] * 10 + [True] * (MANY - 10)
    assert (other.probing is one.probing, other.schedule is one.schedule) == (True, True)


def test_a_configuration_that_says_the_same_is_the_one_before() -> None:
    """Nothing is taken for changed when a file is only read again; a single other key makes another configuration."""
    one = _config("as-it-is")
    assert at_once(kept_where_equal(one, _config.__wrapped__("as-it-is"))) is one
    for variant in VARIANTS:
        if variant != "as-it-is":
            assert at_once(kept_where_equal(one, _config(variant))) == _config(variant) != one, variant


def test_changes_of_a_plan() -> None:
    """A change between plans has what came, what went, and what is otherwise; between a plan and itself nothing."""
    before, after = _plan(_config("as-it-is")), _plan(_config("gone"))
    change = at_once(change_between(before.by_id, after.by_id))
    assert {job.id for job in change.removed} == {f"tcp:db.test:{port}" for port in range(8000, 8005)}
    assert change.added == ()
    assert at_once(change_between(before.by_id, before.by_id)) == PlanChange()
    assert at_once(change_between(NO_PLAN.by_id, before.by_id)).added == before.jobs
    assert change.connections == sum(job.connections for _, job in change.changed)


def test_a_resource_is_small() -> None:
    """A Resource with a name and two ports takes less than 2.5 kB of memory, configuration, plan and specs together."""
    count = 500
    lines = "".join(f"  - {{name: Resource {n}, address: host-{n}.test, tcp: [443, 5432]}}\n" for n in range(count))
    _plan(_config("as-it-is"))  # what is made once, whatever the size
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        plan = _plan(parse_config(f"resources:\n{lines}".encode(), "test.yaml").config)
        gc.collect()
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(plan.jobs) > 3 * count
    assert (held - before) / count < 2500
