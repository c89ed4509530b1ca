"""One trace under way, with a line of progress for whoever waits at a terminal."""

import asyncio
import shutil
import sys

from daemon.cli.main import accept_interrupts
from daemon.cli.progress import Progress
from daemon.logs import configure
from daemon.trace.facts import TraceFacts
from daemon.trace.gather import gather
from daemon.trace.target import Wanted


def follow(wanted: Wanted) -> TraceFacts:
    """Trace once; blocks until done, at most some nine seconds. Raises: AmbiguousError."""
    accept_interrupts()
    configure("logfmt", "warning", sys.stderr)
    return asyncio.run(_follow(wanted))


async def _follow(wanted: Wanted) -> TraceFacts:
    with Progress((), sys.stderr, shutil.get_terminal_size().columns, what="tracing").shown():
        return await gather(wanted)
