"""The one place that makes text from outside harmless to a terminal, a log line and a page."""

import unicodedata
from collections.abc import Mapping

from checks.model import Json

MAX_TEXT = 500  # longest text from outside that is ever kept: more is not read by anyone, and could be endless


def printable(text: str, limit: int = MAX_TEXT) -> str:
    r"""Return `text` with control, ANSI, bidi and invisible characters as `\x1b`-like escapes, cut at `limit`."""
    if not (text.isascii() and text.isprintable()):
        text = "".join(c if _harmless(c) else _escape(c) for c in text[: limit + 1])
    return text if len(text) <= limit else text[: limit - 1] + "…"


def printable_json(value: Json) -> Json:
    """Return a JSON value with `printable` applied to every string in it."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {printable(k): printable_json(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return tuple(printable_json(v) for v in value)
    return value


def _harmless(char: str) -> bool:
    return char.isprintable() and unicodedata.category(char) != "Cf"


def _escape(char: str) -> str:
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
