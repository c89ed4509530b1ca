"""What the demo tells while it watches: news only, and each piece of it once."""

from pathlib import Path

from checks.model import CheckName, Outcome, Reason, Status
from daemon.cli.show import Show
from daemon.jobs import Result
from daemon.state import State, Transition


def _result(status: Status) -> Result:
    reason = None if status is Status.OK else Reason.UDP_BLOCKED
    outcome = Outcome(
        status=status, reason=reason, summary=f"seen {status}", action="" if reason is None else "Mend it."
    )
    return Result(
        id="nat:udp", job="nat:udp", check=CheckName.NAT, target="udp", outcome=outcome, started_at=0, duration_s=0
    )


def _change(before: State | None, after: State) -> list[Transition]:
    return [Transition(id="nat:udp", before=before, after=after, at=0)]


def test_only_news_is_told(tmp_path: Path) -> None:
    """A warning is told though no verdict changes, a failure as found and as borne out; what stays is not repeated."""
    said: list[str] = []
    show = Show(tmp_path, listen="127.0.0.1:19440", say=said.append)
    show._tell([_result(Status.OK)], _change(None, State.OK))
    show._tell([_result(Status.WARNING)], [])
    assert said == [], "before the table nothing is told: it is in the table"
    show._table_shown = True
    show._tell([_result(Status.WARNING)], [])
    show._tell([_result(Status.OK)], [])
    assert said == [], "neither what was known nor what is fine is news"
    show._tell([_result(Status.WARNING)], [])
    show._tell([_result(Status.CRITICAL)], _change(State.OK, State.PENDING))
    show._tell([_result(Status.CRITICAL)], _change(State.PENDING, State.FAILING))
    show._tell([_result(Status.CRITICAL)], [])
    show._tell([_result(Status.OK)], _change(State.FAILING, State.RECOVERING))
    show._tell([_result(Status.OK)], _change(State.RECOVERING, State.OK))
    assert said == [
        "warning   nat:udp: seen warning",
        "          Mend it.",
        "critical  nat:udp: seen critical",
        "FAILING   nat:udp: seen critical",
        "          Mend it.",
        "ok again  nat:udp: seen ok",
    ]
