"""What systemd is told: ready, alive, reloading, stopping, and one line of status. Without systemd nothing is said."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import NoReturn

from checks.model import Status

log = logging.getLogger("connector_health.notify")

STATUS_LINE_S = 5.0  # how often `systemctl status` is told the verdict
BEATS_PER_TIMEOUT = 3  # systemd advises two; the third forgives one late wake-up


class Notifier:
    """Speaks to systemd by sd_notify(3), when it asked for that by NOTIFY_SOCKET.

    `notify` takes what is said, and returns False when systemd is too busy to hear it: it is said again then. Without
    READY=1 systemd would end a daemon that is well.
    """

    def __init__(self, notify: Callable[[str], object] | None = None) -> None:
        self._notify = notify or _find_notify()
        self._status = ""
        self._up = False
        self._unheard: dict[str, str] = {}

    def ready(self) -> None:
        """Say that the service is up."""
        self._up = True
        self._say("READY=1")

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the configuration is read again, while the block runs; not while it starts or ends."""
        if self._up:
            self._say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            if self._up:
                self._say("READY=1")

    def stopping(self) -> None:
        """Say that the service ends."""
        self._up = False
        self._say("STOPPING=1")

    def status(self, text: str) -> None:
        """Show one line in `systemctl status`."""
        if text != self._status:
            self._status = text
            self._say(f"STATUS={text}")

    async def keep_told(
        self, statuses: Callable[[], Mapping[Status, int]], reload_ok: Callable[[], bool] = lambda: True
    ) -> NoReturn:
        """Tell the verdict for ever: how many rows have which status, and that the last reload failed."""
        while True:
            counts = statuses()
            words = [f"{counts[status]} {status}" for status in Status if counts.get(status)]
            trouble = "" if reload_ok() else "; the configuration could not be loaded again: see the log"
            self.status((", ".join(words) or "starting") + trouble)
            self._say_again()
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
        name = text.partition("=")[0]
        about = name if name in ("STATUS", "WATCHDOG") else "state"  # of each only the last word counts
        self._unheard.pop(about, None)
        self._unheard[about] = text
        self._say_again()

    def _say_again(self) -> None:
        """Say what was not heard yet, in the order in which it came up."""
        if self._unheard and (self._notify is None or self._notify("\n".join(self._unheard.values())) is not False):
            self._unheard.clear()


def _find_notify() -> Callable[[str], bool] | None:
    """Return what says words to systemd; None where nobody listens. It never waits: False is that systemd is busy."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return None
    place = "\0" + address[1:] if address[0] == "@" else address

    def notify(text: str) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # noqa: FBT003 - the method's only argument
                sock.sendto(text.encode(), place)
        except BlockingIOError:
            return False
        except OSError as error:
            log.warning("systemd could not be told %s: %s", text.partition("=")[0], error.strerror or error)
        return True

    return notify
