"""Where in its interval a job runs: spread over the whole interval, and the same after each restart.

All jobs at once would be a burst that is felt by this host, its firewall and its nameservers, and their time-outs
would look like failures. Random phases would move with each restart, and with them every gap between two looks.
"""

import math
from hashlib import blake2b

_RANGE = 2.0**64
_ROUNDING = 1e-6  # of an interval: a slot that floating point puts this much too early is still that slot


def fraction(job_id: str) -> float:
    """Return where in its interval a job runs, in [0, 1): uniform over all ids.

    The hash is of the id's bytes (`hash()` is salted anew in each process).
    """
    digest = blake2b(job_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _RANGE


def phase(job_id: str, interval_s: float) -> float:
    """Return the job's offset in its interval, in seconds: hash(id) mod interval, uniform over [0, interval)."""
    return fraction(job_id) * interval_s


def slot_from(job_id: str, interval_s: float, earliest: float) -> float:
    """Return the job's first slot at or after `earliest`, both in seconds of the loop's clock.

    That clock counts from the boot of the host: slots stay where they are when the daemon restarts, and two
    hosts with one configuration do not knock on the same door in the same moment.
    """
    return slot_at(fraction(job_id), interval_s, earliest)


def slot_at(part: float, interval_s: float, earliest: float) -> float:
    """Return the first slot at or after `earliest` of a job whose `fraction` is known."""
    offset = part * interval_s
    return offset + math.ceil((earliest - offset) / interval_s - _ROUNDING) * interval_s


def slot_after(part: float, asked_s: float, interval_s: float, due: float) -> float:
    """Return the slot that comes after the one at `due`, for a job that is asked every `asked_s` seconds now.

    That may be more than its own interval, `interval_s`. No slot comes sooner than `interval_s` or later than
    `asked_s` after the one before: where the change of pace would leave a longer gap, one more comes at the old pace.
    """
    slot = slot_at(part, asked_s, due + interval_s)
    if asked_s > interval_s and slot - due > asked_s * (1.0 + _ROUNDING):
        return slot_at(part, interval_s, due + interval_s)
    return slot


def first_slot(part: float, interval_s: float, now: float, spread_s: float) -> float:
    """Return when a new job runs first: its wait for its slot, shrunk so that all fit into `spread_s` seconds."""
    wait = slot_at(part, interval_s, now) - now
    return now + wait * min(1.0, spread_s / interval_s)
