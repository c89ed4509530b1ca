"""Listening sockets: TCP and unix, made so that every failure names the address and what to do about it."""

import errno
import os
import shlex
import socket
import stat
from collections.abc import Collection
from pathlib import Path

from checks.net.endpoint import Endpoint

SOCKET_MODE = 0o660  # contract: who may use the daemon's socket is in its group
CONNECT_S = 0.5  # to find out whether somebody still listens on a left-over socket file


class WebError(Exception):
    """The web server can't start; the text names the address and the fix. `later`: time alone may mend it."""

    def __init__(self, text: str, *, later: bool = False) -> None:
        super().__init__(text)
        self.later = later


def bind_tcp(endpoint: Endpoint, all_endpoints: Collection[Endpoint]) -> socket.socket:
    """Return a bound socket. `[::]` takes IPv4 too, unless 0.0.0.0 is listed with the same port. Raises: WebError."""
    host = "127.0.0.1" if endpoint.host == "localhost" else endpoint.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if not (endpoint.literal or endpoint.host == "localhost"):
        raise WebError(f"web.listen: {endpoint} needs an IP address (127.0.0.1, 0.0.0.0, [::1], [::]), not a name")
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _tcp_error(endpoint, error) from error
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart must not wait for TIME_WAIT
        if family == socket.AF_INET6:
            alone = host != "::" or Endpoint("0.0.0.0", endpoint.port) in all_endpoints
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, alone)
        sock.bind((host, endpoint.port))
        # Two daemons that start at once can both bind: only listening tells.
        sock.listen()
    except OSError as error:
        sock.close()
        raise _tcp_error(endpoint, error) from error
    return sock


def bind_unix(path: str) -> tuple[socket.socket, int]:
    """Return a listening unix socket of mode 0660, and its inode. A left-over of a dead process is replaced.

    Raises: WebError when somebody listens there, or something other than a socket is in the way.
    """
    _make_way(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.settimeout(0)
        sock.bind(path)
        Path(path).chmod(SOCKET_MODE)  # before it listens: until then nobody can connect, whatever the umask allowed
        sock.listen()
        return sock, Path(path).lstat().st_ino
    except OSError as error:
        sock.close()
        raise _unix_error(path, error) from error


def remove_own_socket(path: str, inode: int) -> None:
    """Remove the socket file if it is still the one that we made."""
    try:
        if Path(path).lstat().st_ino == inode:
            Path(path).unlink()
    except OSError:
        return  # gone, or its directory is: what we wanted


def _make_way(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unix_error(path, error) from error
    if not stat.S_ISSOCK(mode):
        raise WebError(f"web.socket: {path} exists and is no socket; remove it, or choose another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_S)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)  # nobody listens: left by a process that was killed
        except OSError as error:
            raise _unix_error(path, error) from error
        else:
            raise WebError(
                f"web.socket: a process listens on {path}: another instance? Choose another path, or stop it; "
                f"find it with: ss -lxp src {shlex.quote(path)}"
            )


def _tcp_error(endpoint: Endpoint, error: OSError) -> WebError:
    if error.errno == errno.EADDRINUSE:
        why = (
            "is in use by another process (another instance?): choose another port, or stop it; "
            f"find it with: ss -ltnp 'sport = :{endpoint.port}'"
        )
    elif error.errno in (errno.EACCES, errno.EPERM):
        why = "may not be used by this user: choose a port from 1024 upwards, or grant CAP_NET_BIND_SERVICE"
    elif error.errno == errno.EADDRNOTAVAIL:
        why = "is no address of this host, or not yet (a VPN): choose one that is; list them with: ip -brief address"
    elif error.errno == errno.EAFNOSUPPORT:
        why = "needs IPv6, which this host has switched off: choose an IPv4 address"
    else:
        why = f"can't be listened on: {error.strerror or error}"
    return WebError(f"web.listen: {endpoint} {why}", later=error.errno == errno.EADDRNOTAVAIL)


def _unix_error(path: str, error: OSError) -> WebError:
    if error.errno == errno.ENOENT:
        directory = shlex.quote(str(Path(path).parent))
        why = f"its directory does not exist; with systemd set RuntimeDirectory=, else: mkdir {directory}"
    elif error.errno in (errno.EACCES, errno.EPERM):
        why = "this user may not create it there: change the directory's owner, or choose another path"
    elif error.errno is None:
        why = f"{error}; choose a shorter path"
    else:
        why = f"{error.strerror or error}"
    return WebError(f"web.socket: {path}: {why}")
