"""What systemd is told: ready, alive, reloading, stopping, and one line of status. Without systemd nothing is said."""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import NoReturn

from checks.model import Status

log = logging.getLogger("connector_health.notify")

STATUS_LINE_S = 5.0  # how often `systemctl status` is told the verdict
BEATS_PER_TIMEOUT = 3  # systemd advises two; the third forgives one late wake-up


def _find_notify() -> Callable[[str], object] | None:
    if not os.environ.get("NOTIFY_SOCKET"):
        return None
    try:
        from systemd import daemon as systemd_daemon  # noqa: PLC0415 - an optional extra, and only under systemd
    except ImportError:
        log.warning("systemd waits for notifications but systemd-python is missing: install connector-health[systemd]")
        return None
    notify: Callable[[str], object] = systemd_daemon.notify
    return notify


class Notifier:
    """Speaks to systemd by sd_notify(3), when it asked for that by NOTIFY_SOCKET and systemd-python is installed."""

    def __init__(self, notify: Callable[[str], object] | None = None) -> None:
        self._notify = notify or _find_notify()
        self._status = ""

    def ready(self) -> None:
        """Say that the service is up."""
        self._say("READY=1")

    def stopping(self) -> None:
        """Say that the service ends."""
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text}")

    async def keep_told(self, statuses: Callable[[], Mapping[Status, int]]) -> NoReturn:
        """Tell the verdict for ever: how many rows have which status."""
        while True:
            counts = statuses()
            words = [f"{counts[status]} {status}" for status in Status if counts.get(status)]
            self.status(", ".join(words) or "starting")
            await asyncio.sleep(STATUS_LINE_S)

    async def keep_alive(self) -> None:
        """Feed the watchdog for ever: it only hears from us while the event loop turns."""
        timeout_us = os.environ.get("WATCHDOG_USEC", "")
        if self._notify is None or not timeout_us.isdigit() or timeout_us == "0":
            await asyncio.Event().wait()
        pause_s = int(timeout_us) / 1e6 / BEATS_PER_TIMEOUT
        while True:
            self._say("WATCHDOG=1")
            await asyncio.sleep(pause_s)

    def _say(self, text: str) -> None:
        if self._notify is not None:
            self._notify(text)
