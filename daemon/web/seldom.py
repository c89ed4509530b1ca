"""Log lines that strangers could cause at will: at most one a minute, with how often it happened."""

import asyncio
import logging

EVERY_S = 60.0  # a scanner tries thousands of times; the operator needs to know that, and once is enough


class Seldom:
    """One kind of line. `note` may be called as often as it happens."""

    def __init__(self, log: logging.Logger, template: str) -> None:
        self._log = log
        self._template = template
        self._count = 0
        self._told_at: float | None = None

    def note(self, why: str) -> None:
        """Say it now, unless that was done in the last minute: then count it for the next line."""
        self._count += 1
        now = asyncio.get_running_loop().time()
        if self._told_at is None or now - self._told_at >= EVERY_S:
            times = f" ({self._count} times since this was last said)" if self._count > 1 else ""
            self._log.warning(self._template, why + times)
            self._count, self._told_at = 0, now
