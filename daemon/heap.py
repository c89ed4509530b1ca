"""What the collector of garbage may hold the loop for: not a look through all that stays, every few seconds.

With 20,000 checks a full collection takes 100 to 200 ms, in which no answer to a probe is timed and none is read. By
Python's own rule one comes whenever a quarter of the heap is new, and each second brings new rows: several a minute.
"""

import asyncio
import gc
from typing import NoReturn

YOUNG = 10_000
"""More objects than were freed since the last look at the young before Python looks at them by itself; its own number
is 700. A run that takes a task makes and frees some fifty, and each look would also go through all that is under way.
"""
TEND_S, MIDDLE_EVERY = 1.0, 4
"""Rows that replace each other are as many made as freed: Python would not look at the young until a burst (a scrape)
has it go through every row at once. So they are looked at each second, and what stays is set aside after some more.
"""
FULL_AFTER = 5000
"""Collections of the middle generation before a full one is due; Python's own number is 10. With 20,000 checks that
fail there is about one a second, so a full one comes after an hour or two, and otherwise more rarely.
What forms cycles here (tasks, exceptions and their frames) is young when it dies, and the young are collected as ever.
"""
MANY = 1000  # jobs: fewer don't make a full collection longer by a millisecond


def settle() -> None:
    """Take all that lives now as what stays: modules, configuration, plan. Call it when a plan is in force.

    Collects once, in full; what an earlier call took for lasting and a reload has replaced goes too.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    _, middle, _ = gc.get_threshold()
    gc.set_threshold(YOUNG, middle, FULL_AFTER)


async def tend() -> NoReturn:
    """Look through the young once a second, until cancelled."""
    turn = 0
    while True:
        await asyncio.sleep(TEND_S)
        turn += 1
        gc.collect(0 if turn % MIDDLE_EVERY else 1)


def keep(made: int) -> None:
    """Take what a reload has made as what stays, where that is much; `made` is how many jobs are new.

    The old are not looked through for that, which would hold the loop: what was replaced is no cycle, and goes by
    itself.
    """
    if made >= MANY:
        gc.collect(1)
        gc.freeze()
