"""A bounded memory of endpoints that were seen in use: since when, how often, on how many days. It survives restarts.

Each entry has a numbered slot, and its slot is the key under which it is kept in the store: so the store is bounded
as the memory is, whatever is seen. What was read from the store is as little trusted as a log line.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from checks.model import Json

ENOUGH_DAYS = 2  # seen on two days, it was no accident
ENOUGH_TIMES = 10  # nor when it was seen so often
FORGET_S = 7 * 86400.0
WRITE_S = 60.0  # an entry in constant use is written no more often than this; a change of its activity at once
SLACK_S = 300.0  # a time further ahead of our clock than this is of a clock that was set back since
_DAY_S = 86400.0
_MOST = 10**12  # no honest count or Unix time is larger
_MAX_TEXT = 253  # of a name or a pattern

Recall = Callable[[str], Json]
Remember = Callable[[str, Json], None]


@dataclass(slots=True)
class Entry:
    """One endpoint, and the `group` to which it belongs. Times: Unix seconds. `days` counts UTC dates."""

    slot: int
    group: str
    address: str
    port: int
    first_at: float
    last_at: float
    days: int = 1
    count: int = 1
    active: bool = False
    unsaved: bool = True
    written_at: float = 0.0  # or, as long as it was never saved, when it was first noted
    saved: bool = False

    @property
    def enough(self) -> bool:
        """Tell whether it was seen often enough to be more than an accident."""
        return self.days >= ENOUGH_DAYS or self.count >= ENOUGH_TIMES

    def saw(self, at: float) -> None:
        """Count one more use, not earlier than the last."""
        self.count += 1
        self.days += int(at // _DAY_S) != int(self.last_at // _DAY_S)
        self.last_at = at
        self.unsaved = True


class Seen:
    """Keeps at most `size` entries. `version` grows whenever the set of active ones changes.

    Active: seen often enough, and not longer ago than `lasting_s`. An active entry is never pushed out; it goes when
    it was not used for FORGET_S. `alone`: all entries belong to one group, which then may fill the whole.
    """

    def __init__(self, prefix: str, size: int, lasting_s: float, recall: Recall, remember: Remember) -> None:
        self.version = 0
        self.alone = True
        self._prefix = prefix
        self._size = size
        self._lasting_s = lasting_s
        self._recall, self._remember = recall, remember
        self._entries: dict[tuple[str, int], Entry] = {}
        self._free = list(range(size - 1, -1, -1))

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._entries.values(), key=lambda e: (e.group, e.first_at, e.address, e.port)))

    def note(self, group: str, address: str, port: int, at: float, now: float) -> None:
        """Count one use at `at`, which is not in the future.

        What is older than the last use seen was counted before (a log is read again after our own restart).
        """
        at = min(at, now)
        if not at >= now - FORGET_S:  # not-a-number is no time either
            return
        entry = self._entries.get((address, port))
        if entry is None:
            slot = self._slot_for(group)
            if slot is None:
                return
            entry = Entry(slot, group, address, port, first_at=at, last_at=at, written_at=now)
            self._entries[address, port] = entry
        elif at >= entry.last_at:
            entry.saw(at)
        self._judge(entry, now)

    def tick(self, now: float) -> None:
        """Let go of what was not used for long, and write what is due."""
        for entry in tuple(self._entries.values()):
            if entry.last_at > now + SLACK_S:
                entry.first_at, entry.last_at = min(entry.first_at, now), now
            if now - entry.last_at > FORGET_S:
                self._forget(entry)
                continue
            self._judge(entry, now)
            if entry.unsaved and abs(now - entry.written_at) >= WRITE_S:
                self._write(entry, now)

    def flush(self, now: float) -> None:
        """Write all that is not written yet."""
        for entry in self._entries.values():
            if entry.unsaved:
                self._write(entry, now)

    def keep(self, allowed: Callable[[Entry], bool]) -> None:
        """Forget what is no longer allowed."""
        for entry in tuple(self._entries.values()):
            if not allowed(entry):
                self._forget(entry)

    def restore(self, now: float, allowed: Callable[[Entry], bool]) -> None:
        """Read the slots; what is malformed, doubled, too old or not allowed is removed from the store as well."""
        for slot in range(self._size):
            key = f"{self._prefix}{slot}"
            value = self._recall(key)
            if value is None:
                continue
            entry = _entry(slot, value, now)
            if entry is None or (entry.address, entry.port) in self._entries or not allowed(entry):
                self._remember(key, None)
                continue
            self._free.remove(slot)
            self._entries[entry.address, entry.port] = entry
            self._judge(entry, now, write=False)

    def _slot_for(self, group: str) -> int | None:
        """Return a slot for a new entry of a group, or None when it has to do without.

        A group takes no more slots than it leaves free, so that one which sees 10,000 names a minute leaves room for
        the others. What is full makes room by the entry that was not seen for longest and is not active.
        """
        mine = [e for e in self._entries.values() if e.group == group]
        if self._free and (self.alone or len(mine) < len(self._free)):
            return self._free.pop()
        pool = mine or self._entries.values()
        victim = min((e for e in pool if not e.active), key=lambda e: e.last_at, default=None)
        if victim is None:
            return None
        self._forget(victim)
        return self._free.pop()

    def _judge(self, entry: Entry, now: float, *, write: bool = True) -> None:
        active = entry.enough and now - entry.last_at <= self._lasting_s
        if active is not entry.active:
            entry.active = active
            self.version += 1
            if write:
                self._write(entry, now)

    def _forget(self, entry: Entry) -> None:
        del self._entries[entry.address, entry.port]
        self._free.append(entry.slot)
        self.version += entry.active
        if entry.saved:
            self._remember(f"{self._prefix}{entry.slot}", None)

    def _write(self, entry: Entry, now: float) -> None:
        entry.unsaved, entry.saved, entry.written_at = False, True, now
        value: Json = {
            "group": entry.group, "address": entry.address, "port": entry.port, "first_at": entry.first_at,
            "last_at": entry.last_at, "days": entry.days, "count": entry.count,
        }  # fmt: skip
        self._remember(f"{self._prefix}{entry.slot}", value)


def _entry(slot: int, value: Json, now: float) -> Entry | None:
    """Make an entry of what lies in the store; None unless every field is what we could have written, and not old."""
    if not isinstance(value, Mapping):
        return None
    group, address = _text(value.get("group")), _text(value.get("address"))
    port, days, count = (_whole(value.get(name)) for name in ("port", "days", "count"))
    first_at, last_at = _time(value.get("first_at"), now), _time(value.get("last_at"), now)
    if group is None or address is None or first_at is None or last_at is None:
        return None
    if port is None or days is None or count is None or port > 65535 or days > count:
        return None
    spanned = int(last_at // _DAY_S) - int(first_at // _DAY_S) + 1
    if first_at > last_at or days > spanned or now - last_at > FORGET_S:
        return None
    entry = Entry(slot, group, address, port, first_at, last_at, days, count)
    entry.unsaved, entry.saved, entry.written_at = False, True, now
    return entry


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) and len(value) <= _MAX_TEXT else None


def _whole(value: Json) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST else None


def _time(value: Json, now: float) -> float | None:
    """Read a Unix time; one that is ahead of our clock counts as now."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _MOST:
        return None
    return min(float(value), now)
