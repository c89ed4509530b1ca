"""What may be told at all: the silence after an end while Prometheus reads us, and the bound."""

import pytest

from daemon.push.message import Wording
from daemon.push.truth import HOLD_S, MAX_MESSAGES, Truth
from tests.support.push_lab import T0, Ways, alert, alerting, ended, pushing, running_push, until

pytestmark = pytest.mark.looptime

DOWN = alert("ConnectorDown")


async def test_while_prometheus_reads_us_the_end_is_told_later() -> None:
    """While Prometheus reads us nothing is said of an alert for HOLD_S after its end; then its true end is told."""
    ways = Ways()
    push = pushing(ways, scraped_lately=lambda: True)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(130)
        judge.say([], [ended(DOWN, 130)])
        await until(130 + HOLD_S + 55)
        ends = {one["endsAt"] for one in ways["a"].posts[-1].alerts} | {
            one["endsAt"]
            for post in ways["a"].posts
            for one in post.alerts
            if one["labels"]["alertname"] == "ConnectorDown"
        }
    assert ways["a"].said("ConnectorDown") == [(0, True), (60, True), (120, True), (430, False), (480, False)]
    assert "2026-01-02T03:06:15.000Z" in ends


async def test_firing_again_in_the_silence_goes_on() -> None:
    """An alert that fires again in the silence was never over: it is told at once, as before."""
    ways = Ways()
    push = pushing(ways, scraped_lately=lambda: True)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(130)
        judge.say([], [ended(DOWN, 130)])
        await until(200)
        judge.say([DOWN], [ended(DOWN, 130)])
        await until(250)
        judge.say([], [ended(DOWN, 250)])
        await until(250 + HOLD_S + 1)
    said = ways["a"].said("ConnectorDown")
    assert said == [(0, True), (60, True), (120, True), (200, True), (240, True), (550, False)]


async def test_a_restored_end_is_silent_for_the_rest_of_its_time() -> None:
    """After a restart the silence of what had ended before goes on, and is not begun anew."""
    ways = Ways()
    push = pushing(ways, scraped_lately=lambda: True)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([], [alert("ConnectorDown", T0 - 900, T0 - 200), alert("ConnectorClockSkew", T0 - 900, T0 - 400)])
        await until(110)
    assert ways["a"].said("ConnectorClockSkew") == [(0, False), (60, False)]
    assert ways["a"].said("ConnectorDown") == [(100, False)]


def test_too_much_is_left_out_and_counted_once() -> None:
    """More than 10,000 alerts: the longest firing stay, what is over goes first, and each is counted once."""
    wording = Wording(("c", ""), {}, "r")
    firing = wording.messages([alert("ConnectorDown", T0 + n, address=str(n)) for n in range(MAX_MESSAGES + 5)])
    over = wording.messages([alert("ConnectorDown", T0, T0 + n, port=str(n)) for n in range(1, 4)])
    truth = Truth(lambda: False)
    for _ in range(3):
        truth.publish([*over, *firing], 0, T0)
    assert truth.dropped == 8
    wanted = truth.wanted(0)
    assert len(wanted) == MAX_MESSAGES
    assert all(message.labels in wanted for message in firing[:MAX_MESSAGES])
    truth.publish([*over, *firing[:-7]], 0, T0)
    assert truth.dropped == 8
    assert [message.ends_at for message in truth.wanted(0).values() if message.ends_at] == [T0 + 3, T0 + 2]
