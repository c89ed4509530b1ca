"""A real engine with its watch for changes, as a process of its own: to be started inside a network namespace.

Each line that it prints is a JSON object: a transition (`id`, `state`) or a change (`kind`, `text`), `at` on the clock
that all processes share (CLOCK_MONOTONIC); and once `ready`.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from daemon.board import Board
from daemon.changes.ring import Changes
from daemon.changes.watch import ChangeWatch
from daemon.config.load import parse_config
from daemon.engine import Engine
from daemon.jobs import Result
from daemon.looplag import LoopLag
from daemon.state import Policy, Transition
from daemon.vantage.watch import ConnectorWatch


def say(**what: object) -> None:
    """Print one line."""
    sys.stdout.write(json.dumps({"at": time.monotonic(), **what}) + "\n")
    sys.stdout.flush()


def hear(_results: Iterable[Result], transitions: Iterable[Transition]) -> None:
    """Print what changed its state."""
    for change in transitions:
        say(id=change.id, state=change.after)


async def tell(changes: Changes, engine: Engine) -> NoReturn:
    """Print what changed around us, and when all is known for the first time."""
    told, ready = 0, False
    while True:
        recent = changes.recent()
        for change in recent[told:]:
            say(kind=change.kind, text=change.text)
        told = len(recent)
        if engine.settled and not ready:
            ready = True
            say(ready=True)
        await asyncio.sleep(0.02)


async def main(config_file: str) -> None:
    """Run until killed."""
    config = parse_config(Path(config_file).read_bytes(), config_file).config
    confirm = config.schedule.confirm
    watch = ConnectorWatch(config)
    await watch.begin()
    wall_clock = watch.seats.first.wall_clock
    policy = Policy(failures=confirm.failures, successes=confirm.successes)
    board = Board(policy, wall_clock, clock=asyncio.get_running_loop().time)
    lag, changes = LoopLag(), Changes(wall_clock)
    engine = Engine(config, board, lag, hear, watch)
    await engine.look_around()
    for job in engine.plan.jobs:  # nobody waits for the first slots here
        engine.scheduler.confirm(job.id, 0.0)
    async with asyncio.TaskGroup() as group:
        for root in (lag.run(), engine.scheduler.run(), engine.follow(), tell(changes, engine)):
            group.create_task(root)
        group.create_task(ChangeWatch(watch, changes, engine).run())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
