"""connector-health-netns: hands out sockets that stand in one Connector's network namespace, and a few of its files.

It has four capabilities so that the daemon needs none, knows only the Connector that its arguments name, and answers
on a unix socket (SOCK_SEQPACKET) JSON objects of at most 256 bytes: {"op": "socket", "family": 2 | 10, "type": 1 | 2},
{"op": "raw", "family"} (answered with the port, held here, of which alone it hears), {"op": "file", "name": of /etc},
{"op": "net", "name": of /proc/PID/net}, {"op": "mark" | "state"}; `id` comes back.
Refused: {"error": not_running | permission_denied | bad_request | not_found | failed, "text", "errno"}.
Source: setns(2), openat2(2), pidfd_open(2), capabilities(7).
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import stat
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any

from checks.net.rawtcp import Reserve
from daemon.netns_target import READ, Refusal, arguments, call, mark, state

MAX_REQUEST, MAX_CLIENTS, MAX_FILE = 256, 8, 1 << 16
LOOK_AGAIN_S, STUCK_S = 0.2, 10  # between searches, however many ask; a request that hangs in the kernel ends us
SOCKETS = [[f, k] for f in (socket.AF_INET, socket.AF_INET6) for k in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
FILES, TABLES = ("resolv.conf", "hosts", "hostname"), ("route", "ipv6_route", "if_inet6", "dev", "arp")
PSEUDO = (0x9FA0, 0x62656572, 0x27E0EB, 0x63677270)  # proc, sysfs, cgroup: "regular" files that tell of processes
# CAP_SYS_ADMIN for setns; CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH for /proc/PID; CAP_NET_RAW for half-open probes
NEEDED = 1 << 21 | 1 << 19 | 1 << 2 | 1 << 13
PLACE, CLONE_NEWNET = os.O_PATH | os.O_CLOEXEC, 0x40000000
REFUSED = b'{"error": "permission_denied", "text": "it admits root, itself and --user, 8 in all"}'


@contextlib.contextmanager
def inside(place: int, own: int, call: Callable[..., int] = call) -> Iterator[None]:
    """Stand in a process's network for the block. Where it can't be left, nothing that we did next would be true."""
    there = os.open("ns/net", READ, dir_fd=place)
    try:
        call("setns", there, CLONE_NEWNET)
    finally:
        os.close(there)
    try:
        yield
    finally:
        try:
            call("setns", own, CLONE_NEWNET)
        except OSError:
            os.abort()


class Connector:
    """The process that is watched. `place` is its open directory in /proc, which never becomes another process's."""

    def __init__(self, find: Callable[[], int]) -> None:
        self.find, self.own = find, os.open("/proc/self/ns/net", READ)
        self.pid, self.place, self.life, self.again, self.why = 0, -1, -1, 0.0, ("", "")
        self.reserve, self.asker = Reserve(), 0

    def gone(self) -> bool:
        """Tell whether the process that was found, if any, has ended."""
        return self.life < 0 or bool(select.select([self.life], [], [], 0)[0])

    def look(self) -> int:
        """Return `place`; of a Connector looked for anew, when the last one has ended. Raises: Refusal."""
        if not self.gone():
            return self.place
        if time.monotonic() >= self.again:
            close(self.place, self.life)
            self.place, self.life, self.why = -1, -1, ("not_running", "the Connector is just starting or ending")
            try:
                self.pid = self.find()
                self.place = os.open(f"/proc/{self.pid}", PLACE)
                self.life = os.pidfd_open(self.pid)
                if self.find() == self.pid and not self.gone():  # its number was not another's meanwhile
                    return self.place
            except (Refusal, OSError) as error:
                self.why = error.args if isinstance(error, Refusal) else self.why
            close(self.life)
            self.life, self.again = -1, time.monotonic() + LOOK_AGAIN_S
        raise Refusal(*self.why)

    def file(self, top: str, path: str) -> int:
        """Open a file of the process's choice: one that everybody may read, and no device. Raises: as `answer`."""
        folder, found, kind = os.open(top, PLACE, dir_fd=self.look()), -1, (ctypes.c_long * 32)()
        try:
            how = (ctypes.c_uint64 * 3)(PLACE, 0, 0x10 | 0x02)  # RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS
            found = call("syscall", 437, folder, path.encode(), how, ctypes.sizeof(how))  # openat2
            call("fstatfs", found, kind)
            status, pseudo = os.fstat(found), top == "root" and kind[0] in PSEUDO
            if not (stat.S_ISREG(m := status.st_mode) and m & stat.S_IROTH) or status.st_size > MAX_FILE or pseudo:
                raise Refusal("permission_denied", "it is no regular file of at most 64 KiB that everybody may read")
            return os.open(f"/proc/self/fd/{found}", READ)
        except FileNotFoundError as error:
            raise Refusal("not_found", "there is no such file") from error
        finally:
            close(folder, found)

    def answer(self, request: dict[str, Any]) -> tuple[dict[str, Any], int]:
        """Return what is asked for, and a descriptor or -1. Raises: Refusal, OSError."""
        place, what, name, kind = self.look(), request.get("op"), request.get("name"), request.get("type")
        kind = [request.get("family"), socket.SOCK_STREAM if what == "raw" else kind]
        if what in ("raw", "socket") and kind in SOCKETS:
            with inside(place, self.own):
                try:
                    if what == "socket":
                        return {}, socket.socket(kind[0], kind[1] | socket.SOCK_NONBLOCK).detach()
                    raw, port = self.reserve.open(os.stat("ns/net", dir_fd=place).st_ino, int(kind[0]), self.asker)
                    return {"port": port}, raw.detach()
                except OSError as error:
                    raise Refusal("failed", error.strerror, error.errno) from error
        if what == "file" and name in FILES:
            return {}, self.file("root", f"etc/{name}")
        if what == "net" and name in TABLES:
            return {}, self.file("net", str(name))
        if what in ("mark", "state"):
            with inside(place, self.own):
                return mark(self.pid, place, self.own) | (state(place) if what == "state" else {}), -1
        raise Refusal("bad_request", "there is no such request")

    def reply(self, data: bytes) -> tuple[dict[str, Any], int]:
        """Return the answer to a request, whatever it is, and a descriptor or -1."""
        number, descriptor = {}, -1
        try:
            request = json.loads(data if len(data) <= MAX_REQUEST else b"")
            number = {"id": request["id"]} if type(request.get("id")) is int else {}
            answer, descriptor = self.answer(request)
        except Refusal as refusal:
            answer = dict(zip(("error", "text", "errno"), refusal.args, strict=False))
        except (ValueError, AttributeError, LookupError):
            answer = {"error": "bad_request", "text": "that is no JSON object of at most 256 bytes"}
        except OSError as error:
            ended = isinstance(error, FileNotFoundError | ProcessLookupError) or self.gone()
            answer = {"error": "not_running" if ended else "permission_denied", "text": error.strerror}
        return answer | number, descriptor


def close(*descriptors: int) -> None:
    """Close those that are open."""
    for each in descriptors:
        if each >= 0:
            os.close(each)


def drop_privileges() -> None:
    """Keep of the capabilities those we need, in every set, for good."""
    with contextlib.suppress(OSError):  # EINVAL ends the kernel's list; EPERM: we have no say in the bounding set
        for number in range(64):
            if not NEEDED >> number & 1:
                call("prctl", 24, number, 0, 0, 0)  # PR_CAPBSET_DROP
    call("prctl", 38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    call("prctl", 47, 4, 0, 0, 0)  # PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL
    header, held = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    call("capget", header, held)  # effective, permitted, inheritable; then the same for the numbers from 32
    call("capset", header, (ctypes.c_uint32 * 6)(held[1] & NEEDED, held[1] & NEEDED, 0, 0, 0, 0))


def exchange(connector: Connector, client: socket.socket) -> bool:
    """Answer one request, without waiting for the client; tell whether it is still there."""
    descriptor, connector.asker = -1, client.fileno() % MAX_CLIENTS  # few ports, and seldom one for two
    try:
        if data := client.recv(MAX_REQUEST + 1, socket.MSG_DONTWAIT):
            reply, descriptor = connector.reply(data)
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("i", descriptor))] if descriptor >= 0 else []
            client.sendmsg([json.dumps(reply).encode()], passed, socket.MSG_DONTWAIT)  # send_fds ignores its flags
        return bool(data)
    except OSError:
        return False
    finally:
        close(descriptor)


def serve(connector: Connector, door: socket.socket, users: set[int]) -> None:
    """Answer whoever of `users` comes in by a listening `door`, or stands behind a connected one."""
    listens, here = door.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN), [door]
    while here:
        for one in select.select(here, [], [])[0]:
            signal.alarm(STUCK_S)  # over recv and close too: what a client passed is closed there, and may linger
            if one is door and listens:
                client = door.accept()[0]
                user = struct.unpack("3i", client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
                if user in users and len(here) <= MAX_CLIENTS:
                    here.append(client)
                else:
                    with client, contextlib.suppress(OSError):
                        client.send(REFUSED, socket.MSG_DONTWAIT)
            elif not exchange(connector, one):
                one.close()
                here.remove(one)
        signal.alarm(0)


def main() -> None:
    """Run until the one client has gone; for ever behind a listening socket."""
    find, door, users = arguments()
    drop_privileges()
    serve(Connector(find), door, users)
