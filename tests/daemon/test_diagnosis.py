"""One fault, or two at once: which causes a single look concludes, and what each of them explains."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.diagnosis.catalogue import KINDS
from tests.support import faults_resources, faults_way
from tests.support.faults import Expected, Plant, explained, planted
from tests.support.scenes import Place, codes

FAULTS = {**faults_way.plant.planted, **faults_resources.plant.planted}
each_fault = pytest.mark.parametrize(("plant", "expected"), FAULTS.values(), ids=FAULTS)


@each_fault
def test_faults_lead_to_their_causes_and_to_no_others(plant: Plant, expected: Expected) -> None:
    """Each fault, alone or beside another, is found by its own cause, which explains exactly what follows from it."""
    assert explained(planted(plant).diagnosis()) == expected


@each_fault
def test_no_row_is_explained_twice_and_none_that_is_well(plant: Plant, expected: Expected) -> None:
    """What is explained fails, warns or was not asked; one cause explains it, and the mapping says the same."""
    del expected
    place = planted(plant)
    diagnosis = place.diagnosis()
    told = [(row_id, cause.id) for cause in diagnosis.causes for row_id in cause.explains]
    assert dict(told) == dict(diagnosis.explained)
    assert len(told) == len(diagnosis.explained)
    assert not [row_id for row_id, _ in told if place.rows[row_id].result.outcome.status == "ok"]


@each_fault
def test_everything_that_fails_belongs_to_a_cause(plant: Plant, expected: Expected) -> None:
    """No failing row is lost: it is the evidence of a cause, or explained by one."""
    del expected
    place = planted(plant)
    diagnosis = place.diagnosis()
    known = set(diagnosis.explained) | {row_id for cause in diagnosis.causes for row_id in cause.evidence}
    assert {row.id for row in place.rows.values() if row.failing} <= known


@each_fault
def test_texts_are_filled_in(plant: Plant, expected: Expected) -> None:
    """A person reads sentences: nothing is left of a template, and nothing is empty that should say something."""
    del expected
    for cause in planted(plant).diagnosis().causes:
        for text in (cause.title, cause.text, cause.runbook, *cause.possible):
            assert text
            assert "{" not in text
            assert "  " not in text
        assert len(cause.title) <= 120
        assert cause.action or cause.code in ("PortFails", "NameFails")
        assert cause.evidence


@given(order=st.randoms(use_true_random=False), names=st.sets(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=2))
@settings(max_examples=60, deadline=None, database=None)
def test_the_order_of_rows_does_not_matter(order: random.Random, names: set[str]) -> None:
    """However the rows come in, the diagnosis is the same, texts included."""
    place = planted(*(FAULTS[name][0] for name in sorted(names)))
    expected = place.diagnosis()
    rows = list(place.rows.items())
    order.shuffle(rows)
    place.rows = dict(rows)
    found = place.diagnosis()
    assert found.causes == expected.causes
    assert dict(found.explained) == dict(expected.explained)


def test_a_healthy_place_has_no_cause() -> None:
    """Where nothing fails, nothing is concluded."""
    assert not codes(planted().diagnosis())


def test_each_code_has_a_scenario() -> None:
    """Every cause of the catalogue is planted at least once, so that every template is filled in."""
    planted_codes = {cause_id.partition(":")[0] for _, expected in FAULTS.values() for cause_id in expected}
    assert planted_codes == set(KINDS)


def test_rows_of_the_second_seat_are_evidence_only() -> None:
    """What the host's own seat saw is no failure of its own."""
    place = planted()
    place.see("tcp:10.1.2.3:443@host", "critical", "refused")
    assert not codes(place.diagnosis())


def test_an_unconfirmed_failure_is_no_cause_by_itself() -> None:
    """One critical look raises nothing: it is confirmed first."""
    place = Place(failures=2)
    for last in range(1, 4):
        place.tcp(f"10.1.2.{last}", 5432, "timeout")
    assert not codes(place.diagnosis())


def test_a_confirmed_failure_takes_unconfirmed_ones_of_the_same_cause_along() -> None:
    """As soon as one is sure, those that are not yet are explained as well, and never alert for themselves."""
    place = Place(failures=2)
    for last in range(1, 4):
        place.tcp(f"10.1.2.{last}", 5432, "timeout")
    place.tcp("10.1.2.1", 5432, "timeout")
    diagnosis = place.diagnosis()
    assert codes(diagnosis) == {"SubnetUnreachable:10.1.0.0/16"}
    assert len(diagnosis.explained) == 3


def test_where_nothing_at_all_answers_no_firewall_is_accused() -> None:
    """That only Twingate is blocked takes something else that answers; else it is said as it was seen."""
    place = Place()
    place.controller(reason="timeout")
    place.relay(reason="timeout")
    assert codes(place.diagnosis()) == {"ControlPlaneUnreachable:acme.twingate.com", "RelaysUnreachable:relays"}
    place.nameserver("192.168.0.53")
    assert codes(place.diagnosis()) == {"EgressBlocked:acme.twingate.com"}


def test_what_fails_from_the_host_too_is_not_the_connectors_network() -> None:
    """Rows that were not compared share a verdict only while none of their kind fails from both seats."""
    place = planted(faults_resources.own_network)
    assert len(place.diagnosis().explained) == 4
    place.tcp("10.8.2.3", 443, "timeout", seen_from_host="timeout")
    assert explained(place.diagnosis()) == {
        "ConnectorNetwork:process": {f"tcp:10.{i}.2.3:443" for i in range(3)},
        "PortFails:10.8.2.3:443": set(),
        "PortFails:10.9.2.3:443": set(),
    }


def test_a_stale_success_excuses_nobody() -> None:
    """What answered long ago does not show that its subnet works now."""
    place = planted(faults_resources.subnet)
    place.stale.add(place.tcp("10.1.2.99", 443))
    assert "SubnetUnreachable:10.1.2.0/24" in codes(place.diagnosis())
    place.stale.clear()
    assert "SubnetUnreachable:10.1.2.0/24" not in codes(place.diagnosis())
