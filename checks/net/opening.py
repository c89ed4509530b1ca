"""Opening a file in whose place somebody may have put something else."""

import os


def at_once(name: str, flags: int) -> int:
    """Open without waiting, for `open(…, opener=at_once)`: a named pipe nobody writes to would block for ever.

    By way of `opener`, for `os.fdopen` leaves the descriptor of a directory open when it refuses it: a daemon that
    looks every few seconds runs out of them.
    """
    return os.open(name, flags | os.O_NONBLOCK)
