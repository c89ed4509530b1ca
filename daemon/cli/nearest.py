"""What to say about a word that is none of the known ones."""

from collections.abc import Iterable

from checks.net.text import printable

MAX_LINE = 2000  # characters: the longest action that the runner lets through
SIMILARITY = 0.6  # of difflib: lower, the suggestion is noise


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """Return one sentence: what is unknown, and the nearest known words, if any are near."""
    from difflib import get_close_matches  # noqa: PLC0415 - only a typo needs it

    known = list(known)
    lower = {k.lower(): k for k in known}
    near = [lower[k] for k in get_close_matches(word.lower(), lower, n=2, cutoff=SIMILARITY)]
    sentence = f"unknown {kind} '{safe(word)}'"
    if near:
        quoted = [f"'{safe(word)}'" for word in near]
        return f"{sentence}: did you mean {' or '.join(quoted)}?"
    return f"{sentence}; known: {', '.join(safe(k) for k in known[:40])}" if known else f"{sentence}: there is none"


def safe(text: str) -> str:
    """Make text of a command line, a file or the network one line that does nothing to a terminal."""
    return printable(text, MAX_LINE)
