"""What a reload costs at 10,000 Resources with a name and two ports each: how long it holds the loop, what it touches.

Run: make bench. An engine with a row for each of its 30,000 jobs gets other configurations, as after SIGHUP. `hold` is
the longest turn of the event loop in CPU time of its thread, so that other processes don't count; `CPU` is all of it;
`touched` are the jobs, rows and probes' memories that are not the very same objects afterwards. Also measured: how long
the file takes to read, in its thread, and what a Resource takes of memory. The collector of garbage runs as in the
daemon (`daemon/heap.py`).
"""

import argparse
import asyncio
import gc
import json
import selectors
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # a checkout that is not installed can be measured too

from checks.connlog.model import ConnectionKind, ConnectionSeen
from checks.model import Event, Outcome, Status
from daemon import heap
from daemon.board import Board
from daemon.config.load import parse_config
from daemon.config.schema import Config
from daemon.engine import Engine
from daemon.jobs import Job, Result
from daemon.looplag import LoopLag
from daemon.plan import Plan
from daemon.seen import ENOUGH_TIMES
from daemon.state import Policy
from daemon.targets import enabled_checks, make_plan

RESOURCES, OTHERS = 10_000, 10
ROUNDS = 5
QUESTION = 1  # the nameservers are asked for the first name of all
ON_TIME = 1  # this host's own check has the time-out of the ports
GOAL_HOLD_MS = 25.0
GOAL_BYTES = 2500
HEAD = """
connector: {name: bench, runtime: none}
clock: {servers: []}
relays: {endpoints: []}
provider: {enabled: never}
dns: {nameservers: ["127.0.0.1:53"]}
"""


def written(tag: str = "", changed: int = 0, timeout: str = "5s") -> bytes:
    """Write a configuration; the first `changed` Resources have an address with `tag` in it."""
    lines = [
        f"  - {{name: Resource {n}, address: host-{n}{tag if n < changed else ''}.corp.internal, tcp: [443, 5432]}}\n"
        for n in range(RESOURCES)
    ]
    wide = '  - {name: All, address: "*.learned.internal", tcp: [443]}\n'
    return f"{HEAD}schedule: {{timeout: {timeout}}}\nresources:\n{wide}{''.join(lines)}".encode()


def read(text: bytes) -> Config:
    """Read a configuration."""
    return parse_config(text, "bench.yaml").config


NOW = 1_767_225_600.0  # Unix seconds


class Turns(selectors.DefaultSelector):
    """The loop's selector, that notes the longest turn between two waits, in CPU seconds of this thread."""

    longest = 0.0
    _begin: float | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait, and note how long the loop has worked since it waited last."""
        if self._begin is not None:
            self.longest = max(self.longest, time.thread_time() - self._begin)
        try:
            return super().select(timeout)
        finally:
            self._begin = time.thread_time()


def fill(engine: Engine) -> None:
    """Have every job report once."""
    for job in engine.plan.jobs:
        result = Result(
            id=job.id, job=job.id, check=job.check, target=job.target, started_at=NOW, duration_s=0.001,
            outcome=Outcome(status=Status.OK, summary="accepts", event=Event.NONE, facts={"accepted": ("10.0.0.1",)}),
            resources=job.resources,
        )  # fmt: skip
        engine.board.record([result])
        engine.insight.note_results([result])
        engine.runner._memory[job.id] = object()  # noqa: SLF001 - what a probe would remember


def teach(engine: Engine) -> None:
    """Have the log show a name in use often enough to be probed."""
    number = len([job for job in engine.plan.jobs if ".learned." in job.id])
    event = ConnectionSeen(
        at=NOW, kind=ConnectionKind.ESTABLISHED, address=f"h{number}.learned.internal", port=443,
        protocol="tcp", rule="*.learned.internal", ip="10.1.1.1",
    )  # fmt: skip
    engine.insight.note([event] * ENOUGH_TIMES, lines=ENOUGH_TIMES, at=event.at)


def held(engine: Engine) -> dict[str, tuple[object, ...]]:
    """Return what is held of each job."""
    rows, memory = engine.board.rows, engine.runner._memory  # noqa: SLF001 - as above
    return {job.id: (job, rows.get(job.id), memory.get(job.id)) for job in engine.plan.jobs}


async def reload_once(begun: bytes, change: Callable[[Engine], Config], turns: Turns) -> tuple[float, float, int]:
    """Reload once; return the longest hold and the CPU time, in seconds, and how many jobs were touched."""
    board = Board(Policy(), lambda: NOW, clock=asyncio.get_running_loop().time)
    engine = Engine(read(begun), board, LoopLag(), lambda *_: None)
    fill(engine)
    heap.settle()
    config, before = change(engine), held(engine)
    await asyncio.sleep(0)
    turns.longest, spent = 0.0, time.thread_time()
    await engine.reload(config)
    await asyncio.sleep(0)
    hold, spent = turns.longest, time.thread_time() - spent
    after = held(engine)
    same = sum(all(map(_identical, what, before.get(job_id, ()))) for job_id, what in after.items() if job_id in before)
    return hold, spent, len(before | after) - same


def _identical(one: object, other: object) -> bool:
    return one is other


def _taught(engine: Engine) -> Config:
    teach(engine)
    return engine.config


def reloads(rounds: int) -> dict[str, dict[str, float]]:
    """Measure each kind of reload; medians, but of the holds the largest."""
    begun = written()
    ways: Mapping[str, tuple[Callable[[Engine], Config], int]] = {
        "nothing changed": (lambda _: read(written()), 0),
        f"{OTHERS} Resources changed": (lambda _: read(written("-b", OTHERS)), 2 * OTHERS * 3 + QUESTION),
        "each Resource replaced": (lambda _: read(written("-b", RESOURCES)), 2 * RESOURCES * 3 + QUESTION),
        "each port changed": (lambda _: read(written(timeout="6s")), RESOURCES * 2 + ON_TIME),
        "one name learned": (_taught, 3),  # a row for the name, one for the port, and none any more that has neither
    }
    found = {}
    for name, (change, least) in ways.items():
        runs = []
        for _ in range(rounds):
            turns = Turns()
            with asyncio.Runner(loop_factory=lambda turns=turns: asyncio.SelectorEventLoop(turns)) as runner:  # type: ignore[misc]
                runs.append(runner.run(reload_once(begun, change, turns)))
        hold = max(run[0] for run in runs) * 1e3
        found[name] = {
            "hold_ms": hold,
            "hold_of_goal": hold / GOAL_HOLD_MS,
            "cpu_ms": statistics.median(run[1] for run in runs) * 1e3,
            "touched": runs[-1][2],
            "expected": least,
        }
    return found


def sizes() -> dict[str, float]:
    """Return what a Resource takes of memory, in bytes, and how much reading the file takes at its peak, in MiB."""
    text, small = written(), written().split(b"  - {name: Resource 1,")[0]
    kept: list[Config | Plan | Job] = []
    make_plan(read(small), enabled_checks(read(small)))  # what is made once, whatever the size
    gc.collect()
    tracemalloc.start()
    config = read(text)
    kept.append(config)
    gc.collect()
    of_config, peak = tracemalloc.get_traced_memory()
    kept.append(make_plan(config, enabled_checks(config)))
    gc.collect()
    of_both, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return {
        "config_bytes": of_config / RESOURCES,
        "plan_bytes": (of_both - of_config) / RESOURCES,
        "of_goal": of_both / RESOURCES / GOAL_BYTES,
        "peak_mib": peak / 2**20,
    }


def main() -> None:
    """Measure and print a table, and JSON with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    began = time.thread_time()
    read(written())
    seconds = time.thread_time() - began
    found, size = reloads(options.rounds), sizes()
    if options.json:
        print(json.dumps({"reloads": found, "memory": size, "read_s": seconds}, indent=2))
        return
    print(f"{RESOURCES:,} Resources x 2 ports; {options.rounds} rounds; goal: a hold of {GOAL_HOLD_MS:g} ms at most")
    for name, figures in found.items():
        print(
            f"  {name:24} hold {figures['hold_ms']:5.1f} ms ({figures['hold_of_goal']:4.0%} of the goal)"
            f"   CPU {figures['cpu_ms']:4.0f} ms   touched {figures['touched']:6,.0f} of {figures['expected']:6,.0f}"
        )
    config, plan = size["config_bytes"], size["plan_bytes"]
    print(
        f"  a Resource: {config + plan:,.0f} bytes ({size['of_goal']:.0%} of the goal), {config:,.0f} of them of the"
        f" configuration; reading the file: {seconds:.2f} s of CPU, {size['peak_mib']:.0f} MiB at its peak"
    )


if __name__ == "__main__":
    main()
