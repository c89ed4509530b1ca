"""Putting together the lines that a log's carrier has split because they were long."""

MAX_STREAMS = 16  # streams with a line begun at the same time: a container has two, a unit one or two


class Rejoin:
    """Holds the begun lines, one for each stream, at most `most_bytes` of each: what is longer is cut."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._begun: dict[bytes, bytearray] = {}

    @property
    def pending(self) -> bool:
        """Whether any line is begun and not ended."""
        return bool(self._begun)

    def add(self, stream: bytes, part: bytes, *, goes_on: bool) -> bytes | None:
        """Add a part; return the whole line once it has ended (`goes_on` false), else None."""
        begun = self._begun.pop(stream, None)
        if begun is None and not goes_on:
            return part[: self._most_bytes]
        begun = bytearray() if begun is None else begun
        begun += part[: self._most_bytes - len(begun)]
        if not goes_on:
            return bytes(begun)
        if len(self._begun) >= MAX_STREAMS:  # its writer is gone, or it was never one: the oldest is given up
            del self._begun[next(iter(self._begun))]
        self._begun[stream] = begun
        return None
