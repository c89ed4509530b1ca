"""One look at everything, with progress for whoever waits at a terminal."""

import asyncio
import sys
from collections.abc import Iterable

from checks.half_open import HalfOpen
from checks.model import CheckName
from daemon.cli.main import accept_interrupts
from daemon.cli.progress import Progress
from daemon.cli.terminal import fancy, terminal_columns
from daemon.config.schema import Config
from daemon.jobs import Job
from daemon.logs import configure
from daemon.oneshot import check_once
from daemon.privilege import drop_net_raw, open_half_open
from daemon.targets import enabled_checks, make_plan
from daemon.view import View


def look(
    config: Config, *, only: frozenset[CheckName] | None, resources: tuple[str, ...], timeout_s: float | None
) -> View:
    """Run every check once and return the view; blocks until done, at most `timeout_s` seconds."""
    accept_interrupts()
    configure("logfmt", "warning", sys.stderr)
    here = open_half_open()
    drop_net_raw(for_children=False)  # the helper, which root's `check` starts itself, needs the right once more
    return asyncio.run(_look(config, only, resources, timeout_s, here))


async def _look(
    config: Config,
    only: frozenset[CheckName] | None,
    resources: tuple[str, ...],
    timeout_s: float | None,
    here: HalfOpen | None,
) -> View:
    jobs: Iterable[Job] = ()
    width = 0
    if fancy(sys.stderr):
        plan = make_plan(config, enabled_checks(config, only))
        wanted, width = set(resources), terminal_columns()
        jobs = [job for job in plan.jobs if not (wanted and job.resources and wanted.isdisjoint(job.resources))]
    progress = Progress(jobs, sys.stderr, width)
    with progress.shown():
        return await check_once(
            config, only=only, resources=resources, timeout_s=timeout_s, on_result=progress.done, here=here
        )
