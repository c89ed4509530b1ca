"""One trace under way, with a line of progress for whoever waits at a terminal."""

import asyncio
import shutil
import sys
from functools import partial

from checks.half_open import HalfOpen
from daemon.cli.main import accept_interrupts
from daemon.cli.progress import Progress
from daemon.logs import configure
from daemon.privilege import drop_net_raw, open_half_open
from daemon.trace.facts import TraceFacts
from daemon.trace.gather import gather
from daemon.trace.target import Wanted
from daemon.vantage.watch import ConnectorWatch


def follow(wanted: Wanted) -> TraceFacts:
    """Trace once; blocks until done, at most some nine seconds. Raises: AmbiguousError."""
    accept_interrupts()
    configure("logfmt", "warning", sys.stderr)
    here = open_half_open()
    drop_net_raw(for_children=False)  # the helper, which root's `trace` starts itself, needs the right once more
    return asyncio.run(_follow(wanted, here))


async def _follow(wanted: Wanted, here: HalfOpen | None) -> TraceFacts:
    with Progress((), sys.stderr, shutil.get_terminal_size().columns, what="tracing").shown():
        return await gather(wanted, make_watch=partial(ConnectorWatch, here=here))
