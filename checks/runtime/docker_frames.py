"""What `GET /containers/ID/logs?timestamps=1` sends: records, each a timestamp, a blank and at most 16 KiB of a line.

Without a terminal each record is a frame: one byte for the stream, three zeros, four bytes of length. With a terminal
records follow each other bare. A longer line comes as several records with the same timestamp, of which only the last
ends with a newline, and with the log driver `local` (20.10) not even that one; the last one is always shorter.
Source: Docker Engine API, ContainerAttach, "Stream format"; daemon/logger/copier.go (16 KiB); seen with 20.10.
"""

from collections.abc import Iterator
from typing import Final, Protocol

from checks.connlog.model import LogUnreadableError

PART_BYTES = 16384  # where Docker splits a line
MAX_FRAME = PART_BYTES * 4  # a record has at most PART_BYTES, a timestamp, a blank and a newline
_HEADER = 8
_SYSTEM_ERROR = 3
_MAX_STAMP = 36  # 2006-01-02T15:04:05.999999999+07:00 and a blank
_ZEROS: Final = b"\0\0\0"
NOT_A_LOG = "what Docker sends is not a container's log"


class Records(Protocol):
    """Takes the bytes of the body and gives whole records, each with the number of its stream."""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the records that are complete now. Raises: LogUnreadableError."""

    def end(self) -> Iterator[tuple[int, bytes]]:
        """Yield the record that the end of the body has completed."""


class FramedRecords:
    """Records in frames: of a container without a terminal."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the records that are complete now. Raises: LogUnreadableError."""
        held = self._held
        held += data
        at, size = 0, len(held)
        while size - at >= _HEADER:
            stream, length = held[at], int.from_bytes(held[at + 4 : at + _HEADER], "big")
            if stream > _SYSTEM_ERROR or held[at + 1 : at + 4] != _ZEROS or length > MAX_FRAME:
                raise LogUnreadableError(NOT_A_LOG)
            if stream == _SYSTEM_ERROR:
                raise LogUnreadableError("Docker can't read the log file it has written itself (docker logs shows it)")
            end = at + _HEADER + length
            if end > size:
                break
            yield stream, bytes(held[at + _HEADER : end])
            at = end
        del held[:at]

    def end(self) -> Iterator[tuple[int, bytes]]:
        """Yield nothing: half a frame is no record."""
        yield from ()


class BareRecords:
    """Records without frames: of a container with a terminal, which has one stream."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield the records that are complete now. Raises: LogUnreadableError."""
        held = self._held
        held += data
        at, size = 0, len(held)
        while at < size:
            start = held.find(b" ", at, at + _MAX_STAMP) + 1
            if start == 0:
                if size - at >= _MAX_STAMP:
                    raise LogUnreadableError(NOT_A_LOG)
                break
            newline = held.find(b"\n", start, start + PART_BYTES)
            if newline < 0 and size - start < PART_BYTES:
                break
            end = newline + 1 if newline >= 0 else start + PART_BYTES
            yield 0, bytes(held[at:end])
            at = end
        del held[:at]

    def end(self) -> Iterator[tuple[int, bytes]]:
        """Yield the last record, whose line was never ended."""
        if self._held:
            yield 0, bytes(self._held)
            self._held.clear()
