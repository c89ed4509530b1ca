"""Where in its interval a job runs: spread over the whole interval, and the same after each restart.

All jobs at once would be a burst that is felt by this host, its firewall and its nameservers, and their time-outs
would look like failures. Random phases would move with each restart, and with them every gap between two looks.
"""

import math
from hashlib import blake2b

_RANGE = 2.0**64
_ROUNDING = 1e-6  # of an interval: a slot that floating point puts this much too early is still that slot


def phase(job_id: str, interval_s: float) -> float:
    """Return the job's offset in its interval, in seconds: hash(id) mod interval, uniform over [0, interval).

    The hash is of the id's bytes (`hash()` is salted anew in each process).
    """
    digest = blake2b(job_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _RANGE * interval_s


def slot_from(job_id: str, interval_s: float, earliest: float) -> float:
    """Return the job's first slot at or after `earliest`, both in seconds of the loop's clock.

    That clock counts from the boot of the host: slots stay where they are when the daemon restarts, and two
    hosts with one configuration do not knock on the same door in the same moment.
    """
    offset = phase(job_id, interval_s)
    return offset + math.ceil((earliest - offset) / interval_s - _ROUNDING) * interval_s


def first_slot(job_id: str, interval_s: float, now: float, spread_s: float) -> float:
    """Return when a new job runs first: its wait for its slot, shrunk so that all fit into `spread_s` seconds."""
    wait = slot_from(job_id, interval_s, now) - now
    return now + wait * min(1.0, spread_s / interval_s)
