"""One DNS question over TCP, for an answer that did not fit into a datagram. Source: RFC 7766."""

import asyncio
import secrets
import socket

from checks.model import Reason
from checks.net.answers import Said
from checks.net.dnsquestion import Question
from checks.net.dnsread import TRUNCATED, Missing, read
from checks.net.dnssocket import make_socket, socket_address
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError
from checks.net.seat import SocketFactory


class OverTcp:
    """The question on its way; it remembers how far it came (`progress`), for the time-out's sentence."""

    def __init__(self, open_socket: SocketFactory, nameserver: Endpoint, question: Question) -> None:
        self._open_socket = open_socket
        self._nameserver = nameserver
        self._question = question
        self.progress = "truncated over UDP, and TCP does not connect"
        self.ignored = 0
        self.last_ignored = ""

    async def run(self) -> Said:
        """Exchange until there is an answer; its caller keeps the deadline. Raises: NetError, OSError."""
        loop = asyncio.get_running_loop()
        number = secrets.randbelow(1 << 16)
        wire = number.to_bytes(2) + self._question.tail
        with make_socket(self._open_socket, self._nameserver, socket.SOCK_STREAM) as sock:
            await loop.sock_connect(sock, socket_address(self._nameserver))
            self.progress = "truncated over UDP, and nothing came over TCP"
            await loop.sock_sendall(sock, len(wire).to_bytes(2) + wire)
            while True:
                length = int.from_bytes(await self._receive(sock, 2))
                said = read(self._question, number, await self._receive(sock, length))
                if isinstance(said, Missing):
                    why = f"the answer over TCP is marked as {TRUNCATED.value} too"
                    raise NetError(Reason.MALFORMED_ANSWER, why)
                if not isinstance(said, str):
                    return said
                self.ignored += 1
                self.last_ignored = said
                await asyncio.sleep(0)  # under a flood reading never waits: let the deadline have its turn

    async def _receive(self, sock: socket.socket, length: int) -> bytes:
        """Read exactly `length` bytes. Raises: NetError when the stream ends before; OSError."""
        loop = asyncio.get_running_loop()
        got = bytearray()
        while len(got) < length:
            chunk = await loop.sock_recv(sock, length - len(got))
            if not chunk:
                why = f"the nameserver closed TCP after {len(got)} of {length} bytes"
                raise NetError(Reason.MALFORMED_ANSWER, why)
            got += chunk
            self.progress = f"truncated over UDP, {len(got)} of {length} bytes over TCP"
        return bytes(got)
