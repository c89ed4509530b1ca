"""Requests and answers between the daemon and `connector-health-netns`: packets on a unix socket, in order, bounded.

Asking blocks, for at most the time-out: a probe needs its socket now, and a round trip takes less time than a task. An
answer that came too late is known by its number, and what it passed is closed.
"""

import array
import contextlib
import json
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from checks.model import Reason
from checks.net.errors import SeatError

ASK_S = 0.25  # how long the event loop may stand still; a helper that runs answers in a fraction of a millisecond
REST_S = 1.0  # after a silence the helper is left alone: else every probe would stop the loop again
MAX_REST_S = 16.0
SLOW_S = 0.01  # an answer that takes longer holds up the loop for what is beyond it
SLOW_SHARE = 0.1  # of the loop's time, and no more, may go into slow answers
MAX_ANSWER = 1 << 17  # 32 settings of 512 bytes, each byte of them escaped
MAX_TEXT = 200
MAX_PASSED = 4  # one descriptor is expected; the kernel closes what comes beyond these


class HelperWire:
    """The way to one helper: a path, connected to when first asked and after its restarts, or a given socket."""

    def __init__(self, path: str | None, sock: socket.socket | None, clock: Callable[[], float]) -> None:
        self._path = path
        self._sock = sock
        self._clock = clock
        self._buffer = bytearray(MAX_ANSWER)
        self._number = 0
        self._rest_s = REST_S
        self._rests_until = float("-inf")
        self._slow_s, self._slow_at = 0.0, clock()  # time that slow answers took, less what time has forgiven
        self._who = f"the helper at {path}" if path else "the helper"

    @property
    def open(self) -> bool:
        """Tell whether there is a connection."""
        return self._sock is not None

    def ask(self, request: dict[str, Any], *, passes: bool = False, timeout_s: float = ASK_S) -> tuple[Any, int]:
        """Return the answer, and the one descriptor when it `passes` one (else -1).

        Raises: SeatError; FileNotFoundError and other OSErrors as the helper met them.
        """
        now = self._clock()
        if now < self._rests_until:
            raise SeatError(
                Reason.PERMISSION_DENIED, f"{self._who} did not answer lately: is it stopped or overloaded?"
            )
        self._number += 1
        data = json.dumps({**request, "id": self._number}).encode()
        answer, passed = self._exchange(data, now + timeout_s)
        if timeout_s <= ASK_S:  # the wait for its start is meant
            self._note_slowness(now)
        error = answer.get("error") if isinstance(answer, dict) else "strange"
        if error is None and len(passed) == passes:
            return answer, passed[0] if passes else -1
        for each in passed:
            os.close(each)
        raise self.strange() if error in (None, "strange") else self._refusal(answer)

    def _note_slowness(self, began: float) -> None:
        """Leave a helper alone for a while whose answers come just in time: they would hold up the loop for ever."""
        now = self._clock()
        forgiven = (began - self._slow_at) * SLOW_SHARE
        self._slow_s = max(0.0, self._slow_s - forgiven) + max(0.0, now - began - SLOW_S)
        self._slow_at = now
        if self._slow_s > ASK_S:
            self._rests_until = now + self._slow_s / SLOW_SHARE

    def _exchange(self, data: bytes, deadline: float) -> tuple[Any, list[int]]:
        """Send a request and return the answer to it; a connection that broke meanwhile is made anew, once."""
        for again in (True, False):
            fresh = self._sock is None
            sock = self._connected()
            try:
                return self._converse(sock, data, deadline)
            except TimeoutError as error:
                self._rests_until = self._clock() + self._rest_s
                self._rest_s = min(self._rest_s * 2, MAX_REST_S)
                raise SeatError(Reason.PERMISSION_DENIED, f"{self._who} does not answer: is it stopped?") from error
            except OSError as error:
                self.close()
                if fresh or not again or self._path is None:
                    text = f"{self._who} closed the connection: see whether it runs, and its log"
                    raise SeatError(Reason.PERMISSION_DENIED, text) from error
        raise AssertionError  # the second round returns or raises

    def _converse(self, sock: socket.socket, data: bytes, deadline: float) -> tuple[Any, list[int]]:
        """Send, and receive until the answer to this request comes: an earlier one may have come too late."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have said why before it hung up
            sock.settimeout(max(deadline - self._clock(), 0.001))
            sock.send(data)
        while True:
            sock.settimeout(max(deadline - self._clock(), 0.001))
            try:
                answer, passed = self._receive(sock)
            except ConnectionResetError:  # told once, before what it still said
                answer, passed = self._receive(sock)
            self._rest_s = REST_S
            if not isinstance(answer, dict) or answer.get("id", self._number) == self._number:
                return answer, passed
            for each in passed:
                os.close(each)

    def _receive(self, sock: socket.socket) -> tuple[Any, list[int]]:
        """Return one answer, None when it is no JSON, and the descriptors with it. Raises: OSError."""
        room = socket.CMSG_SPACE(MAX_PASSED * array.array("i").itemsize)
        size, ancillary, _, _ = sock.recvmsg_into([self._buffer], room, socket.MSG_CMSG_CLOEXEC)
        passed = array.array("i")
        for level, kind, payload in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                passed.frombytes(payload[: len(payload) - len(payload) % passed.itemsize])
        if not size:
            for each in passed:
                os.close(each)
            raise ConnectionResetError
        try:
            return json.loads(self._buffer[:size]), list(passed)
        except (ValueError, RecursionError):
            return None, list(passed)

    def _connected(self) -> socket.socket:
        if self._sock is not None:
            return self._sock
        if self._path is None:
            raise SeatError(Reason.PERMISSION_DENIED, "the helper has ended")
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.setblocking(False)  # noqa: FBT003 - the method's only argument
            sock.connect(self._path)
        except OSError as error:
            sock.close()
            raise SeatError(Reason.PERMISSION_DENIED, _why_not_connected(error, self._path)) from error
        owner = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
        if owner and os.geteuid() == 0:  # the directory is the daemon user's, no source of sockets for root
            sock.close()
            text = f"{self._who} is no helper of root's but user {owner}'s: root does not ask it"
            raise SeatError(Reason.PERMISSION_DENIED, text)
        self._sock = sock
        return sock

    def close(self) -> None:
        """Hang up."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _refusal(self, answer: Mapping[str, Any]) -> OSError:
        """Return the error for what the helper refused."""
        text, number = str(answer.get("text") or "")[:MAX_TEXT], answer.get("errno")
        match answer["error"]:
            case "not_running":
                return SeatError(Reason.NOT_RUNNING, text or "the Connector does not run")
            case "not_found":
                return FileNotFoundError(text)
            case "failed" if isinstance(number, int):
                return OSError(number, text)
            case _:
                return SeatError(Reason.PERMISSION_DENIED, f"{self._who} says: {text}")

    def strange(self) -> SeatError:
        """Return the error for an answer that is not what was asked for."""
        text = f"{self._who} gave an answer that does not fit: are helper and daemon of one version?"
        return SeatError(Reason.PERMISSION_DENIED, text)


def _why_not_connected(error: OSError, path: str) -> str:
    match error:
        case FileNotFoundError():
            return f"there is no helper at {path}: start connector-health-netns for this Connector"
        case ConnectionRefusedError():
            return f"no helper listens at {path} any more: start connector-health-netns again"
        case PermissionError():
            return f"this user may not connect to {path}: make it a member of the socket's group"
        case _:
            return f"{path} can't be connected to: {error.strerror or error}"
