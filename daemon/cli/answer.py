"""The daemon's document, as far as one may trust it: somebody else may listen on that port."""

from typing import Any, Literal, cast

import msgspec

from checks.model import CheckName, Json, Status
from daemon.document import Document, Learned, Row
from daemon.moments import clock, unix_time
from daemon.report import harmless
from daemon.state import State

MAX_FACTS = 64 * 1024  # bytes: facts of a row that is shown are a hundredth of it
_SHOWN = CheckName.CONNECTOR  # of this check only the facts are read

# The facts are not taken apart before somebody wants them: with them a stranger could make us build endless objects.
_ROW_HINTS: dict[str, Any] = Row.__annotations__ | {
    "check": CheckName, "status": Status, "state": State | None, "facts": msgspec.Raw,
}  # fmt: skip
_LATER = (
    "connector_log", "learned", "predictions", "alerts", "changes", "flap", "flapping", "probing", "slowed_to_seconds",
)  # fmt: skip
"""What a daemon that was not restarted since the last update does not say yet, of itself and of a row."""


def _struct(name: str, hints: dict[str, Any]) -> type[msgspec.Struct]:
    return msgspec.defstruct(
        name,
        [(key, hint) for key, hint in hints.items() if key not in _LATER]
        + [(key, hint | None, None) for key, hint in hints.items() if key in _LATER],
    )


_Row = _struct("Row", _ROW_HINTS)
_HINTS: dict[str, Any] = Document.__annotations__ | {
    "schema": Literal[1], "status": Status, "checks": list[_Row],  # type: ignore[valid-type]
}  # fmt: skip
_Whole = _struct("Document", _HINTS)


def read_document(body: bytes) -> Document:
    """Return the document of schema 1 in an answer. Raises: ValueError with one clause, when it is none."""
    try:
        found = msgspec.json.decode(body, type=_Whole)
        whole = {name: getattr(found, name) for name in _HINTS}
        whole["checks"] = [_row(row) for row in whole["checks"]]
        whole["changes"] = whole["changes"] or []
        whole["learned"] = whole["learned"] or Learned(relays=[], samples=[])
        for text in _times(whole):
            clock(unix_time(text))  # both must be able to tell it
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise ValueError(f"its answer is no document of schema 1: {error}") from error
    return cast("Document", whole)


def as_json(body: bytes, *, indent: int) -> str:
    """Write an answer that `read_document` accepted as JSON text that no terminal obeys; -1 writes it on one line."""
    return harmless(msgspec.json.format(body, indent=indent).decode("utf-8", "replace"))


def _row(found: Any) -> dict[str, Any]:  # noqa: ANN401 - a struct made at run time
    row = {name: getattr(found, name) for name in _ROW_HINTS}
    row["facts"] = _facts(found.facts) if found.check is _SHOWN else {}
    return row


def _facts(raw: msgspec.Raw) -> dict[str, Json]:
    if len(raw) > MAX_FACTS:
        return {}
    return cast("dict[str, Json]", msgspec.json.decode(raw, type=dict[str, Any]))


def _times(whole: dict[str, Any]) -> list[str]:
    """Return every time that the document tells."""
    log, predictions, alerts = whole["connector_log"], whole["predictions"], whole["alerts"]
    times = [whole["started_at"], *(one["since"] for one in (*whole["checks"], *whole["diagnosis"]))]
    times += [one["at"] for one in whole["changes"]]
    if alerts is not None:
        times += [one["starts_at"] for one in alerts["active"]] + [one["fires_at"] for one in alerts["pending"]]
        times += [one["failing_since"] for one in alerts["alertmanagers"]]
    if log is not None:
        times += [log["last_line_at"], log["state_at"], log["token_at"]]
        times += [one["since"] for one in log["nameservers_down"]] + [one["last_at"] for one in log["causes"]]
    if predictions is not None:
        times += [one["at"] for one in predictions["disagreements"]]
    return [text for text in times if text is not None]
