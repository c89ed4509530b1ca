"""What is wrong with a configuration, where, and how it is told."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from checks.net.text import printable

Path = tuple[str | int, ...]
"""Where a value stands: keys, and positions in lists counted from 0."""

MAX_PROBLEMS = 500  # more are not read by anyone; a broken file of 8 MiB could hold a million
_MAX_KEY = 60  # a key longer than this is none of ours; its start is enough to find it
_MAX_SHOWN = 80  # of a wrong value: enough to recognise it in an editor
_MAX_GUESSED = 40  # our longest key has 22 letters; nobody mistypes so much
_SECRETS = (  # in a URL, with its scheme or without: never shown, also where they are an error
    (re.compile(r"://.*@", re.DOTALL), "://<secret>@"),
    (re.compile(r"^[^/@\s]*:(?!//)[^@]*@"), "<secret>@"),
    (re.compile(r"(?<=://)([^?]*)\?.+", re.DOTALL), r"\1?<secret>"),
)
_MAX_MESSAGE = 1000  # the longest message lists all keys of a section: about 500 characters


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. `line` and `column` count from 1; line 0 means that it belongs to no place in a file."""

    file: str
    line: int
    column: int
    path: str
    message: str

    def __str__(self) -> str:
        place = f"{printable(self.file)}:{self.line}:{self.column}" if self.line else printable(self.file)
        where = f"{place}: {self.path}" if self.path else place
        return f"{where}: {printable(self.message, _MAX_MESSAGE)}"


class ConfigError(Exception):
    """The configuration can't be used; `problems` are all that is wrong with it, in the order of the file."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = in_order(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Return the problems by their position in the file, each once."""
    return tuple(sorted(dict.fromkeys(problems), key=lambda p: (p.file, p.line, p.column, p.path, p.message)))


class BadValueError(ValueError):
    """A value is not what its key takes.

    `expected` takes the place of the usual description where more can be said; `hint` that of the whole sentence.
    """

    def __init__(self, what: str, expected: str | None = None, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.hint = hint


def path_text(path: Path) -> str:
    """Write a path as `resources[2].tcp[0]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            key = key_text(step)
            text += f".{key}" if text else key
    return text


def key_text(key: str) -> str:
    """Write a key: as it is when it is a word, else in quotes, cut and escaped."""
    shown = printable(key, _MAX_KEY)
    return shown if shown.replace("-", "_").isidentifier() or shown.isdigit() else f'"{shown}"'


def value_text(value: object) -> str:
    """Write a scalar of the file for a message: text in quotes, cut and escaped."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = str(value)
    for found, instead in _SECRETS:
        text = found.sub(instead, text)
    return f'"{printable(text, _MAX_SHOWN)}"'


def choices_text(choices: Iterable[str]) -> str:
    """Write `a, b or c`."""
    *most, last = choices
    return f"{', '.join(most)} or {last}" if most else last


def key_hint(key: str, valid: Iterable[str]) -> str:
    """Tell which keys could have been meant: the nearest one, else all of them."""
    import difflib  # noqa: PLC0415 - needed only when something is wrong; start-up time is a feature

    known = list(valid)
    folded = key.strip().lower().replace("-", "_")
    near = difflib.get_close_matches(folded, known, n=1, cutoff=0.6) if len(key) <= _MAX_GUESSED else []
    if not near:
        by_case = {name.lower(): name for name in known}
        near = [by_case[folded]] if folded in by_case else []
    return f"did you mean {near[0]}?" if near else f"expected one of: {', '.join(known)}"
