"""What the Connector's log adds to its row: tokens, its resolver, and the lines that Twingate's documents quote."""

from dataclasses import replace

import pytest

from checks.connlog.book import LogBook
from checks.connlog.model import LogCause, LogState, RawLine
from checks.connlog.parser import LogParser
from checks.connlog.summary import LogSummary
from checks.model import Reason, Status
from checks.runtime.model import Sighting
from daemon.advice import split_action
from tests.support.sightings import NOW, RUNNING, STARTED_AT, judged, log, standing, stopped

INVALID, GONE = LogCause.TOKEN_INVALID, LogCause.TOKEN_GONE
EARLIER = STARTED_AT - 10
"""Of the process before this one."""


@pytest.mark.parametrize(
    ("sighting", "summary", "valid"),
    [
        (RUNNING, log(state=LogState.ONLINE), True),
        (RUNNING, log(), None),
        (RUNNING, None, None),
        (RUNNING, log(state=LogState.OFFLINE), None),
        (RUNNING, log(state=LogState.ONLINE, at=EARLIER), None),
        (RUNNING, log(token=INVALID), False),
        (RUNNING, log(token=INVALID, at=NOW - 3000, states=False), None),
        (RUNNING, log(token=GONE, at=EARLIER), None),
        (stopped(), log(state=LogState.ONLINE), None),
        (stopped(), log(token=GONE), None),
    ],
)
async def test_a_token_is_valid_on_evidence_only(
    sighting: Sighting, summary: LogSummary | None, valid: bool | None
) -> None:
    """True when this process said Online, false while an error holds; silence says nothing."""
    assert (await judged(standing(sighting, summary))).facts["token_valid"] is valid


async def test_a_stuck_resolver_wants_a_restart() -> None:
    """All nameservers have failed, says its log, while they answer us: a warning that says to restart it."""
    stuck = standing(RUNNING, log(down=("all", "10.0.0.2")))
    outcome = await judged(replace(stuck, resolver_ok=True))
    assert (outcome.status, outcome.reason) == (Status.WARNING, Reason.UNHEALTHY)
    assert "all nameservers have failed" in outcome.summary
    assert "Restart the Connector." in outcome.action
    assert split_action(outcome.action).commands == ("docker restart twingate-1",)


@pytest.mark.parametrize(
    ("down", "at", "ours"),
    [
        pytest.param(("all",), NOW - 60, False, id="ours fail too"),
        pytest.param(("all",), NOW - 60, None, id="ours were not asked"),
        pytest.param(("10.0.0.2",), NOW - 60, True, id="one is left"),
        pytest.param(("all",), EARLIER, True, id="before it was restarted"),
    ],
)
async def test_its_resolver_is_not_blamed_without_proof(down: tuple[str, ...], at: float, ours: bool | None) -> None:
    """It stays a fact where something else may be to blame."""
    outcome = await judged(replace(standing(RUNNING, log(down=down, at=at)), resolver_ok=ours))
    assert outcome.status is Status.OK


async def test_an_invalid_token_points_to_the_clock() -> None:
    """The clock is the usual cause: the row that tells is named, and what it says when it is known to be off."""
    context = standing(RUNNING, log(token=INVALID))
    assert "See the row clock:system first" in (await judged(context)).action
    assert "clock is off by more than that now" in (await judged(replace(context, clock_off=True))).action


@pytest.mark.parametrize(
    ("lines", "verdict", "valid"),
    [
        pytest.param(["[WARN] [libsdwan] [controller] operator(): failed to get SD: Gone, code 410"], Reason.TOKEN_GONE,
                     False, id="gone"),
        pytest.param(["[ERROR] [libsdwan] [controller] failed to get an access token: Invalid token"],
                     Reason.TOKEN_INVALID, False, id="invalid"),
        pytest.param(["[ERROR] [libsdwan] failed to get an access token: Invalid token",
                      "[INFO] [connector] State: Online"], None, True, id="online again"),
        pytest.param(['{"error":true,"status":403,"service":"Access Manager","message":"Token is expired."}'], None,
                     None, id="benign"),
        pytest.param(["[msg] Nameserver 10.0.0.2:53 has failed: request timed out.",
                      "[msg] All nameservers have failed"], Reason.UNHEALTHY, None, id="its resolver is stuck"),
        pytest.param(["[msg] All nameservers have failed", "[msg] Nameserver 10.0.0.2:53 is back up"], None, None,
                     id="and is back"),
    ],
)  # fmt: skip
async def test_lines_of_the_log_lead_to_the_verdict(
    lines: list[str], verdict: Reason | None, valid: bool | None
) -> None:
    """What Twingate's documents quote, read by the parser and kept by the book, is judged as they say."""
    parser, book = LogParser(b"salt"), LogBook(lambda: NOW)
    book.process_started(STARTED_AT)
    for number, line in enumerate(lines):
        event = parser.feed(RawLine(at=NOW - 60 + number, text=line.encode(), cursor=""))
        if event is not None:
            book.note(event)
    outcome = await judged(replace(standing(RUNNING, book.summary(NOW)), resolver_ok=True))
    assert (outcome.reason, outcome.facts["token_valid"]) == (verdict, valid)
