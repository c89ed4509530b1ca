"""From the first decision to the end of the daemon, in virtual time: reload, shadow mode, watchdog, draining."""

import asyncio

import pytest

from daemon.alert import Alerts
from daemon.push.push import DRAIN_S, JUDGED_S
from tests.support.push_lab import (
    T0,
    FakeTransport,
    SilentClient,
    Ways,
    alert,
    alerting,
    pushing,
    running_push,
    until,
)

pytestmark = pytest.mark.looptime

DOWN = alert("ConnectorDown")


async def test_the_watchdog_always_fires() -> None:
    """The watchdog goes to every Alertmanager at once and each resend, with one start and severity none."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a", "b"))
    async with running_push(push) as judge:
        judge.say()
        await until(181)
    for name in ("a", "b"):
        told = [(post.at, one) for post in ways[name].posts for one in post.alerts]
        assert [at for at, _ in told] == [0, 60, 120, 180]
        assert {(one["labels"]["alertname"], one["labels"]["severity"], one["startsAt"]) for _, one in told} == {
            ("ConnectorHealthWatchdog", "none", "2026-01-02T03:04:05.000Z")
        }


async def test_the_watchdog_stops_when_nobody_judges() -> None:
    """When the daemon has not looked for a minute the watchdog is no longer told; what fires still is."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push, judging=False) as judge:
        judge.say([DOWN])
        await until(JUDGED_S + 130)
        push.publish(judge.now)
        await until(JUDGED_S + 131)
    told = [(post.at, [one["labels"]["alertname"] for one in post.alerts]) for post in ways["a"].posts[-2:]]
    assert told == [(180, ["ConnectorDown"]), (JUDGED_S + 130, ["ConnectorHealthWatchdog"])]


async def test_nothing_is_said_before_the_first_decision() -> None:
    """Before the first publish nothing is sent; restored alerts then go out at once with their old start."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push, judging=False) as judge:
        await until(600)
        assert not ways["a"].tries
        judge.say([alert("ConnectorDown", T0 - 5000)])
        await until(601)
    assert ways["a"].said("ConnectorDown") == [(600, True)]
    assert ways["a"].posts[0].alerts[0]["startsAt"] == "2026-01-02T01:40:45.000Z"


async def test_shadow_mode_pushes_nothing() -> None:
    """In shadow mode no Alertmanager hears anything; gone live, the truth goes out; back in shadow, nothing ends."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a", mode="shadow"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(100)
        assert not ways.by_url
        assert not push.deliveries
        push.load(alerting("a"))
        await until(101)
        assert ways["a"].said("ConnectorDown") == [(100, True)]
        push.load(alerting("a", mode="shadow"))
        await until(300)
    assert len(ways["a"].posts) == 1
    assert ways["a"].closed


async def test_the_last_alerts_get_out_at_the_end() -> None:
    """What is due when the daemon stops goes out within the time for it, and nothing is called over."""
    slow = FakeTransport(slow_s=1)
    hanging = FakeTransport(slow_s=100)
    push = pushing(Ways(a=slow, b=hanging))
    push.load(alerting("a", "b"))
    loop = asyncio.get_running_loop()
    async with running_push(push) as judge:
        judge.say()
        await until(10)
        judge.say([DOWN])
        await until(10.5)
        began = loop.time()
    assert loop.time() - began == DRAIN_S
    assert slow.said("ConnectorDown") == [(10.5, True)]
    assert all(fires for post in slow.posts for _, fires in post.said)
    assert slow.closed
    assert hanging.closed


async def test_a_reload_leaves_the_others_alone() -> None:
    """An Alertmanager that stays in the configuration is not told anything again; a new one hears the truth at once."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a", "b"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(10)
        push.load(alerting("c", "a"))
        await until(20)
        assert [delivery.name for delivery in push.deliveries] == ["c:80", "a:80"]
        push.load(alerting("c", "a", resend=30.0))
        await until(59)
    assert ways["a"].said("ConnectorDown") == [(0, True), (50, True)]
    assert ways["b"].said("ConnectorDown") == [(0, True)]
    assert ways["b"].closed
    assert ways["c"].said("ConnectorDown") == [(10, True), (50, True)]


async def test_removed_and_added_in_one_moment() -> None:
    """An Alertmanager that is taken out and put back before anybody looked is served again."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say([DOWN])
        await until(10)
        push.load(alerting())
        push.load(alerting("a"))
        await until(100)
    assert ways["a"].said("ConnectorDown")[-2:] == [(10, True), (70, True)]


async def test_same_address_other_path() -> None:
    """Two Alertmanagers behind one address have two names, neither of which holds the path."""
    push = pushing(Ways())
    push.load(alerting("am.example.com/secret-one", "am.example.com/secret-two", "am.example.com/secret-one"))
    assert [delivery.name for delivery in push.deliveries] == ["am.example.com:80", "am.example.com:80#2"]
    await push.close()


async def test_the_heartbeat_needs_somebody_who_judges() -> None:
    """Without a file there is no heartbeat, whatever else happens."""
    client = SilentClient()
    push = pushing(Ways(), heartbeat_client=client)
    push.load(alerting("a"))
    async with running_push(push) as judge:
        judge.say()
        await until(200)
    assert client.asked == []


async def test_no_alert_at_all_is_a_decision_too() -> None:
    """The first decision may be that nothing fires: the watchdog begins with it."""
    ways = Ways()
    push = pushing(ways)
    push.load(alerting("a"))
    async with running_push(push, judging=False):
        push.publish(Alerts())
        await until(1)
    assert [post.at for post in ways["a"].posts] == [0]
