"""The end of the Connector's process, heard of at the moment when the kernel sees it.

A descriptor of the process becomes readable when it ends. Source: pidfd_open(2).
"""

import asyncio
import os
from collections.abc import Callable


class ProcessEnd:
    """Follows one process after the other and calls `on_end` when the present one ends.

    Where the process can't be seen from here (another PID namespace, an old kernel) nothing is heard, and nothing is
    said about it: its end is found at the next look.
    """

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._descriptor = -1
        self.pid: int | None = None
        self.ended = False

    def follow(self, pid: int | None) -> None:
        """Follow this process from now on (None: none is known); the one that is followed already stays so."""
        if pid == self.pid:
            return
        self.close()
        self.pid = pid
        if pid is None or pid <= 0:
            return
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # ended since it was seen, or never visible here: one look too many at most
            self._end()
        except OSError:
            return
        else:
            asyncio.get_running_loop().add_reader(self._descriptor, self._end)

    def close(self) -> None:
        """Follow nothing any more."""
        self.pid, self.ended = None, False
        self._let_go()

    def _end(self) -> None:
        self._let_go()
        self.ended = True
        self._on_end()

    def _let_go(self) -> None:
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
