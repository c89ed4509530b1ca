"""What may be done on a stream: colour, progress, and how wide its lines are."""

import os
import unicodedata
from typing import TextIO

MIN_WIDTH = 40  # columns: narrower, nothing can be laid out, and the terminal folds it as well as we could
MAX_WIDTH = 120  # columns: longer lines are hard to read, whatever the terminal could hold


def fancy(stream: TextIO) -> bool:
    """Tell whether colour and progress may be written: to a terminal that did not say no."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """Return how many columns to lay out for; None off a terminal, where a line is never folded."""
    if not stream.isatty():
        return None
    return max(MIN_WIDTH, min(MAX_WIDTH, terminal_columns()))


def terminal_columns() -> int:
    """Return how wide the terminal is, as COLUMNS or the kernel say."""
    import shutil  # noqa: PLC0415 - it brings every kind of archive along, and off a terminal nobody asks

    return shutil.get_terminal_size().columns


def columns(text: str) -> int:
    """Return how many columns a terminal uses for `text` (which is printable): wide characters two, accents none."""
    if text.isascii():
        return len(text)
    return sum(_columns(char) for char in text)


def _columns(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in ("W", "F") else 1


def pad(text: str, width: int) -> str:
    """Return `text` filled with spaces to `width` columns."""
    return text + " " * (width - columns(text))
