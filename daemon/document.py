"""The report's JSON document as types, keys in the order in which they are written."""

from typing import TypedDict

from checks.model import Json


class Row(TypedDict):
    """One row of the document; times are RFC 3339 in UTC, durations seconds."""

    id: str
    check: str
    target: str
    resource: str | None
    resources: list[str]
    status: str
    reason: str | None
    event: str | None
    summary: str
    action: str
    started_at: str
    duration_seconds: float
    state: str | None
    since: str | None
    suppressed_by: str | None
    measurements: dict[str, float | None]
    facts: dict[str, Json]


class Document(TypedDict):
    """The whole document, keys in the order in which they are written."""

    schema: int
    version: str
    connector: str
    remote_network: str
    vantage: str
    confidence: str
    started_at: str
    duration_seconds: float
    status: str
    summary: str
    checks: list[Row]
    diagnosis: list[Json]
