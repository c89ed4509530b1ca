"""A half-open prober that answers from a script, on virtual time."""

import asyncio
from collections.abc import Callable

from checks.model import Reason
from checks.net.errors import NetError
from checks.net.tcp import Attempt

SECONDS = 0.02  # until a port answers


class FakeFlight:
    """A look under way."""

    def __init__(self, timer: asyncio.TimerHandle) -> None:
        self._timer = timer

    def cancel(self) -> None:
        """Hear nothing more of it."""
        self._timer.cancel()


class FakeHalfOpen:
    """Says of each address what `reason(address, look)` says (look 0 is its first); None: it accepts.

    `asked` has every address that was asked, in order. `after_s` are the seconds until an answer comes.
    """

    def __init__(self, reason: Callable[[str, int], Reason | None] = lambda _address, _look: None) -> None:
        self.available = True
        self.asked: list[str] = []
        self.changes = 0
        self.was_asked = asyncio.Event()
        self.after_s = SECONDS
        self._reason = reason

    def look(
        self, addresses: tuple[str, ...], port: int, timeout_s: float, done: Callable[[list[Attempt]], None]
    ) -> FakeFlight:
        """Answer after a while."""
        del port, timeout_s
        attempts = [self._attempt(address) for address in addresses]
        return FakeFlight(asyncio.get_running_loop().call_later(self.after_s, done, attempts))

    async def attempt_all(self, addresses: tuple[str, ...], port: int, timeout_s: float) -> list[Attempt]:
        """Answer after a while."""
        del port, timeout_s
        attempts = [self._attempt(address) for address in addresses]
        await asyncio.sleep(self.after_s)
        return attempts

    def network_changed(self) -> None:
        """Count it."""
        self.changes += 1

    def _attempt(self, address: str) -> Attempt:
        reason = self._reason(address, self.asked.count(address))
        self.asked.append(address)
        self.was_asked.set()
        return Attempt(address, self.after_s, None if reason is None else NetError(reason, f"it is {reason}"))
