"""Failure modes of Twingate's guide that show in the Connector's own row: each names its cause and what to do."""

from dataclasses import replace

import pytest

from checks.connlog.model import LogCause
from checks.connlog.summary import CauseCount
from checks.model import Reason, Status
from tests.support.sightings import NOW, RUNNING, STARTED_AT, judged, log, standing, stopped


@pytest.mark.parametrize(
    ("sighting", "at", "expected"),
    [
        (replace(RUNNING, fds=None), NOW - 60, Reason.FDS_LOW),
        (RUNNING, NOW - 60, Reason.FDS_LOW),
        (RUNNING, NOW - 3000, None),
        (RUNNING, STARTED_AT - 10, None),
        (stopped(), NOW - 60, Reason.NOT_RUNNING),
    ],
    ids=["its descriptors are not seen", "they are free again", "long ago", "an earlier start", "it does not run"],
)
async def test_no_descriptor_was_left(sighting: object, at: float, expected: Reason | None) -> None:
    """Its log said "os error 24" lately: a warning with the limit to raise, also where nobody may count them."""
    summary = replace(log(), causes={LogCause.FDS_EXHAUSTED: CauseCount(count=3, last_at=at)})
    outcome = await judged(standing(sighting, summary))  # type: ignore[arg-type]
    assert outcome.reason is expected
    if expected is Reason.FDS_LOW:
        assert outcome.status is Status.WARNING
        assert "too many open files" in outcome.summary
        assert "nofile" in outcome.action


@pytest.mark.parametrize(("reach", "said"), [((1, 0), True), ((0, 2147483647), False), (None, False)])
async def test_icmp_that_can_not_work(reach: tuple[int, int] | None, said: bool) -> None:
    """The kernel's default admits no group to ping: said with the setting that mends it, and no failure by itself."""
    outcome = await judged(standing(replace(RUNNING, ping_group_range=reach)))
    assert outcome.status is Status.OK
    assert ("ICMP can't work" in outcome.summary) is said
    assert ("net.ipv4.ping_group_range to 0 2147483647" in outcome.action) is said
