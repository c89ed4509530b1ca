import asyncio
import io

import pytest

from checks.model import CheckName, Outcome, Reason, Status
from daemon.cli.progress import ERASE, Progress
from daemon.jobs import Job, Result


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def _job(number: int, host: str, *, fixed: bool = False) -> Job:
    outcome = Outcome(status=Status.SKIPPED, reason=Reason.NOT_PROBEABLE, summary="x") if fixed else None
    return Job(id=f"tcp:{host}:{number}", check=CheckName.TCP, target=f"{host}:{number}", spec=None, interval_s=1,
               timeout_s=1, host=host, fixed=outcome)  # fmt: skip


def _result(job: Job) -> Result:
    return Result(id=job.id, job=job.id, check=job.check, target=job.target,
                  outcome=Outcome(status=Status.OK, summary="x"), started_at=0, duration_s=0)  # fmt: skip


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Return a terminal that allows colour."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


JOBS = [_job(n, "10.0.0.9") for n in range(3)] + [_job(1, "10.0.0.8"), _job(1, "lab", fixed=True)]


def test_line_counts_and_names_whom_it_waits_for() -> None:
    """The line says how many are done, and the host that most jobs wait for; what is never probed is not counted."""
    progress = Progress(JOBS, Terminal(), 80)
    assert progress.line() == "checking… 0/4, 3 waiting for 10.0.0.9"
    progress.done(_result(JOBS[3]))
    progress.done(_result(JOBS[0]))
    progress.done(_result(JOBS[0]))
    assert progress.line() == "checking… 2/4, 2 waiting for 10.0.0.9"
    progress.done(_result(JOBS[1]))
    progress.done(_result(JOBS[2]))
    assert progress.line() == "checking… 4/4"


def test_line_is_never_wider_than_the_terminal() -> None:
    """A line that wraps could not be erased."""
    for width in range(10, 60):
        assert len(Progress(JOBS, Terminal(), width).line()) < max(width, 15)


@pytest.mark.looptime
async def test_nothing_is_shown_for_what_is_done_soon(terminal: Terminal) -> None:
    """Within a second no line flashes up."""
    with Progress(JOBS, terminal, 80).shown():
        await asyncio.sleep(0.9)
    assert terminal.getvalue() == ""


@pytest.mark.looptime
async def test_what_takes_long_is_shown_and_erased(terminal: Terminal) -> None:
    """After a second the line appears, follows what happens, and nothing of it stays."""
    progress = Progress(JOBS, terminal, 80)
    with progress.shown():
        await asyncio.sleep(1.1)
        assert terminal.getvalue() == ERASE + "checking… 0/4, 3 waiting for 10.0.0.9"
        progress.done(_result(JOBS[3]))
        await asyncio.sleep(0.2)
    assert terminal.getvalue().endswith(ERASE + "checking… 1/4, 3 waiting for 10.0.0.9" + ERASE)
    await asyncio.sleep(5)
    assert terminal.getvalue().endswith(ERASE)


@pytest.mark.looptime
async def test_it_is_erased_when_the_check_is_cancelled(terminal: Terminal) -> None:
    """Ctrl-C leaves no half line behind."""

    async def check() -> None:
        with Progress(JOBS, terminal, 80).shown():
            await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(check(), 2)
    assert terminal.getvalue().endswith(ERASE)


@pytest.mark.looptime
@pytest.mark.parametrize("variable", [("NO_COLOR", "1"), ("TERM", "dumb"), None])
async def test_never_where_it_would_disturb(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, variable: tuple[str, str] | None
) -> None:
    """Off a terminal, with NO_COLOR and on a dumb terminal nothing is written."""
    if variable:
        monkeypatch.setenv(*variable)
    stream = terminal if variable else io.StringIO()
    with Progress(JOBS, stream, 80).shown():
        await asyncio.sleep(3)
    assert stream.getvalue() == ""
