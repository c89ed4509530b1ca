"""`healthctl run` as a process: it loads, serves until it is told to end, and says why when it can't."""

import asyncio
import logging

from checks.half_open import HalfOpen
from checks.model import EXIT_CODES, Status
from daemon.app import App
from daemon.config.load import Loaded
from daemon.config.problems import ConfigError
from daemon.options import Options, load
from daemon.privilege import drop_net_raw, open_half_open
from daemon.web.server import WebError

log = logging.getLogger("connector_health.app")


def run(options: Options) -> int:
    """Run the daemon until it is told to stop; return the exit code: 0, 3 (can't start), 2 (may next time)."""
    try:
        loaded = load(options)
        here = open_half_open()
        drop_net_raw()
        return asyncio.run(_serve(options, loaded, here))
    except (ConfigError, WebError) as error:
        for line in str(error).splitlines():
            log.critical("%s", line)
        later = isinstance(error, WebError) and error.later
        return EXIT_CODES[Status.CRITICAL if later else Status.UNKNOWN]


async def _serve(options: Options, loaded: Loaded, here: HalfOpen | None) -> int:
    app = App(options, loaded, here=here)
    await app.run()
    return app.exit_code
