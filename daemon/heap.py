"""What the collector of garbage may hold the loop for: not a look through all that stays, every few seconds.

With 20,000 checks a full collection takes 100 to 200 ms, in which no answer to a probe is timed and none is read. By
Python's own rule one comes whenever a quarter of the heap is new, and each second brings new rows: several a minute.
"""

import gc

FULL_AFTER = 5000
"""Collections of the middle generation before a full one is due; Python's own number is 10. With 20,000 checks that
fail there is about one a second, so a full one comes after an hour or two, and otherwise more rarely.
What forms cycles here (tasks, exceptions and their frames) is young when it dies, and the young are collected as ever.
"""


def settle() -> None:
    """Take all that lives now as what stays: modules, configuration, plan. Call it when a plan is in force.

    Collects once, in full; what an earlier call took for lasting and a reload has replaced goes too.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, FULL_AFTER)
