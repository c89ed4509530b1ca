"""The address of this host from which packets to a destination leave, as the kernel decides it."""

import ctypes
import errno
import os
import socket

from checks.net.seat import SocketFactory

_DISCARD = 9  # a datagram socket that is connected sends nothing: the port is not even looked at
_AF_UNSPEC = bytes(16)  # struct sockaddr


class SourceFinder:
    """Asks the kernel by connecting a datagram socket, the same one again and again; nothing is sent."""

    def __init__(self, open_socket: SocketFactory) -> None:
        self._open_socket = open_socket
        self._sock: socket.socket | None = None
        self._library = ctypes.CDLL(None, use_errno=True)

    def find(self, address: str) -> bytes:
        """Return the source for an IPv4 address, 4 bytes. Raises: OSError, as connect() of TCP would; SeatError."""
        sock = self._sock
        if sock is None:
            sock = self._sock = self._open_socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.connect((address, _DISCARD))
            found: str = sock.getsockname()[0]
        except PermissionError as error:
            raise OSError(self._kind_of_refusal(sock, address, error), "no TCP connection can go there") from error
        finally:
            self._release(sock)
        return socket.inet_aton(found)

    def close(self) -> None:
        """Close the socket; the next question makes another."""
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()

    def _kind_of_refusal(self, sock: socket.socket, address: str, error: OSError) -> int:
        """Tell a broadcast address from a route that says `prohibit`: for both a datagram socket has EACCES."""
        self._release(sock)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.connect((address, _DISCARD))
        except OSError:
            return error.errno or errno.EACCES
        finally:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 0)
        return errno.ENETUNREACH

    def _release(self, sock: socket.socket) -> None:
        """Undo the connecting: the source that it chose would bind the next one. Python's connect() can't do that."""
        if self._library.connect(sock.fileno(), _AF_UNSPEC, len(_AF_UNSPEC)) != 0:
            number = ctypes.get_errno()
            self.close()
            raise OSError(number, os.strerror(number))
