"""The document written in steps and in pieces: some 20 MB at 30,000 rows, which nobody needs to have in one string."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from daemon.document import Document
from daemon.report import harmless
from daemon.sketch import entire
from daemon.slices import Steps, batches

BATCH = 40  # rows made and written between two looks at the clock: each is ten times the work of others
PIECE_CHARS = 65536
_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def text_steps(whole: Document) -> Steps[list[bytes]]:
    """Return what `encode` writes without indentation, in UTF-8, in pieces that are to be sent in turn."""
    pieces: list[bytes] = []
    waiting: list[str] = []
    size = 0
    for part in _parts(whole):
        waiting.append(part)
        size += len(part)
        if size >= PIECE_CHARS:
            pieces.append(harmless("".join(waiting)).encode())
            waiting, size = [], 0
        yield
    pieces.append(harmless("".join(waiting)).encode())
    return pieces


def _parts(whole: Mapping[str, Any]) -> Iterator[str]:
    mark = "{"
    for key, value in whole.items():
        yield f"{mark}{_JSON.encode(key)}: "
        if isinstance(value, list):
            yield from _listed(value)
        else:
            yield _JSON.encode(value)
        mark = ", "
    yield "}"


def _listed(entries: Sequence[Any]) -> Iterator[str]:
    mark = "["
    for batch in batches(entries, BATCH):
        yield mark + _JSON.encode([entire(entry) for entry in batch])[1:-1]
        mark = ", "
    yield "]" if entries else "[]"
