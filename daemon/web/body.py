"""Bodies: compressed in small slices, because the event loop that does it also times the probes."""

import asyncio
import zlib

MIN_GZIP_BYTES = 1024  # below this the packet is as full either way
LEVEL = 1  # of 1 to 9: already 10 to 20 times smaller for metrics; higher levels cost several times the CPU for little
SLICE_BYTES = 262144  # 1 to 2 ms of compression: no more than that may a probe's clock be late
_GZIP_WINDOW = 31  # zlib's way to say: with a gzip header, the largest window


async def compress(body: bytes) -> bytes:
    """Return the body as gzip, letting other tasks run after each slice."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    parts = []
    for start in range(0, len(body), SLICE_BYTES):
        parts.append(packer.compress(body[start : start + SLICE_BYTES]))
        await asyncio.sleep(0)
    parts.append(packer.flush())
    return b"".join(parts)
