"""The demo's lab for tests that are no coroutines: its servers run on a loop of their own."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from daemon.demo.lab import Lab

START_S = 10.0


class RunningLab:
    """A lab that serves, and takes faults while it does."""

    def __init__(self, lab: Lab, loop: asyncio.AbstractEventLoop) -> None:
        self.lab = lab
        self._loop = loop

    def plant(self, fault: str) -> None:
        """Break something, and return when it is broken."""
        _, plant = self.lab.faults[fault]

        async def planted() -> None:
            await plant()

        asyncio.run_coroutine_threadsafe(planted(), self._loop).result(START_S)

    def mend_resource(self) -> None:
        """Let orders-db.corp.internal accept again."""
        asyncio.run_coroutine_threadsafe(self.lab._orders.start(), self._loop).result(START_S)

    def fast_config(self, name: str = "fast.yaml", dns_timeout: str = "2s") -> Path:
        """Write the lab's configuration with intervals of a second, and return its path."""
        written = self.lab.write_config("127.0.0.1:19440").read_text()
        fast = written.replace("interval: 5s", "interval: 1s\n  confirm: {interval: 100ms}").replace(
            "intervals: {control_plane: 5s, relay: 5s, nat: 10s,", "intervals: {control_plane: 1s, relay: 1s, nat: 1s,"
        )
        assert fast.count("1s") == 4, "the lab writes its schedule as it did"
        file = self.lab.directory / name
        file.write_text(fast.replace("search: [], timeout: 2s}", f"search: [], timeout: {dns_timeout}}}"))
        return file


@contextlib.contextmanager
def running_lab(folder: Path) -> Iterator[RunningLab]:
    """Serve the lab from another thread until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="lab", daemon=True)
    thread.start()
    lab = Lab(folder)
    try:
        asyncio.run_coroutine_threadsafe(lab.start(), loop).result(START_S)
        yield RunningLab(lab, loop)
    finally:
        asyncio.run_coroutine_threadsafe(_end(lab), loop).result(START_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(START_S)
        loop.close()


async def _end(lab: Lab) -> None:
    lab.close()
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.wait(rest) if rest else None
    await asyncio.sleep(0)
