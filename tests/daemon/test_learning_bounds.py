"""What is learned stays bounded, and is kept."""

from checks.net.endpoint import Endpoint
from daemon.observed import MAX_LEARNED_RELAYS, MAX_LEARNED_SAMPLES
from tests.support.learning_desk import CORP, DAY, NET, NOON, RELAY, LearningDesk
from tests.support.lines import established


def test_a_time_ahead_of_our_clock_is_now() -> None:
    """A line from the future does not keep an entry alive for ever."""
    desk = LearningDesk()
    for number in range(10):
        desk.note(established(NOON + 1000 * DAY + number, "db.corp.internal", 5432))
    assert [s.last_at for s in desk.learning.learned.samples] == [NOON]


def test_lines_read_twice_count_once() -> None:
    """After our own restart a log may be read from its beginning: nothing of it counts again."""
    desk = LearningDesk()
    lines = [established(NOON - 100 + second, "db.corp.internal", 5432) for second in range(6)]
    desk.note(*lines)
    desk.learning.flush()
    desk.again()
    desk.note(*lines[:-1])
    assert [s.count for s in desk.learning.learned.samples] == [6]


def test_churn_can_not_push_out_what_is_active() -> None:
    """10,000 names in a minute displace only what was seen once: nothing active, and few of another Resource."""
    desk = LearningDesk()
    for number in range(20):
        desk.use(f"good-{number}.corp.internal", 443, times=10)
    desk.now += 1
    desk.use("10.0.0.1", 443)
    desk.use("app.example.com", 8443)
    for number in range(10_000):
        desk.now += 0.006
        desk.use(f"n{number}.corp.internal", 443)
    kept = desk.samples
    assert len(kept) <= MAX_LEARNED_SAMPLES
    assert sum(kept.values()) == 20
    assert {("10.0.0.1", 443), ("app.example.com", 8443)} <= kept.keys()
    assert sum(address.endswith(".corp.internal") for address, _ in kept) <= MAX_LEARNED_SAMPLES // 2
    desk.use("10.0.0.2", 443)
    assert {("10.0.0.1", 443), ("10.0.0.2", 443)} <= desk.samples.keys(), "there is room left for others"
    assert len(desk.kept) <= MAX_LEARNED_SAMPLES


def test_one_resource_alone_may_fill_the_whole() -> None:
    """With one Resource there is nobody to share with; what is full of active entries takes no more."""
    desk = LearningDesk(f"[{CORP}]")
    for number in range(MAX_LEARNED_SAMPLES + 50):
        desk.now += 1
        desk.use(f"n{number}.corp.internal", 443, times=10)
    assert len(desk.samples) == MAX_LEARNED_SAMPLES
    assert all(desk.samples.values())
    assert "n0.corp.internal" in {address for address, _ in desk.samples}


def test_no_more_relays_than_sixteen() -> None:
    """Relays are bounded: the least recently seen of those that do not count go first."""
    desk = LearningDesk()
    desk.relays(10, RELAY)
    for number in range(100):
        desk.now += 1
        desk.relays(1, Endpoint(f"198.51.100.{number + 100}", 30001))
    latest = {f"198.51.100.{number}:30001" for number in range(200 - (MAX_LEARNED_RELAYS - 1), 200)}
    assert desk.proven == dict.fromkeys(latest, False) | {str(RELAY): True}


def test_an_entry_is_written_at_most_once_a_minute() -> None:
    """However often an endpoint is used, its entry is written once a minute, and at once when it becomes active."""
    desk = LearningDesk()
    desk.use(times=9)
    desk.learning.tick()
    assert desk.writes == 0
    desk.now += 1
    desk.use()
    assert desk.writes == 1, "it became active"
    for _ in range(600):
        desk.now += 1
        desk.use()
        desk.learning.tick()
    assert desk.writes == 11
    desk.learning.flush()
    assert desk.writes <= 12


def test_it_survives_a_restart() -> None:
    """What was learned is there again after a restart, as it was, and goes on from there."""
    desk = LearningDesk()
    desk.use(times=10)
    desk.use("10.0.0.1", 443, times=9)
    desk.relays(10)
    desk.learning.flush()
    before = desk.learning.learned
    desk.now += 60
    assert desk.again().learned == before
    desk.use("10.0.0.1", 443)
    assert desk.samples[("10.0.0.1", 443)]


def test_another_configuration_forgets_what_it_does_not_cover() -> None:
    """After a reload nothing is known that the configuration would not have let us learn."""
    desk = LearningDesk()
    desk.use(times=10)
    desk.use("10.0.0.1", 443, times=10)
    desk.relays(10)
    version = desk.learning.version
    desk.learning.load(desk.parse(f"[{NET}]", "relays: {learn: false}"))
    assert (desk.samples, desk.proven) == ({("10.0.0.1", 443): True}, {})
    assert desk.learning.version > version
    desk.learning.load(desk.parse(f"[{NET}]", "probing: {deny: [10.0.0.0/8]}"))
    assert desk.samples == {}
    assert desk.kept == {}
