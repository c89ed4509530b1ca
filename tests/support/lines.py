"""Connections of users, as the reader of the Connector's log hands them on."""

from typing import Any

from checks.connlog.model import ConnectionKind, ConnectionSeen


def established(at: float, address: str, port: int | None = 443, **more: Any) -> ConnectionSeen:  # noqa: ANN401 - fields
    """Make a connection that came about, over TCP."""
    fields = {"protocol": "tcp", "path": "direct", **more}
    return ConnectionSeen(at=at, kind=ConnectionKind.ESTABLISHED, address=address, port=port, **fields)


def failed(at: float, address: str, port: int | None = 443, *, dns: bool = False, **more: Any) -> ConnectionSeen:  # noqa: ANN401
    """Make a connection that failed: at the port, or at the name."""
    kind = ConnectionKind.DNS_LOOKUP_ERROR if dns else ConnectionKind.UNABLE_TO_CONNECT
    return ConnectionSeen(at=at, kind=kind, address=address, port=port, **{"protocol": "tcp", **more})
