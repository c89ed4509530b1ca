"""From Docker's records to whole lines, each with the place from which to go on after it."""

import re
from dataclasses import dataclass
from typing import Final

from checks.connlog.model import LogUnreadableError, RawLine
from checks.connlog.rejoin import Rejoin
from checks.runtime.docker_frames import NOT_A_LOG, PART_BYTES
from checks.runtime.docker_time import NS, parse_time

MAX_LINE = 256 << 10  # a line of ANALYTICS has about 2 KiB; what is longer than this is cut
# A container's two streams are stamped before they are written into one file, each by its own thread: a record may
# stand behind one with a later time. So a cursor leads back at least this far, and tells how many records to leave out.
OVERLAP_NS = NS
_CURSOR: Final = re.compile(r"(\d{1,19}):(\d{1,9}):(\d{1,19})\Z", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a log: after the first `count` records that are not older than `base`, the latest of them at `last`.

    Times are nanoseconds since the epoch.
    """

    base: int = 0
    count: int = 0
    last: int = 0

    def __str__(self) -> str:
        return f"{self.base}:{self.count}:{self.last}"


def parse_place(cursor: str) -> Place | None:
    """Parse a cursor; None when it is none of ours."""
    match = _CURSOR.match(cursor)
    return Place(base=int(match[1]), count=int(match[2]), last=int(match[3])) if match else None


class Lines:
    """Puts the records together that follow a place. They must begin with the first that is not older than its base."""

    def __init__(self, place: Place) -> None:
        self._rejoin = Rejoin(MAX_LINE + 1)
        self._skip, self._skip_until = place.count, place.last
        # Two places are counted at once: the older leads back far enough, the newer is to follow it.
        self._base, self._count = place.base, 0
        self._next_base, self._next_count = place.base, 0
        self._last = 0
        self._stamp, self._second = b"", 0  # nearly every record is of the same second as the one before
        self.cut = 0

    def add(self, stream: int, record: bytes) -> RawLine | None:
        """Add a record; return the line that it completes. Raises: LogUnreadableError."""
        time, text = self._split(record)
        self._note(time)
        if self._skip:
            if time <= self._skip_until:
                self._skip -= 1
                return None
            self._skip = 0  # what is missing of them was deleted when Docker began a new file
        goes_on = len(text) >= PART_BYTES and not text.endswith(b"\n")
        line = self._rejoin.add(_STREAMS[stream], text, goes_on=goes_on)
        if line is None:
            return None
        if len(line) > MAX_LINE:
            self.cut += 1
            line = line[:MAX_LINE]
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        return RawLine(at=time / NS, text=line, cursor=f"{self._base}:{self._count}:{self._last}")

    def _split(self, record: bytes) -> tuple[int, bytes]:
        if record[:19] == self._stamp and record[29:31] == b"Z " and (digits := record[20:29]).isdigit():
            return self._second + int(digits), record[31:]
        stamp, blank, text = record.partition(b" ")
        time = parse_time(stamp.decode("ascii", "replace"))
        if time is None or not blank:
            raise LogUnreadableError(NOT_A_LOG)
        if record[29:31] == b"Z ":
            self._stamp, self._second = record[:19], time - time % NS
        return time, text

    def _note(self, time: int) -> None:
        self._last = max(self._last, time)
        self._count += 1
        if time >= self._next_base:
            self._next_count += 1
        if self._last - self._next_base >= OVERLAP_NS:
            self._base, self._count = self._next_base, self._next_count
            self._next_base, self._next_count = self._last + 1, 0


_STREAMS: Final = (b"0", b"1", b"2", b"3")
