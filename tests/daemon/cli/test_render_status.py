"""What `healthctl status` shows of a document."""

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from checks.connlog.model import LogCause
from checks.connlog.summary import Capability, LogSummary
from checks.model import Json, Reason, Status
from daemon.cli.render_status import Look, render
from daemon.document import Document
from daemon.observed import Disagreement, Observed, Predictions
from daemon.record_words import percent
from daemon.report import document, report
from tests.support.observed import FACTS, LOG, NOW, OBSERVED, PREDICTIONS, everything
from tests.support.reports import STARTED_AT, head, row

DATA = Path(__file__).parent / "data"
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def whole(observed: Observed = OBSERVED, facts: dict[str, Json] | None = None) -> Document:
    """Make the document of a daemon."""
    return report(everything(observed, facts))


def lines(observed: Observed) -> str:
    """Return what is shown, all on long lines."""
    return render(whole(observed), NOW)


@pytest.mark.parametrize(
    ("name", "look"), [("plain", Look()), ("80", Look(width=80)), ("all", Look(width=120, everything=True))]
)
def test_status_looks_as_it_was_approved(name: str, look: Look) -> None:
    """The whole output is the one that a person looked at."""
    golden = DATA / f"status-{name}.txt"
    text = render(whole(), NOW, look)
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_colour_changes_no_letter() -> None:
    """With colour the same is said."""
    coloured = render(whole(), NOW, Look(width=80, colour=True))
    assert ANSI.sub("", coloured) == render(whole(), NOW, Look(width=80))
    assert coloured != ANSI.sub("", coloured)


def test_what_is_fine_is_a_number() -> None:
    """Rows that need nobody are counted; when there are no others, the verdict stands right below the head."""
    fine = document(head(held=True), [row("host:network"), row("tcp:a:1", Status.SKIPPED, Reason.NEVER_UP)])
    text = render(fine, STARTED_AT + 60)
    assert "2 rows are fine or not probed; healthctl status --all lists them" in text
    assert "This host" not in text
    assert "  skipped   a:1" in render(fine, STARTED_AT, Look(everything=True))


def test_rows_come_first_where_there_is_no_room_for_all() -> None:
    """On a low terminal what fails stays in sight; the same is said, in another order."""
    text, first = (render(whole(), NOW, look) for look in (Look(), Look(rows_first=True)))
    assert sorted(text.splitlines()) == sorted(first.splitlines())
    assert text.index("Seat ") < text.index("refused the connection")
    assert first.index("refused the connection") < first.index("Seat ")


def test_nothing_known_yet_is_said() -> None:
    """Before the first result nobody is told that all is well."""
    text = render(document(head(held=True), []), STARTED_AT)
    assert "Nothing is known yet: the first checks are still running." in text
    assert text.splitlines()[-1].startswith("SUMMARY  UNKNOWN")


def test_a_second_look_stands_below_its_row_and_is_no_problem_of_its_own() -> None:
    """What the host's seat saw is told once, beside the row that it explains."""
    text = lines(OBSERVED)
    first, second = (
        text.index(words) for words in ("refused the connection", "from this host: ok, (10.1.2.3) accepted")
    )
    assert first < second < text.index("failing for 12 minutes")
    assert text.count("db.corp.internal:5432") == 2  # its row, and the users who failed there


@pytest.mark.parametrize(
    ("observed", "words"),
    [
        (Observed(), "Log       not read"),
        (Observed(log=LogSummary(problem="the log driver is syslog")), "not read: the log driver is syslog"),
        (Observed(log=LogSummary()), "no change of state seen; it has been silent so far"),
        (Observed(log=LogSummary(lines=1)), "no change of state seen; 1 line read"),
        (Observed(log=LogSummary()), "this log may or may not show errors, changes of state and users' connections"),
        (replace(OBSERVED, log=replace(LOG, token=LogCause.TOKEN_GONE, token_at=NOW - 60)),
         "its token is refused: Gone, code 410 (1 minute ago)"),
        (replace(OBSERVED, log=replace(LOG, nameservers_down={"all": NOW - 3600})),
         "its resolver gave up all nameservers (1 hour ago)"),
        (Observed(), "Learned   nothing yet"),
    ],
)  # fmt: skip
def test_the_log_speaks_for_itself(observed: Observed, words: str) -> None:
    """What the log told, or why it told nothing."""
    assert words in lines(observed)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        (PREDICTIONS.counts, ("of 57 failures that users met 53 were predicted (recall 93 %); of 60 predicted failures "
                              "that users put to the test 53 came true (precision 88 %)")),
        ({("none", "none"): 9}, "users met no failure; no predicted failure was put to the test"),
        ({("none", "unable_to_connect"): 1}, "of 1 failure that users met 0 were predicted (recall 0 %); no predicted"),
        ({("unable_to_connect", "none"): 2}, "of 2 predicted failures that users put to the test 0 came true ("),
        ({}, "nothing to compare with yet"),
        ({("none", "none"): 0, ("unknown", "dns_lookup_error"): 0}, "nothing to compare with yet"),
    ],
)  # fmt: skip
def test_how_often_we_were_right(counts: Mapping[tuple[str, str], int], words: str) -> None:
    """Both shares with their counts; what was never put to the test has no share."""
    assert words in lines(replace(OBSERVED, predictions=replace(PREDICTIONS, counts=counts)))


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (None, "the Connector's log is not read"),
        (LogSummary(problem="no permission"), "the Connector's log is not read"),
        (LogSummary(capability=Capability(analytics=False)), "log has shown no connections of users"),
    ],
)
def test_without_users_in_the_log_nothing_is_claimed(log: LogSummary | None, words: str) -> None:
    """No observation is no proof that we are right."""
    assert f"nothing to compare with: {words}" in lines(Observed(log=log, predictions=Predictions())).replace(
        "the Connector's log has", "log has"
    )


def test_a_single_look_has_no_record() -> None:
    """Where nothing is compared, nothing is said of it."""
    assert "Predicted" not in lines(Observed())


def test_few_disagreements_are_told_and_the_rest_counted() -> None:
    """Seven disagreements: five in full."""
    one = PREDICTIONS.disagreements[0]
    many = tuple(Disagreement(id=f"{one.id}{n}", at=one.at, observed=one.observed, count=1) for n in range(7))
    text = lines(replace(OBSERVED, predictions=replace(PREDICTIONS, disagreements=many)))
    assert text.count("disagrees: ") == 5
    assert "and 2 more disagreements" in text
    assert "(1 time, the last 10 minutes ago), and our probe still passes" in text


@pytest.mark.parametrize(
    ("both", "of", "text"),
    [(0, 9, "0 %"), (9, 9, "100 %"), (1, 1000, "1 %"), (999, 1000, "99 %"), (53, 57, "93 %"), (1, 2, "50 %")],
)
def test_shares_round_to_the_ends_only_where_they_are_exact(both: int, of: int, text: str) -> None:
    """One missed failure in a thousand is not a recall of 100 %."""
    assert percent(both, of) == text


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"running": "yes", "fds": 7, "restarts": "many", "runtime": 3, "image": ["x"]},
        {"running": True, "fds": {"used": None, "limit": "x"}, "restarts": None, "runtime": "docker"},
        {"running": False, "fds": {}, "restarts": True, "restarts_15m": {}, "runtime": "other"},
        FACTS | {"fds": {"used": 1, "limit": 2, "tunnels_left": []}},
    ],
)
def test_facts_of_any_shape_are_shown_as_far_as_they_go(facts: dict[str, Json]) -> None:
    """The page and the terminal do not depend on which facts a runtime can give."""
    assert "Process   container twingate-office-1 is running" in render(whole(facts=facts), NOW)


def test_nothing_from_outside_moves_the_terminal() -> None:
    """Escape sequences in any field of the Connector's lines are shown as escapes."""
    evil = "\x1b]0;owned\x07\x9b2J\u202e\nSUMMARY  OK"
    found = whole(facts=FACTS | {"image": evil})
    assert found["connector_log"] is not None
    assert found["predictions"] is not None
    log = found["connector_log"]
    log |= {"state": evil, "token": evil}
    log["nameservers_down"][0]["nameserver"] = log["causes"][0]["cause"] = log["failing"][0]["target"] = evil
    log["capability"]["advice"] = [evil]
    disagreement = found["predictions"]["disagreements"][0]
    disagreement["id"] = disagreement["observed"] = evil
    found |= {"connector": evil, "confidence": evil, "summary": evil}
    text = render(found, NOW, Look(everything=True))
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)
    assert len(re.findall("^SUMMARY", text, re.MULTILINE)) == 1


def test_what_was_found_besides_is_told() -> None:
    """Findings after the first, which decides, are named; and nobody is said to probe from a place that is gone."""
    text = render(whole(facts={**FACTS, "running": False, "also": ["fds_low", "unhealthy"]}), NOW)
    assert "; also fds_low and unhealthy" in text
    assert "probes start in the Connector's network: none while it does not run" in text


def test_causes_are_named_as_people_say_them() -> None:
    """The errors of the log stand there in words, with how often and when last."""
    assert "errors seen: nameserver failed 12 times (last 4 minutes ago)" in lines(OBSERVED)
