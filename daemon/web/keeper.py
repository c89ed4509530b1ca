"""Keeps `web.config_file` in force, and reads it and all that it names again when something of that has changed.

A running daemon never becomes weaker by accident: a file that can't be used, and one that no longer asks for a
protection it asked for (an editor that truncates before it writes, a template that lost a variable), leave what was in
force as it is. Each such fault is logged once. A restart takes the file as it stands.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import NoReturn

from checks.blocking import Blocking, BusyError
from daemon.config.problems import ConfigError
from daemon.web.access import OPEN, Access, lost
from daemon.web.web_file import read_access

log = logging.getLogger("connector_health.web")

LOOK_S = 5.0
"""Seconds between two looks. Each reads four small files in a thread, 1 ms. A fault is logged when it is met a second
time: certificate and key are seldom renewed in the same moment."""
READ_S = 10.0  # longer means that the disk hangs
CLOSE_S = 0.2  # for the thread that reads: it is idle, or hangs and is left behind


class Keeper:
    """`adopt` is told each new state, the first one included. `look_s`: seconds between two looks."""

    def __init__(self, file: str | None, adopt: Callable[[Access], object], look_s: float = LOOK_S) -> None:
        self._file = file
        self._adopt = adopt
        self._look_s = look_s
        self._access = OPEN
        self._thread = Blocking("web-files")
        self._met = self._told = ""

    async def begin(self) -> None:
        """Read the file for the first time. Raises: ConfigError with everything that is wrong."""
        if self._file is not None:
            self._take(read_access(self._file))

    async def run(self) -> NoReturn:
        """Look again and again."""
        while True:
            await asyncio.sleep(self._look_s)
            if self._file is not None:
                await self.look(self._file)

    async def look(self, file: str) -> None:
        """Look once: take what has changed, or remember what is wrong with it."""
        try:
            access = await self._thread.call(partial(read_access, file, self._access.digest), READ_S)
        except ConfigError as error:
            self._meet(str(error))
        except (BusyError, TimeoutError):
            self._meet(f"{file}: could not be read within {READ_S:g} s")
        else:
            if access is not None and (gone := lost(self._access, access)):
                self._meet(f"{file}: {gone}: no longer there; a running daemon keeps that, restart it to go without")
            else:
                self._well(file)
                self._take(access)

    async def close(self) -> None:
        """End the thread."""
        await self._thread.close(CLOSE_S)

    def _take(self, access: Access | None) -> None:
        if access is None:
            return
        again = self._access is not OPEN
        self._access = access
        if again:
            log.info("%s has changed, or a file that it names: in force now", self._file)
        for note in access.notes:
            log.warning("%s: %s", self._file, note)
        self._adopt(access)

    def _meet(self, fault: str) -> None:
        if fault == self._met and fault != self._told:
            self._told = fault
            for line in fault.splitlines():
                log.error("web.config_file not read again, what was in force stays: %s", line)
        self._met = fault

    def _well(self, file: str) -> None:
        if self._told:
            log.info("%s can be used again", file)
        self._met = self._told = ""
