"""When an Alertmanager is told what, in virtual time: changes, resends, retries, and whose clock counts."""

import asyncio

import pytest

from daemon.config.values import MAX_DURATION
from daemon.push.http import Reply
from daemon.push.message import Message, Wording
from daemon.push.outbox import MAX_BATCH, MAX_BATCH_BYTES, Outbox
from tests.support.push_lab import (
    GONE,
    T0,
    FakeTransport,
    Ways,
    alert,
    alerting,
    ended,
    pushing,
    running_push,
    until,
)

pytestmark = pytest.mark.looptime

DOWN = alert("ConnectorDown")
BAD_GATEWAY = Reply(status=502)


async def test_a_change_goes_out_at_once_and_again_at_each_resend() -> None:
    """An alert is told the moment it fires, again each resend with its old start, and its end at once."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say()
        await until(90)
        judge.say([alert("ConnectorDown", T0 + 90)])
        await until(200)
        judge.say([], [alert("ConnectorDown", T0 + 90, T0 + 200)])
        await until(290)
    assert ways["a"].said("ConnectorDown") == [(90, True), (120, True), (180, True), (200, False), (240, False)]
    starts = {one["startsAt"] for post in ways["a"].posts for one in post.alerts if len(post.alerts) == 2}
    assert starts == {"2026-01-02T03:04:05.000Z", "2026-01-02T03:05:35.000Z"}


async def test_down_for_ten_minutes() -> None:
    """One that was down for ten minutes gets the present truth once: what came and went is over, or not mentioned."""
    down = FakeTransport()
    ways = Ways(a=down)
    push = pushing(ways)
    push.load(alerting("a", "b"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(30)
        down.answer = lambda: GONE
        await until(100)
        brief = alert("ConnectorTLSIntercepted", T0 + 100)
        judge.say([DOWN, brief])
        await until(200)
        judge.say([alert("ConnectorClockSkew", T0 + 200)], [ended(DOWN, 200), ended(brief, 200)])
        await until(630)
        down.answer = lambda: Reply(status=200)
        before = len(down.posts)
        await until(659)
    back = [post for post in down.posts[before:] if post.said]
    assert len(back) == 1
    assert 630 < back[0].at <= 645  # the longest pause between two tries
    assert sorted(back[0].said) == [
        ("ConnectorClockSkew", True), ("ConnectorDown", False), ("ConnectorTLSIntercepted", False),
    ]  # fmt: skip
    assert ways["b"].said("ConnectorDown")[-2:] == [(600, False), (660, False)] or ways["b"].said("ConnectorDown")[
        -1
    ] == (600, False)


async def test_a_change_is_tried_again_ever_more_seldom() -> None:
    """A change that did not arrive is tried after 1, 2, 5 and each 15 s; a resend that did not arrive only then."""
    down = FakeTransport(answer=lambda: GONE)
    push = pushing(Ways(a=down))
    push.load(alerting("a", resend=600.0))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(54)
        down.answer = lambda: Reply(status=200)
        await until(60)
        assert down.tries[:7] == pytest.approx([0, 1, 3, 8, 23, 38, 53])
        await until(590)
        down.answer = lambda: BAD_GATEWAY
        tries = len(down.tries)
        await until(1190)
        assert down.tries[tries:] == [600]
        down.answer = lambda: Reply(status=200)
        await until(1205)
        tries = len(down.tries)
        down.answer = lambda: BAD_GATEWAY
        judge.say()
        judge.say([alert("ConnectorDown", T0 + 1205)])
        await until(1210)
        assert down.tries[tries:] == [1205, 1206, 1208], "a new trouble begins with short pauses"


async def test_changes_while_it_is_down_make_no_storm() -> None:
    """A truth that changes each second costs an Alertmanager that is down no more tries than one that does not."""
    down = FakeTransport(answer=lambda: GONE)
    push = pushing(Ways(a=down))
    push.load(alerting("a"))
    async with running_push(push) as judge:
        for number in range(120):
            judge.say([alert("ConnectorDown", T0 + number)])
            await asyncio.sleep(1)
    assert len(down.tries) <= 4 + 120 / 15 + 1


async def test_one_that_hangs_delays_no_other() -> None:
    """While one Alertmanager takes 10 s to fail, another hears each change at once."""
    slow = FakeTransport(slow_s=10, answer=lambda: Reply(problem="no complete answer within 10 s"))
    ways = Ways(slow=slow)
    push = pushing(ways)
    push.load(alerting("slow", "fast"))
    async with running_push(push) as judge:
        for number in range(20):
            judge.say([alert("ConnectorDown", T0 + number)])
            await asyncio.sleep(1)
        assert [at for at, _ in ways["fast"].said("ConnectorDown")] == list(range(20))
        stuck, well = push.deliveries
    assert (well.sent, well.errors, well.queue_length, well.failing_since, well.problem) == (21, 0, 0, None, "")
    assert (stuck.queue_length, stuck.failing_since, stuck.problem) == (2, T0 + 10, "no complete answer within 10 s")
    assert stuck.errors == stuck.sent > 0


async def test_what_changes_during_a_request_is_told_once() -> None:
    """Changes that come while a request is under way are told together after it; one that went back is told too."""
    slow = FakeTransport(slow_s=2)
    push = pushing(Ways(a=slow))
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say()
        await until(10)
        judge.say([DOWN])
        for number in range(5):
            await until(10.3 + number / 10)
            judge.say([DOWN, alert("ConnectorRestarting", T0 + number)])
        await until(20)
        judge.say([], [ended(DOWN, 20)])
        await until(21)
        judge.say([DOWN])  # the same one goes on, while its end is under way
        await until(30)
    assert slow.said("ConnectorRestarting") == [(12, True)]
    assert slow.said("ConnectorDown") == [(10, True), (20, False), (22, True)]


async def test_what_fires_again_is_not_called_over() -> None:
    """An earlier end of the same alert is not mentioned while it fires: it would end that."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([alert("ConnectorDown", T0 - 5)], [alert("ConnectorDown", T0 - 90, T0 - 50)])
        await until(70)
    assert ways["a"].said("ConnectorDown") == [(0, True), (60, True)]


async def test_an_unknown_outcome_is_not_trusted() -> None:
    """An end that timed out may have arrived: when the alert fires again it is told at once, not a resend later."""
    slow = FakeTransport()
    push = pushing(Ways(a=slow))
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(20)
        slow.answer = lambda: GONE
        judge.say([], [ended(DOWN, 20)])
        await until(20.5)
        slow.answer = lambda: Reply(status=200)
        judge.say([DOWN])
        await until(25)
    assert slow.said("ConnectorDown") == [(0, True), (21, True)]


async def test_a_refusal_of_some_is_not_repeated_at_once() -> None:
    """400 means that the valid ones are stored: nothing is sent again before the resend, and it counts as an error."""
    picky = FakeTransport()
    push = pushing(Ways(a=picky))
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say()
        await until(1)
        picky.answer = lambda: Reply(status=400, kind="application/json", text='"invalid label set"')
        judge.say([DOWN])
        await until(70)
        assert picky.said("ConnectorDown") == [(1, True), (60, True)]
        (delivery,) = push.deliveries
    assert (delivery.sent, delivery.errors, delivery.queue_length) == (4, 3, 0)
    assert delivery.failing_since == T0 + 1
    assert delivery.problem == "it refuses some of the alerts (400): invalid label set"


async def test_a_wrong_clock_here_ends_nothing_there() -> None:
    """With our clock ten minutes behind, the first thing that is said already fires by the Alertmanager's clock."""
    ways = Ways(a=FakeTransport(answer=lambda: Reply(status=200, date=int(T0 + asyncio.get_running_loop().time()))))
    offset = [-600.0]
    loop = asyncio.get_running_loop()
    push = pushing(ways, wall_clock=lambda: T0 + loop.time() + offset[0])
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([alert("ConnectorClockSkew", T0 - 600)])
        await until(100)
        offset[0] = -3600.0  # set back further, and seen before the next request: nobody sets the loop's clock
        await until(130)
    said = ways["a"].said("ConnectorClockSkew")
    assert all(fires for _, fires in said)
    assert [at for at, _ in said] == [0, 60, 120]


@pytest.mark.parametrize("date", [-62135596800, -1, 221_845_392_000, 253402300799])
async def test_a_peer_from_another_age_is_told_by_our_clock(date: int) -> None:
    """An Alertmanager that claims the year 1 or 9999 neither ends the daemon nor moves the times that it is told."""
    ways = Ways(a=FakeTransport(answer=lambda: Reply(status=200, date=date)))
    push = pushing(ways)
    push.load(alerting("a", resend=MAX_DURATION))
    async with running_push(push) as judge:
        judge.say([alert("ConnectorDown", T0 - 60)], [ended(alert("ConnectorClockSkew", T0 - 60), -30)])
        await until(1)
    told = [one for post in ways["a"].posts for one in post.alerts]
    assert len(told) == 3
    assert {one["startsAt"][:4] + one["endsAt"][:4] for one in told} == {"20262026"}


async def test_a_refusal_is_told_once_however_much_is_taken_besides(caplog: pytest.LogCaptureFixture) -> None:
    """One alert refused at each resend is one line in the log, and lasting trouble, although others are taken."""
    caplog.set_level("INFO", "connector_health.push")
    picky = FakeTransport()
    push = pushing(Ways(a=picky))
    push.load(alerting("a"))
    async with running_push(push) as judge:
        for minute in range(5):
            await until(minute * 60 + 59.5)
            picky.answer = lambda: Reply(status=400, kind="application/json", text=str(len(picky.posts)))
            await until(minute * 60 + 61)
            picky.answer = lambda: Reply(status=200)
            judge.say([alert("ConnectorDown", T0 + minute)])
        assert [delivery.failing_since for delivery in push.deliveries] == [T0 + 60]
        await until(500)
        assert [delivery.failing_since for delivery in push.deliveries] == [None]
    assert [record.message for record in caplog.records] == [
        "Alertmanager a:80: it refuses some of the alerts (400): 1; alerts are kept for it and sent again",
        "Alertmanager a:80 takes alerts again",
    ]


def test_batches_are_bounded() -> None:
    """A request holds at most 256 alerts and half a megabyte; together they say everything once."""
    wording = Wording(("c", ""), {}, "r")
    box = Outbox(60, 0)
    small = wording.messages([alert("ConnectorDown", address=f"10.0.0.{n}") for n in range(600)])
    large = wording.messages([alert("ConnectorDown", port=str(n), description="x" * 3900) for n in range(300)])
    box.want({message.labels: message for message in (*small, *large)})
    seen: list[Message] = []
    sizes: list[int] = []
    while batch := box.take(0):
        seen += batch
        sizes.append(len(batch))
        assert sum(message.size for message in batch) <= MAX_BATCH_BYTES
        box.delivered(batch)
    assert len(seen) == len({message.labels for message in seen}) == 900
    assert max(sizes) == MAX_BATCH
    assert box.queue_length == 0


async def test_what_shadow_mode_left_is_not_told() -> None:
    """An alert that shadow mode computed waits for its first look in live mode: until then it is nobody's page."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([alert("ConnectorDown", severity="none"), alert("ConnectorClockSkew")])
        await until(90)
    assert {name for post in ways["a"].posts for name, _ in post.said} == {"ConnectorClockSkew"}
