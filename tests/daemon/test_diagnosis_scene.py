"""The moment that is diagnosed, and facts of every shape in it."""

from collections.abc import Mapping

from hypothesis import given, settings
from hypothesis import strategies as st

from checks.model import Json, Reason, Status
from daemon.config.schema import Config, Resource
from daemon.diagnosis.diagnostician import diagnose_once
from daemon.diagnosis.scene import scene_of
from tests.support.scenes import HOME, Place, codes
from tests.support.views import Stage, tcp_job

_ADDRESSES = st.sampled_from(["10.1.2.3", "192.168.0.9", "::1", "fe80::1%eth0", "", "name"])
_LEAVES = st.none() | st.booleans() | st.integers() | st.sampled_from([*Reason, "address", "x"]) | _ADDRESSES
_JSON = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_ADDRESSES, inner, max_size=2), max_leaves=4
)
_FACTS = st.dictionaries(
    st.sampled_from(
        ["failed", "accepted", "addresses", "matrix", "failed_addresses", "failed_phase", "address", "also", "log",
         "parent", "interfaces", "seen_from_host", "question", "rcode", "name_failed", "tolerance_seconds"]
    ),
    _JSON,
    max_size=5,
)  # fmt: skip
_ROWS = (
    "tcp:10.1.2.3:443", "dns:db.corp.internal", "resolver:192.168.0.53", "control_plane:acme.twingate.com",
    "relay:relays.twingate.com", "connector:process", "host:network", "clock:system", "resolver:[", "tcp:x",
)  # fmt: skip


def test_a_scene_is_taken_from_a_view_and_does_not_change_with_it() -> None:
    """What goes on at the board while a scene is thought about is of the next one."""
    resource = Resource(name="DB", address="10.1.2.3", tcp=(), severity="critical")
    stage = Stage([tcp_job("10.1.2.3", 5432, "DB")], [resource], Config(resources=(resource,)))
    stage.see("tcp:10.1.2.3:5432", Status.CRITICAL, Reason.REFUSED, times=2)
    scene = scene_of(stage.view(), routes=HOME, dead_next_hops=frozenset({"192.168.0.1"}))
    stage.see("tcp:10.1.2.3:5432", times=2)
    (cause,) = diagnose_once(scene).causes
    assert (cause.id, cause.severity) == ("PortFails:10.1.2.3:5432", "critical")
    assert (scene.interval_s, scene.runbooks, scene.in_connector) == (30.0, "docs/runbooks", False)


def test_success_counts_only_while_the_board_would_show_it() -> None:
    """Freshness is the board's: on the loop's clock, which no step of this host's clock moves."""
    stage = Stage([tcp_job("10.1.2.3", 5432, "DB")])
    stage.see("tcp:10.1.2.3:5432")
    scene = scene_of(stage.view(), routes=(), dead_next_hops=frozenset())
    (row,) = scene.rows.values()
    assert scene.fresh(row)
    stage.at += 91.0
    later = scene_of(stage.view(), routes=(), dead_next_hops=frozenset())
    assert not later.fresh(row)
    assert scene.fresh(row)  # a scene is one moment, however long it is thought about


@given(rows=st.lists(st.tuples(st.sampled_from(_ROWS), st.sampled_from(Status), _FACTS), max_size=6))
@settings(max_examples=150, deadline=None, database=None)
def test_no_fact_can_break_it(rows: list[tuple[str, Status, Mapping[str, Json]]]) -> None:
    """Facts of any shape, as another version might have left them, give a diagnosis, and never an exception."""
    place = Place()
    for number, (row_id, status, facts) in enumerate(rows):
        reason = None if status is Status.OK else list(Reason)[number]
        place.see(row_id, status, reason, facts=facts)
    diagnosis = place.diagnosis()
    assert len(codes(diagnosis)) == len(diagnosis.causes)
