"""What `connector-health-netns` is told (which Connector, who may ask), and how that process is found and described.

It reads /proc and /sys/fs/cgroup, and asks Docker over its unix socket; every answer is bounded.
Source: proc(5), cgroups(7), Docker Engine API (/containers/json, /containers/ID/json).
"""

import argparse
import contextlib
import ctypes
import errno
import grp
import http.client
import json
import os
import pwd
import re
import select
import signal
import socket
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

MAX_TEXT = 1 << 16
MAX_ENVIRON = 1 << 17
MAX_DOCKER = 1 << 22  # the list of some thousand containers
DOCKER_S = 1.0  # of silence
FIND_S = 4.0  # Docker, asked a few questions; a search through /proc takes milliseconds
MAX_ANSWER = 1024
PR_SET_PDEATHSIG = 1
IMAGE = re.compile(r"(.*/)?twingate/connector([:@].*)?")
IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{12,64}")  # what Docker lists when the tag has moved on to another image
CGROUPS = ("/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified")  # version 2, 1, both
SETTING = re.compile(rb"(?:^|\0)(TWINGATE_(?:NETWORK|URL|DNS|METRICS_PORT|(?:LOG|LABEL)_\w{1,40}))=([^\0]{0,512})")
LIBC = ctypes.CDLL(None, use_errno=True)
READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """What the one who asks is told: the kind of error, one clause, and a number when the kernel made no socket."""


def call(function: str, *arguments: object) -> int:
    """Call the C library. Raises: OSError."""
    if (result := int(getattr(LIBC, function)(*arguments))) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read_text(path: str, folder: int | None = None) -> str:
    """Return the beginning of a small file, `folder` being an open directory. Raises: OSError."""
    with os.fdopen(os.open(path, READ, dir_fd=folder), "rb", buffering=0) as file:
        return file.read(MAX_TEXT).decode("utf-8", "replace")


def mark(pid: int, place: int, own: int) -> dict[str, Any]:
    """Return what tells this process from the next one; `place` is its /proc/PID, `own` our network. Raises: OSError.

    `started` is in clock ticks after boot.
    """
    there = os.stat("ns/net", dir_fd=place)
    started = int(read_text("stat", place).rpartition(")")[2].split()[19])
    return {
        "pid": pid,
        "started": started,
        "namespace": there.st_ino,
        "own": os.path.samestat(there, os.fstat(own)),
    }


def state(place: int) -> dict[str, Any]:
    """Return descriptors, sysctl and settings of the process in whose network we stand. Raises: OSError."""
    groups = [int(group) for group in read_text("/proc/sys/net/ipv4/ping_group_range").split()]
    return {"fds": descriptors(place), "ping_group_range": groups, "environment": settings(place)}


def descriptors(place: int) -> tuple[int, int]:
    """Return how many descriptors a process has open, and how many it may. Raises: OSError."""
    limit = int(read_text("limits", place).partition("Max open files")[2].split()[0])
    used = os.stat("fd", dir_fd=place).st_size  # since Linux 6.2
    if not used:
        folder = os.open("fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
        try:
            used = len(os.listdir(folder))  # noqa: PTH208 - of a descriptor
        finally:
            os.close(folder)
    return used, limit


def settings(place: int) -> dict[str, str]:
    """Return of a process's environment what may be known; nothing else is ever copied out of the buffer."""
    raw = bytearray(MAX_ENVIRON)
    with os.fdopen(os.open("environ", READ, dir_fd=place), "rb", buffering=0) as file:
        size = file.readinto(raw)
    found = {name.decode(): value.decode("utf-8", "replace") for name, value in SETTING.findall(raw, 0, size)[:32]}
    raw[:] = bytes(len(raw))
    return found


def apart(find: Callable[[], int], within_s: float = FIND_S) -> int:
    """Return what `find` returns, run in a child that holds no capability: it parses what others say.

    Raises: Refusal, the child's or that it did not answer.
    """
    ours, theirs = os.pipe2(os.O_CLOEXEC)
    if not (child := os.fork()):
        _answer(find, theirs)
    os.close(theirs)
    with os.fdopen(ours, "rb") as answer:
        if not select.select([answer], [], [], within_s)[0]:
            os.kill(child, signal.SIGKILL)
        said = answer.read(MAX_ANSWER)  # ends with the child, which is all that writes
    os.waitpid(child, 0)
    found = json.loads(said or '["permission_denied", "the search for the Connector did not end"]')
    if isinstance(found, list):
        raise Refusal(*found)
    return int(found)


def _answer(find: Callable[[], int], pipe: int) -> NoReturn:
    """Give up every capability, look, write the pid or the refusal, and end; never return to the parent's code."""
    try:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        if ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)()) != 0:
            os._exit(1)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)  # it holds the listening socket, as a fork does
        try:
            said: object = find()
        except Refusal as refusal:
            said = refusal.args
        os.write(pipe, json.dumps(said).encode()[:MAX_ANSWER])
    finally:
        os._exit(0)


def of_container(path: str, name: str) -> int:
    """Return a container's first process; without a name, of the only one that runs the Connector's image."""
    try:
        names = [name] if name else [c["Id"] for c in _ask(path, "/containers/json") if _runs_connector(path, c)]
        if len(names) > 1:
            text = f"{len(names)} containers run twingate/connector: choose one by --container NAME"
            raise Refusal("permission_denied", text)
        state = _ask(path, f"/containers/{quote(names[0], safe='')}/json")["State"] if names else {"Running": False}
        if state["Running"]:
            return int(state["Pid"])
    except FileNotFoundError as error:
        raise Refusal("permission_denied", f"there is no Docker at {path}") from error
    except PermissionError as error:
        raise Refusal("permission_denied", f"this helper may not ask Docker at {path}") from error
    except (OSError, http.client.HTTPException, RecursionError) as error:
        raise Refusal("permission_denied", f"Docker at {path} does not answer") from error
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise Refusal("permission_denied", f"Docker at {path} answers what can't be understood") from error
    raise Refusal("not_running", f"Docker runs no container {name or 'of the image twingate/connector'}")


def of_unit(unit: str) -> int:
    """Return the first process of a systemd unit, in whatever slice it is."""
    for top in CGROUPS:
        for folder, names, _ in os.walk(top):
            if unit in names:
                for file in (Path(folder, unit, "cgroup.procs"), *Path(folder, unit).glob("*/cgroup.procs")):
                    with contextlib.suppress(OSError):
                        if pids := file.read_text().split():
                            return int(pids[0])
            names[:] = sorted(name for name in names if name.endswith(".slice"))
    raise Refusal("not_running", f"no process belongs to the unit {unit}")


def of_process(name: str) -> int:
    """Return the oldest of the processes called `name` (executable or comm), which must all descend from it."""
    parents = {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = read_text(f"{place}/stat").rpartition(")")[2].split()
            # comm has 15 characters at most: cut like that, twingate-connector and twingate-connectorctl are the same
            named = read_text(f"{place}/comm") == f"{name}\n"
            named = named or (place / "exe").readlink().name.removesuffix(" (deleted)") == name
            if named and fields[0] not in "ZX":
                parents[int(place.name)] = int(fields[1])
    trees = [pid for pid, parent in parents.items() if parent not in parents]
    if len(trees) > 1:
        raise Refusal("permission_denied", f"{len(trees)} processes are called {name}: choose by --container or --unit")
    if not trees:
        raise Refusal("not_running", f"no process is called {name}")
    return trees[0]


def _ask(path: str, url: str) -> Any:  # noqa: ANN401 - JSON
    connection = http.client.HTTPConnection("docker")
    with contextlib.closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
        connection.sock.settimeout(DOCKER_S)
        connection.sock.connect(path)
        connection.request("GET", url)
        with connection.getresponse() as answer:
            body = answer.read(MAX_DOCKER)
    return {"State": {"Running": False}} if answer.status == http.client.NOT_FOUND else json.loads(body)


def _runs_connector(path: str, listed: dict[str, str]) -> bool:
    image = listed["Image"]
    if IMAGE_ID.fullmatch(image):
        image = _ask(path, f"/containers/{listed['Id']}/json")["Config"]["Image"]
    return IMAGE.fullmatch(image) is not None


def options_parser() -> argparse.ArgumentParser:
    """Return what the command line may say; its manual page is made of it, too."""
    parser = argparse.ArgumentParser(
        "connector-health-netns", description="Hands out sockets of one Connector's network."
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--container", nargs="?", const="", help="without a name: the one that runs twingate/connector")
    which.add_argument("--unit", help="a systemd unit")
    which.add_argument("--process", help="the name of an executable")
    parser.add_argument("--docker-host", default="unix:///var/run/docker.sock")
    door = parser.add_mutually_exclusive_group()
    door.add_argument("--socket", help="where to listen (mode 0660); not needed when systemd hands a socket over")
    door.add_argument("--fd", type=int, help="one end of a connected socket pair; we end when the other end is closed")
    parser.add_argument("--group", help="the group that may connect to --socket")
    parser.add_argument("--user", action="append", default=[], type=_user, help="who may ask, besides root")
    return parser


def arguments() -> tuple[Callable[[], int], socket.socket, set[int]]:
    """Return how to find the Connector, the socket to serve, and the users who may ask."""
    parser = options_parser()
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # its exception could come while we stand in the other network
    if not options.docker_host.startswith("unix://"):
        parser.error(
            "--docker-host must begin with unix://: only on this host has a container's process a place in /proc"
        )
    find = partial(apart, partial(of_container, options.docker_host.removeprefix("unix://"), options.container))
    if options.unit or options.process:
        find = partial(of_unit, options.unit) if options.unit else partial(of_process, options.process)
    try:
        if options.fd is not None:
            made = socket.socket(fileno=options.fd)
        elif os.environ.get("LISTEN_PID") == str(os.getpid()):
            made = socket.socket(fileno=3)
        elif options.socket:
            made = _listen(options.socket, options.group)
        else:
            parser.error("one of --socket and --fd is needed, or a socket from systemd")
    except (OSError, LookupError) as error:
        parser.error(f"the socket can't be had: {error}")
    if (made.family, made.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        parser.error("the socket is not a unix socket of packets (ListenSequentialPacket=)")
    return find, made, {0, os.getuid(), *options.user}


def _user(text: str) -> int:
    try:
        return int(text) if text.isdigit() else pwd.getpwnam(text).pw_uid
    except KeyError as error:
        raise argparse.ArgumentTypeError(f"there is no user {text!r}") from error


def _listen(path: str, group: str | None) -> socket.socket:
    """Make the listening socket; one that a helper left behind is replaced. Raises: OSError, LookupError."""
    made = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mask = os.umask(0o117)
    try:
        # Any file refuses a connection: only a socket is one that a helper left behind.
        if made.connect_ex(path) == errno.ECONNREFUSED and stat.S_ISSOCK(os.lstat(path).st_mode):
            Path(path).unlink()
        made.bind(path)
        if group:  # of the socket itself, should somebody have put a link in its place
            os.chown(path, -1, grp.getgrnam(group).gr_gid, follow_symlinks=False)
        made.listen()
    except (OSError, LookupError):
        made.close()
        raise
    finally:
        os.umask(mask)
    return made
