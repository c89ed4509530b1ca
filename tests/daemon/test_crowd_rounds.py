"""One round of a crowd, step by step: who is asked for all, and what their answers mean."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from checks.model import CheckName, Outcome, Reason, Status
from daemon.crowd import ALONE_MOST, GATHER_S, SAMPLES, Crowds, cause_of
from daemon.jobs import Job, Result

CONFIRM_S = 2.0
OK = Outcome(status=Status.OK, summary="x")
SKIPPED = Outcome(status=Status.SKIPPED, reason=Reason.DEPENDENCY_FAILED, summary="x")


def bad(address: str = "10.0.0.1", reason: Reason = Reason.TIMEOUT) -> Outcome:
    """Make the failure of a port."""
    return Outcome(status=Status.CRITICAL, reason=reason, summary="x", facts={"failed": {address: reason.value}})


class Desk:
    """A crowd whose questions a test answers. Job `n` asks port `n` of `hosts[n]` or of its own host."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: dict[str, float] = {}
        self.all_asked: list[str] = []
        self.vouched: list[str] = []
        self.unsure: list[str] = []
        self.hosts: dict[str, str] = {}
        self.crowds = Crowds(
            clock=lambda: self.now, ask=self._ask, ask_all=self.all_asked.extend, vouch=self._vouch,
            host_of=lambda job_id: self.hosts.get(job_id, job_id),
        )  # fmt: skip
        self.crowds.confirm_s = CONFIRM_S

    def _ask(self, job_id: str, after_s: float) -> None:
        self.asked[job_id] = self.now + after_s

    def _vouch(self, job_ids: Sequence[str]) -> list[str]:
        self.vouched += job_ids
        return [job_id for job_id in job_ids if job_id in self.unsure]

    def ends(self, n: int, outcome: Outcome, *, pending: bool, took_s: float = 0.0, policy: bool = False) -> bool:
        """Have a run of job `n` end now; return whether its confirmation is taken care of."""
        job = Job(
            id=f"tcp:{n}", check=CheckName.TCP, target=str(n), spec=None, interval_s=30.0, timeout_s=5.0,
            confirmable=not policy,
        )  # fmt: skip
        result = Result(
            id=job.id,
            job=job.id,
            check=job.check,
            target=job.target,
            outcome=outcome,
            started_at=0.0,
            duration_s=took_s,
        )
        return self.crowds.ended(job, result, pending=pending)

    def crowd(self, number: int = ALONE_MOST + 10) -> list[int]:
        """Have so many fail in this moment; return those that are left to a round."""
        left = [n for n in range(number) if self.ends(n, bad(), pending=True)]
        assert left == list(range(ALONE_MOST, number))
        return left

    def round(self) -> list[int]:
        """Let the time of the round come, and its first look begin; return its samples."""
        (pilot, self.now), *others = self.asked.items()
        assert others == []
        self.asked.clear()
        self.crowds.began(pilot)
        return [int(job_id.removeprefix("tcp:")) for job_id in (pilot, *self.asked)]


@pytest.fixture
def desk() -> Desk:
    """Make a crowd nobody has joined yet."""
    return Desk()


def test_round_begins_when_the_first_would_have_been_confirmed(desk: Desk) -> None:
    """A round gathers for half a second beyond the time of the second look of the first."""
    desk.crowd()
    assert desk.asked == {f"tcp:{ALONE_MOST}": 100.0 + CONFIRM_S + GATHER_S}


def test_two_of_three_confirm_nobody(desk: Desk) -> None:
    """The others are confirmed with the third answer, not before."""
    left = desk.crowd()
    samples = desk.round()
    assert len(samples) == SAMPLES
    for n in samples:
        assert desk.vouched == []
        desk.ends(n, bad(), pending=False)
    assert sorted(desk.vouched) == sorted(f"tcp:{n}" for n in left if n not in samples)
    assert desk.all_asked == []


@pytest.mark.parametrize("answer", [OK, bad(reason=Reason.REFUSED), bad("10.0.1.1")], ids=["ok", "refused", "subnet"])
@pytest.mark.parametrize("agreed", [0, 1, 2])
def test_one_that_disagrees_has_all_asked(desk: Desk, answer: Outcome, agreed: int) -> None:
    """One sample that is well, or fails otherwise, and everybody who waits is asked by himself."""
    left = desk.crowd()
    samples = desk.round()
    for n in samples[:agreed]:
        desk.ends(n, bad(), pending=False)
    desk.ends(samples[agreed], answer, pending=False)
    for n in samples[agreed + 1 :]:
        desk.ends(n, bad(), pending=False)
    assert desk.vouched == []
    assert sorted(desk.all_asked) == sorted(f"tcp:{n}" for n in left if n not in samples)
    assert not desk.ends(99, bad(), pending=True), "nor does a newcomer wait for another round"


def test_sample_without_a_verdict_has_another_round_begin(desk: Desk) -> None:
    """A sample that could not be looked at confirms nobody: those who wait do so for the next round."""
    left = desk.crowd()
    samples = desk.round()
    desk.asked.clear()
    desk.ends(samples[0], SKIPPED, pending=False)
    for n in samples[1:]:
        desk.ends(n, bad(), pending=False)
    assert (desk.vouched, desk.all_asked) == ([], [])
    again = desk.round()
    for n in again:
        desk.ends(n, bad(), pending=False)
    assert sorted(desk.vouched) == sorted(f"tcp:{n}" for n in left if n not in {*samples, *again})


def test_look_that_began_before_the_round_does_not_count(desk: Desk) -> None:
    """A sample that was being asked already when the round began is asked once more."""
    desk.crowd()
    samples = desk.round()
    desk.asked.clear()
    desk.now += 1.0
    desk.ends(samples[1], bad(), pending=False, took_s=3.0)
    assert f"tcp:{samples[1]}" in desk.asked
    for n in (samples[0], samples[2]):
        desk.ends(n, bad(), pending=False)
    assert desk.vouched == []
    desk.ends(samples[1], bad(), pending=False)
    assert desk.vouched


def test_who_fails_after_the_round_began_waits_for_the_next(desk: Desk) -> None:
    """A round speaks only for those who had failed when it began."""
    desk.crowd()
    samples = desk.round()
    desk.asked.clear()
    assert desk.ends(99, bad(), pending=True)
    assert desk.asked == {"tcp:99": desk.now + CONFIRM_S + GATHER_S}
    for n in samples:
        desk.ends(n, bad(), pending=False)
    assert "tcp:99" not in desk.vouched


def test_too_few_for_a_round_are_asked_each(desk: Desk) -> None:
    """Where fewer than three can be asked in time, each is asked by itself, and none too soon."""
    for n in range(ALONE_MOST):
        desk.ends(n, bad(), pending=True)
    desk.ends(50, bad(), pending=True)
    desk.now += 1.0
    desk.ends(51, bad(), pending=True)
    alone = desk.now + CONFIRM_S
    assert desk.round() == [50, 51]
    assert desk.asked == {"tcp:51": alone}, "no sooner than alone"
    for n in (50, 51):
        desk.ends(n, bad(), pending=False)
    assert desk.vouched == []


def test_those_who_failed_twice_speak_where_few_wait(desk: Desk) -> None:
    """Samples are made up with targets of the same crowd that are failing already."""
    for n in range(ALONE_MOST):
        desk.ends(n, bad(), pending=True)
    for n in (50, 51):
        desk.ends(n, bad(), pending=True)
    desk.now += 2.3
    desk.ends(52, bad(), pending=True)  # too late to be asked in this round
    for n in range(5):
        desk.ends(n, bad(), pending=False)
    samples = desk.round()
    assert samples[:2] == [50, 51]
    assert samples[2] in range(5)
    for n in samples:
        desk.ends(n, bad(), pending=False)
    assert desk.vouched == ["tcp:52"]


def test_ports_of_one_host_do_not_speak_for_others(desk: Desk) -> None:
    """As far as there are others, each sample is of another host."""
    desk.hosts = {f"tcp:{n}": "one" for n in range(60) if n not in (30, 47)}
    desk.crowd(60)
    samples = desk.round()
    assert {desk.hosts.get(f"tcp:{n}", str(n)) for n in samples} == {"one", "30", "47"}


def test_policy_port_neither_joins_nor_is_asked(desk: Desk) -> None:
    """Ports with a policy make no crowd and wait for no round."""
    assert not any(desk.ends(n, bad(), pending=True, policy=True) for n in range(60))
    assert (desk.asked, desk.vouched) == ({}, [])


def test_more_looks_than_two_are_each_ones_own(desk: Desk) -> None:
    """Where a failure needs a third look (`confirm.failures: 3`), those who were spoken for are asked for it."""
    desk.crowd()
    desk.unsure = ["tcp:22"]
    for n in desk.round():
        desk.ends(n, bad(), pending=False)
    assert "tcp:22" in desk.vouched
    assert desk.all_asked == ["tcp:22"]


def test_jobs_that_are_gone(desk: Desk) -> None:
    """Without its samples a round is begun anew, and what is gone is not vouched for."""
    left = desk.crowd()
    samples = desk.round()
    desk.asked.clear()
    desk.crowds.forget([f"tcp:{n}" for n in samples])
    again = desk.round()
    gone = next(n for n in left if n not in {*samples, *again})
    desk.crowds.forget([f"tcp:{gone}"])
    for n in again:
        desk.ends(n, bad(), pending=False)
    assert desk.vouched
    assert f"tcp:{gone}" not in desk.vouched


def test_who_is_gone_is_not_asked_for_others(desk: Desk) -> None:
    """One who failed twice and was then taken out of the configuration is no sample: no answer would ever come."""
    for n in range(ALONE_MOST):
        desk.ends(n, bad(), pending=True)
    for n in (50, 51):
        desk.ends(n, bad(), pending=True)
    desk.now += 2.3
    desk.ends(52, bad(), pending=True)
    for n in range(2):
        desk.ends(n, bad(), pending=False)
    assert "tcp:1" in desk.crowds.known()
    desk.crowds.forget(["tcp:1"])
    assert desk.round() == [50, 51, 0]


def test_causes() -> None:
    """Failures are of one cause when reason and subnets, or nameservers, are the same; others stand for themselves."""
    result = Result(
        id="tcp:a", job="tcp:a", check=CheckName.TCP, target="a", outcome=bad(), started_at=0.0, duration_s=0.0
    )
    several = bad().but(facts={"failed": {"10.0.1.2": "timeout", "10.0.0.9": "refused", "2001:db8::5": "timeout"}})
    matrix = bad().but(facts={"matrix": {"10.0.0.54": {}, "10.0.0.53": {}}})
    assert cause_of(result) == (CheckName.TCP, Reason.TIMEOUT, ("10.0.0.0/24",))
    assert cause_of(replace(result, outcome=several)) == (
        CheckName.TCP, Reason.TIMEOUT, ("10.0.0.0/24", "10.0.1.0/24", "2001:db8::/64"),
    )  # fmt: skip
    assert cause_of(replace(result, check=CheckName.DNS, outcome=matrix)) == (
        CheckName.DNS, Reason.TIMEOUT, ("10.0.0.53", "10.0.0.54"),
    )  # fmt: skip
    for outcome in (OK, SKIPPED, bad().but(facts={}), bad().but(facts={"failed": "10.0.0.1"})):
        assert cause_of(replace(result, outcome=outcome)) is None
    assert cause_of(replace(result, check=CheckName.RELAY)) is None
