"""How the pages of `healthctl explain` are laid out: folded paragraphs, indented commands, columns of words."""

import re
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 100  # columns a paragraph is folded at: wider, it is hard to read
_COMMAND = re.compile(r"`[^`]+`")
_TIED = "\N{NO-BREAK SPACE}"  # where textwrap never folds
_ACROSS = 3  # columns of words


def folded(text: str, first: str = "", rest: str = "") -> str:
    """Fold a paragraph; a command between back quotes stays on one line, to be copied as it is."""
    kept = _COMMAND.sub(lambda command: command[0].replace(" ", _TIED), text)
    filled = textwrap.fill(
        kept, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
    return filled.replace(_TIED, " ")


def items(texts: Iterable[str]) -> str:
    """Return a list, each text folded."""
    return "\n".join(folded(text, "  - ", "    ") for text in texts)


def commands(lines: Iterable[str]) -> str:
    """Return commands, one a line, never folded."""
    return "\n".join(f"    {line}" for line in lines)


def columns(words: Sequence[str]) -> str:
    """Return the words in rows of three columns, or fewer where they are long."""
    width = max(len(word) for word in words) + 2
    across = max(1, min(_ACROSS, WIDTH // width))
    rows = [words[i : i + across] for i in range(0, len(words), across)]
    return "\n".join("  " + "".join(word.ljust(width) for word in row).rstrip() for row in rows)
