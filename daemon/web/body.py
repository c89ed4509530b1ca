"""Bodies: in pieces, and compressed in a thread, because the event loop also times the probes."""

import zlib
from collections.abc import Sequence
from functools import partial

from checks.blocking import Blocking

MIN_GZIP_BYTES = 1024  # below this the packet is as full either way
LEVEL = 1
"""Of 1 to 9: 50,000 series (5.3 MB) become 358 kB for 9 ms of CPU; at level 4 330 kB for 15 ms, at 6 315 kB for 20."""
SLICE_BYTES = 262144  # a millisecond of compression for each call of the thread
AT_ONCE_BYTES = 65536  # so little is packed sooner than a thread is asked
PACK_S = 20.0  # a slice takes a millisecond: longer means that this process gets no CPU
_GZIP_WINDOW = 31  # zlib's way to say: with a gzip header, the largest window


def length(pieces: Sequence[bytes]) -> int:
    """Return how many bytes there are."""
    return sum(map(len, pieces))


async def compress(pieces: Sequence[bytes], thread: Blocking) -> list[bytes]:
    """Return the pieces as gzip. Raises: BusyError or TimeoutError when the thread does not get to it."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    if length(pieces) <= AT_ONCE_BYTES:
        return [packer.compress(b"".join(pieces)) + packer.flush()]
    packed: list[bytes] = []
    some: list[bytes] = []
    for piece in pieces:
        some.append(piece)
        if length(some) >= SLICE_BYTES:
            packed.append(await thread.call(partial(_pack, packer, some), PACK_S))
            some = []
    packed.append(await thread.call(partial(_pack, packer, some, last=True), PACK_S))
    return packed


def _pack(packer: "zlib._Compress", some: Sequence[bytes], *, last: bool = False) -> bytes:
    packed = packer.compress(b"".join(some))
    return packed + packer.flush() if last else packed
