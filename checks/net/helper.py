"""A first form, so that what stands on it can be tested: it finds nothing yet."""

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from checks.model import Reason
from checks.net.errors import SeatError


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperState:
    """Placeholder."""

    pid: int
    started: int
    namespace: int
    own: bool
    fds: tuple[int, int] | None = None
    ping_group_range: tuple[int, int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)


class HelperClient:
    """Placeholder."""

    def __init__(self, path: str | None = None, sock: socket.socket | None = None) -> None:
        del path, sock

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """Placeholder."""
        raise SeatError(Reason.PERMISSION_DENIED, f"no helper ({family}, {kind})")

    def state(self) -> HelperState:
        """Placeholder."""
        raise SeatError(Reason.PERMISSION_DENIED, "no helper")

    def close(self) -> None:
        """Placeholder."""


def start_helper(arguments: Sequence[str]) -> HelperClient:
    """Placeholder."""
    del arguments
    return HelperClient()
