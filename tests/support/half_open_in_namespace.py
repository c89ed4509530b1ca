"""Half-open probes of one port, as a process of its own: to be started inside a network namespace.

Arguments: address, port, how many. Prints how many were judged how, as JSON. One after the other: of two at the same
time the second would share the packet of the first.
"""

import asyncio
import json
import sys
from collections import Counter

from checks.half_open import HalfOpen
from checks.net.rawtcp import open_reserved
from checks.net.seat import open_socket

TIMEOUT_S = 5.0


async def probe(address: str, port: int, probes: int) -> Counter[str]:
    """Probe, and return how often each judgement was made."""
    judged: Counter[str] = Counter()
    half_open = HalfOpen(open_reserved, open_socket)
    try:
        for _ in range(probes):
            (attempt,) = await half_open.attempt_all((address,), port, TIMEOUT_S)
            judged["accepted" if attempt.accepted else str(attempt.error and attempt.error.reason)] += 1
    finally:
        half_open.close()
    return judged


if __name__ == "__main__":
    print(json.dumps(asyncio.run(probe(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))  # noqa: T201 - its answer
