"""Questions in the form in which they are sent. Plain names are encoded here; any other name is left to the codec.

The codec (dnspython) costs 60 ms and 6 MiB when it is first imported: whoever asks for plain names only, and gets plain
answers, never does.
"""

import re
from functools import lru_cache

MAX_KEPT = 16384  # 10,000 names, and what a search list makes of some: about 6 MB; more are encoded each time
MAX_NAME = 253  # characters without the final dot: 255 bytes as it is sent (RFC 1035 section 2.3.4)

_PLAIN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63})*\.?", re.ASCII)
_KINDS = {"A": b"\0\1", "NS": b"\0\2", "AAAA": b"\0\x1c"}
_IN = b"\0\1"
# Recursion desired, one question. No EDNS: see checks.net.dnswire.
_HEADER = b"\1\0\0\1\0\0\0\0\0\0"


class Question:
    """One question: `name` is the name as it was given, `tail` the message to send, all but the two bytes of its id.

    There may be one for each of 10,000 names, so it holds nothing that can be told from these.
    """

    __slots__ = ("_shown", "kind", "name", "tail")

    def __init__(self, name: str, kind: str, tail: bytes, shown: str = "") -> None:
        self.name = name
        self.kind = kind
        self.tail = tail
        self._shown = shown

    @property
    def asked(self) -> bytes:
        """Its question section, in lower case."""
        return self.tail[len(_HEADER) :].lower()  # no length byte and no type is a letter

    @property
    def shown(self) -> str:
        """Its name as people write it, without the final dot."""
        return self._shown or self.name.removesuffix(".")


@lru_cache(maxsize=MAX_KEPT)
def question(name: str, kind: str) -> Question:
    """Return the question for the records of type `kind` of an absolute name.

    Raises: ValueError, when `name` can't be a DNS name.
    """
    number = _KINDS.get(kind)
    if number is None or not (_plain(name) or name == "."):
        from checks.net.dnscodec import encode  # noqa: PLC0415 - see above

        return Question(name, kind, *encode(name, kind))
    if name == ".":
        return Question(name, kind, _HEADER + b"\0" + number + _IN, shown=name)
    labels = b"".join(len(label).to_bytes(1) + label for label in name.removesuffix(".").encode().split(b"."))
    return Question(name, kind, _HEADER + labels + b"\0" + number + _IN)


def why_impossible(name: str) -> str:
    """Say why `name` can't be a DNS name; empty when it can."""
    if _plain(name):
        return ""
    from checks.net.dnscodec import why_impossible as ask_codec  # noqa: PLC0415 - see above

    return ask_codec(name)


def _plain(name: str) -> bool:
    """Tell whether a name is letters, digits, hyphens and underscores, and as short as it must be."""
    return len(name) <= MAX_NAME and _PLAIN.fullmatch(name) is not None
