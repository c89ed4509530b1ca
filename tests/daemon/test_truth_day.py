"""A scripted day: known faults in, the expected matrix out."""

import pytest

from checks.connlog.model import ConnectionKind, ConnectionSeen
from checks.model import Event
from tests.support.desk import DB, DB_NAME, MIDNIGHT, ONE, Desk
from tests.support.lines import established, failed

MINUTES = 24 * 60
WEB, WEB_NAME = "tcp:web.test:443", "dns:web.test"


def between(minute: int, begin: int, end: int) -> bool:
    """Tell whether a minute of the day is within two others; the end is not."""
    return begin <= minute < end


# The faults of the day, each from a full minute to another.
BOTH_SEE = (2 * 60, 3 * 60)  # 60 min: db's port is down, for users and for us
NAME_GONE = (5 * 60, 5 * 60 + 30)  # 30 min: web's name fails, for users and for us
ONLY_USERS = (8 * 60, 8 * 60 + 20)  # 20 min: users fail at 10.0.0.5, where we get through
ONLY_US = (11 * 60, 11 * 60 + 10)  # 10 min: we fail at db's port, users do not
OTHER_KIND = (14 * 60, 14 * 60 + 5)  # 5 min: users can't resolve web, for us its port is down
STARVED = (17 * 60, 17 * 60 + 10)  # 10 min: our probes of 10.0.0.5 learn nothing
UNSEEN = (23 * 60, 23 * 60 + 15)  # 15 min: users fail at MySQL's port, which we never probe

EXPECTED = {
    # db 1440 - 60 - 10, web 1440 - 30 - 5, one 1440 - 20 - 9
    ("n", "n"): 1370 + 1405 + 1411,
    ("u", "u"): 60,
    ("d", "d"): 30,
    ("n", "u"): 20,
    ("u", "n"): 10,
    ("u", "d"): 5,
    # In the first minute of the ten the last word, 40 s old, still holds (46 s); and MySQL when all is well there.
    ("?", "n"): 9 + 1440 - 15,
    ("?", "u"): 15,
}


def _probes(minute: int) -> dict[str, str]:
    """Return what each row finds in a minute."""
    return {
        DB_NAME: "o",
        DB: "c" if between(minute, *BOTH_SEE) or between(minute, *ONLY_US) else "o",
        WEB_NAME: "c" if between(minute, *NAME_GONE) else "o",
        WEB: "d" if between(minute, *NAME_GONE) else "c" if between(minute, *OTHER_KIND) else "o",
        ONE: "u" if between(minute, *STARVED) else "o",
    }


def _users(minute: int) -> list[tuple[float, ConnectionSeen]]:
    """Return what users meet in a minute, and at which of its seconds."""

    def at(second: float) -> float:
        return MIDNIGHT + minute * 60 + second

    def meets(address: str, port: int, *faults: tuple[int, int], dns: bool = False) -> tuple[float, ConnectionSeen]:
        bad = any(between(minute, *fault) for fault in faults)
        return 10.0, failed(at(10), address, port, dns=dns) if bad else established(at(10), address, port)

    def other(kind: ConnectionKind, address: str, port: int) -> tuple[float, ConnectionSeen]:
        return 20.0, ConnectionSeen(at=at(20), kind=kind, address=address, port=port, protocol="tcp")

    events = [
        (5.0, established(at(5), "db.test", 5432)),  # somebody still gets through: the failure counts
        meets("db.test", 5432, BOTH_SEE),
        meets("web.test", 443, NAME_GONE, OTHER_KIND, dns=True),
        meets("10.0.0.5", 8443, ONLY_USERS),
        meets("10.0.0.6", 3306, UNSEEN),
        other(ConnectionKind.DENIED, "web.test", 443),
    ]
    if minute < 1360:
        events.append(other(ConnectionKind.CLOSED, "10.0.0.5", 8443))
    return events


def _live(desk: Desk) -> int:
    """Live through the day: probes at :00 and :30, re-checks half a second after they are asked for, a tick a second.

    Returns how many events there were.
    """
    heard = 0
    for minute in range(MINUTES):
        found, events = _probes(minute), _users(minute)
        for second in range(60):
            desk.until(minute * 60.0 + second)
            if second in (0, 30):
                for row_id, letter in found.items():
                    desk.probe(row_id, letter)
            for _, event in (pair for pair in events if pair[0] == second):
                desk.hear(event)
                heard += 1
            for row_id in dict.fromkeys(desk.asked):
                desk.now += 0.5
                desk.probe(row_id, found[row_id], began=desk.now - 0.2)
            desk.asked.clear()
    desk.until(MINUTES * 60.0 + 10)
    return heard


def test_a_day_of_ten_thousand_events() -> None:
    """10,000 events of a day with seven known faults give exactly the matrix that arithmetic gives."""
    desk = Desk()
    assert _live(desk) == 10_000
    assert desk.counts == EXPECTED
    assert sum(EXPECTED.values()) == 4 * MINUTES, "each of four targets once a minute"
    found = desk.truth.predictions
    assert found.precision == pytest.approx(95 / 105)  # 60 + 30 + 5 of the times when we said so
    assert found.recall == pytest.approx(95 / 130)  # less the 20 that we did not see, and the 15 where we do not look
    (disagreement,) = found.disagreements
    assert (disagreement.id, disagreement.count, disagreement.observed) == (ONE, 20, Event.UNABLE_TO_CONNECT)
    assert disagreement.at == MIDNIGHT + (8 * 60 + 19) * 60 + 10
