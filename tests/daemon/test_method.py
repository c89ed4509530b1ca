"""How ports are asked is told: in the log, the document, and to whoever looks at the status."""

import pytest

from daemon.connector_words import connector_lines
from daemon.report import report
from daemon.vantage.method import BY_CONNECT, Method
from daemon.view import EngineFigures
from tests.support.observed import NOW, everything

LACKING = (
    "this process had no right to raw sockets when it started; start connector-health-netns, or give it CAP_NET_RAW"
)
STRAIN = "50000 of 65536 conntrack entries are in use (76%, net.netfilter.nf_conntrack_max)"


@pytest.mark.parametrize(
    ("method", "strain", "said"),
    [
        (Method(half_open=True), "", ["ports are asked half-open: no application there sees it"]),
        (Method(half_open=False, lacking=LACKING), "",
         [("ports are asked by connect; those that permit half-open probes only are not asked: "
          f"{LACKING} (healthctl explain half_open)")]),
        (BY_CONNECT, "", []),
        (BY_CONNECT, STRAIN, [f"at most 25% of schedule.max_rate, nothing from 90% in use on: {STRAIN}"]),
    ],
    ids=["half-open", "no-right", "by-order", "strain"],
)  # fmt: skip
def test_status_says_how_ports_are_asked(method: Method, strain: str, said: list[str]) -> None:
    """The method, what it lacks with the fix, and what keeps us from the whole rate; nothing where nothing is amiss."""
    view = everything()
    engine = EngineFigures(connector="x", method=method, strain=strain, share_of_rate=0.25 if strain else 1.0)
    whole = report(type(view)(config=view.config, plan=view.plan, board=view.board, engine=engine))
    assert whole["probing"] == {
        "method": "half_open" if method.half_open else "connect",
        "missing": method.lacking or None,
        "share_of_rate": engine.share_of_rate,
        "strain": strain or None,
    }
    words = [line.text for line in connector_lines(whole, NOW)]
    assert [text for text in words if "ports are asked" in text or "max_rate" in text] == said


@pytest.mark.parametrize(
    ("starved", "lag_s", "strain", "said"),
    [
        (False, 0.4, STRAIN, ""),
        (True, 0.4, STRAIN, "CPU (the event loop was 0.4 s late)"),
        (True, 0.0, STRAIN, f"connections ({STRAIN})"),
    ],
)
def test_what_runs_short_is_named(starved: bool, lag_s: float, strain: str, said: str) -> None:
    """Nobody is sent to look for CPU where the table of connections is full."""
    engine = EngineFigures(connector="x", starved=starved, event_loop_lag_s=lag_s, strain=strain)
    assert engine.starved_of == said
