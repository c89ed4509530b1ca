"""Asks `connector-health-netns` for sockets and files that stand where the Connector stands.

The helper holds the privilege and answers at once; everything it passes is checked and parsed here.
"""

import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.helper_wire import HelperWire
from checks.net.rawtcp import Ear, is_deaf
from checks.net.seat import MAX_NET_BYTES
from checks.runtime.model import allowed_environment

START_S = 5.0  # an interpreter on a busy host; `healthctl check` waits for it once
CLOSE_S = 1.0
MAX_FILE_BYTES = 1 << 16

_HELPER = "from daemon.netns import main; main()"


@dataclass(frozen=True, slots=True, kw_only=True)
class HelperState:
    """What the helper knows of the Connector's process.

    - `pid`, `started` (clock ticks after boot) and `namespace` (inode of its network) tell it from the next one.
    - `own`: whether the helper itself lives in that network namespace.
    - `fds`: descriptors used and allowed; `ping_group_range`: that sysctl of its network.
    - `environment`: what `allowed_environment` lets through.
    """

    pid: int
    started: int
    namespace: int
    own: bool
    fds: tuple[int, int]
    ping_group_range: tuple[int, int]
    environment: Mapping[str, str]


class HelperClient:
    """One helper: at a path, connected when first asked and again when it was restarted, or behind a given socket."""

    def __init__(
        self, path: str | None = None, sock: socket.socket | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._wire = HelperWire(path, sock, clock)
        self._process: subprocess.Popen[bytes] | None = None

    def open_socket(self, family: int, kind: int) -> socket.socket:
        """Return a non-blocking socket that stands in the Connector's network namespace.

        Raises: SeatError; another OSError when the kernel made no such socket there.
        """
        _, descriptor = self._wire.ask({"op": "socket", "family": int(family), "type": int(kind)}, passes=True)
        try:
            made = socket.socket(fileno=descriptor)
        except OSError as error:
            os.close(descriptor)
            raise self._wire.strange() from error
        if (made.family, made.type) != (family, kind):
            made.close()
            raise self._wire.strange()
        made.settimeout(0)
        return made

    def open_raw(self, family: int) -> Ear:
        """Return a raw TCP socket that stands there and, for good, hears only the answers to a port that is ours.

        The helper chose the port and holds it. Raises: SeatError; another OSError when it has no right to make such a
        socket, or knows no such request.
        """
        answer, descriptor = self._wire.ask({"op": "raw", "family": int(family)}, passes=True)
        try:
            made = socket.socket(fileno=descriptor)
        except OSError as error:
            os.close(descriptor)
            raise self._wire.strange() from error
        port = answer.get("port")
        if not is_deaf(made, family) or type(port) is not int or not 0 < port < 1 << 16:
            made.close()
            raise self._wire.strange()
        made.settimeout(0)
        return Ear(made, port, None)

    def read_file(self, name: str) -> str:
        """Return the text of the Connector's /etc/NAME. Raises: SeatError; FileNotFoundError."""
        return self._text({"op": "file", "name": name}, MAX_FILE_BYTES)

    def read_net(self, name: str) -> str:
        """Return the text of the Connector's /proc/net/NAME. Raises: SeatError; FileNotFoundError."""
        return self._text({"op": "net", "name": name}, MAX_NET_BYTES)

    def mark(self) -> tuple[int, int, int]:
        """Return pid, start and network of the Connector's process; cheaper than `state`. Raises: SeatError."""
        answer, _ = self._wire.ask({"op": "mark"})
        try:
            return int(answer["pid"]), int(answer["started"]), int(answer["namespace"])
        except (OverflowError, LookupError, TypeError, ValueError) as error:
            raise self._wire.strange() from error

    def state(self) -> HelperState:
        """Return what is known of the Connector's process. Raises: SeatError."""
        answer, _ = self._wire.ask({"op": "state"})
        try:
            used, limit = answer["fds"]
            first, last = answer["ping_group_range"]
            return HelperState(
                pid=int(answer["pid"]),
                started=int(answer["started"]),
                namespace=int(answer["namespace"]),
                own=answer["own"] is True,
                fds=(int(used), int(limit)),
                ping_group_range=(int(first), int(last)),
                environment=allowed_environment(f"{name}={value}" for name, value in answer["environment"].items()),
            )
        except (OverflowError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise self._wire.strange() from error

    def close(self) -> None:
        """Leave the helper; one that we started ends by that, and is waited for."""
        self._wire.close()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for_start(self, process: subprocess.Popen[bytes]) -> None:
        """Take charge of a helper that was just started; wait up to START_S seconds for it. Raises: SeatError."""
        self._process = process
        try:
            self._wire.ask({"op": "mark"}, timeout_s=START_S)
        except SeatError:
            if self._wire.open:  # it answered, if only that nobody stands there now
                return
            self.close()
            raise

    def _text(self, request: dict[str, Any], bound: int) -> str:
        _, descriptor = self._wire.ask(request, passes=True)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_size > bound:
                raise self._wire.strange()
            data = bytearray()
            try:
                while len(data) < bound and (piece := file.read(bound - len(data))):
                    data += piece
            except OSError as error:
                raise SeatError(
                    Reason.PERMISSION_DENIED, f"{request['name']} can't be read: {error.strerror}"
                ) from error
        return data.decode("utf-8", "replace")


def start_helper(arguments: Sequence[str]) -> HelperClient:
    """Start a helper of our own and return it: `arguments` name the Connector, as `--container NAME`.

    Waits up to START_S seconds for it, so call it before anything runs. `close` ends it. Raises: SeatError, OSError.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    client = HelperClient(sock=ours)
    try:
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-I", "-c", _HELPER, "--fd", str(theirs.fileno()), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C is for us; it ends when we close its socket
                env={},
            )
    except BaseException:
        client.close()
        raise
    client.wait_for_start(process)
    return client
