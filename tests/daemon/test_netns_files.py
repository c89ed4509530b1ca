"""connector-health-netns: the files of a Connector that may be hostile, and the tables of its network."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from checks.model import Reason
from checks.net.errors import SeatError
from checks.net.helper import HelperClient
from tests.support.netns import Namespace, namespace
from tests.support.seat_helper import Stander, helper, open_descriptors, stander
from tests.support.servers import find

SECRET = "planted-secret"


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    """A network namespace with an address of its own."""
    with namespace() as made:
        made.run("ip addr add 10.99.7.1/32 dev lo")
        made.run("ip -6 addr add 2001:db8:7::1/128 dev lo nodad")
        yield made


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory, space: Namespace) -> Iterator[Stander]:
    """A running stand-in whose root has a /proc, as a container's has."""
    with stander(tmp_path_factory.mktemp("standin")) as made:
        mount, umount = find("mount") or "mount", find("umount") or "umount"
        subprocess.run([mount, "-t", "proc", "proc", str(made.root / "proc")], check=True, timeout=20)
        try:
            made.start(space, {"TWINGATE_ACCESS_TOKEN": SECRET})
            yield made
        finally:
            subprocess.run([umount, "--lazy", str(made.root / "proc")], check=True, timeout=20)


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, watched: Stander) -> Iterator[tuple[HelperClient, int]]:
    """A helper that watches it: a client, and the helper's process id."""
    with helper(tmp_path_factory.mktemp("helper"), "--process", watched.name) as (path, pid):
        client = HelperClient(path)
        yield client, pid
        client.close()


@contextlib.contextmanager
def etc(watched: Stander, name: str) -> Iterator[Path]:
    """Yield the path of a file of its /etc, moved aside for the block."""
    path = watched.root / "etc" / name
    path.rename(path.with_suffix(".aside"))
    try:
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            path.unlink() if not path.is_dir() or path.is_symlink() else path.rmdir()
        path.with_suffix(".aside").rename(path)


def test_its_files_are_read(beside: tuple[HelperClient, int]) -> None:
    """resolv.conf, hosts and hostname are those of its own root."""
    client = beside[0]
    assert client.read_file("resolv.conf") == "nameserver 10.77.0.2\nsearch corp.internal\n"
    assert (client.read_file("hosts"), client.read_file("hostname")) == ("10.77.0.2 db\n", "standin\n")


@pytest.mark.parametrize(
    "target", ["../run/resolv.conf", "/run/resolv.conf", "../../../../../run/resolv.conf", "/run/link"]
)
def test_links_lead_nowhere_but_into_its_root(beside: tuple[HelperClient, int], watched: Stander, target: str) -> None:
    """systemd-resolved and others make resolv.conf a link: absolute, relative, several steps, never out of the root."""
    (watched.root / "run").mkdir(exist_ok=True)
    (watched.root / "run/resolv.conf").write_text("nameserver 10.0.0.9\n")
    with contextlib.suppress(FileExistsError):
        (watched.root / "run/link").symlink_to("/run/resolv.conf")
    with etc(watched, "resolv.conf") as path:
        path.symlink_to(target)
        assert beside[0].read_file("resolv.conf") == "nameserver 10.0.0.9\n"


def device(path: Path) -> None:
    """Make /dev/zero."""
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))


def unix_socket(path: Path) -> None:
    """Make a socket's file."""
    os.chdir(path.parent)  # the whole path may be longer than a unix socket's may be
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(path.name)


HOSTILE: dict[str, Callable[[Path], object]] = {
    "environment": lambda path: path.symlink_to("/proc/self/environ"),
    "environment of another": lambda path: path.symlink_to(f"/proc/{os.getpid()}/environ"),
    "magic link": lambda path: path.symlink_to("/proc/self/fd/0"),
    "root of another": lambda path: path.symlink_to(f"/proc/{os.getpid()}/root/etc/shadow"),
    "kernel log": lambda path: path.symlink_to("/proc/kmsg"),
    "sysctl": lambda path: path.symlink_to("/proc/sys/kernel/ostype"),
    "fifo": os.mkfifo,
    "device": device,
    "folder": Path.mkdir,
    "socket": unix_socket,
    "1 MiB": lambda path: path.write_bytes(b"nameserver 10.0.0.1\n" * 52429),
    "64 KiB and a byte": lambda path: path.write_bytes(b"#" * 65537),
    "loop": lambda path: path.symlink_to(path.name),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_no_small_file_is_refused(beside: tuple[HelperClient, int], watched: Stander, kind: str) -> None:
    """A hostile root gets nothing opened but small regular files: no device, no fifo, nobody's environment."""
    home = Path.cwd()
    with etc(watched, "hosts") as path:
        try:
            HOSTILE[kind](path)
        finally:
            os.chdir(home)
        before = open_descriptors(beside[1])
        with pytest.raises(SeatError) as caught:
            beside[0].read_file("hosts")
        assert caught.value.reason is Reason.PERMISSION_DENIED
        assert SECRET not in caught.value.evidence
        assert open_descriptors(beside[1]) <= before, "one of an earlier connection may just be closing"


@pytest.mark.parametrize("target", [None, "/etc/nothing", "/../../../../etc/hostname-of-nobody", "/proc/self/nothing"])
def test_a_missing_file_is_missing(beside: tuple[HelperClient, int], watched: Stander, target: str | None) -> None:
    """A file that does not exist is no refusal: the defaults count then, as they do to libc."""
    with etc(watched, "hosts") as path:
        if target:
            path.symlink_to(target)
        with pytest.raises(FileNotFoundError):
            beside[0].read_file("hosts")


def test_a_link_out_of_the_root_finds_nothing_of_ours(beside: tuple[HelperClient, int], watched: Stander) -> None:
    """/etc/passwd behind a link is the Connector's, which has none; ours is never opened."""
    assert Path("/etc/passwd").exists()
    with etc(watched, "hosts") as path:
        path.symlink_to("../../../../../../etc/passwd")
        with pytest.raises(FileNotFoundError):
            beside[0].read_file("hosts")


def test_exactly_64_kib_are_read(beside: tuple[HelperClient, int], watched: Stander) -> None:
    """The bound itself is allowed."""
    with etc(watched, "hosts") as path:
        path.write_bytes(b"#" * 65536)
        assert len(beside[0].read_file("hosts")) == 65536


def test_the_tables_are_those_of_its_network(beside: tuple[HelperClient, int], space: Namespace) -> None:
    """Addresses and devices are the namespace's, and the daemon reads them without privilege through the descriptor."""
    client = beside[0]
    assert "20010db8000700000000000000000001" in client.read_net("if_inet6")
    assert client.read_net("route") == space.run("cat /proc/net/route")
    assert client.read_net("ipv6_route").splitlines()[0] == space.run("cat /proc/net/ipv6_route").splitlines()[0]
    assert [line.split(":")[0].strip() for line in client.read_net("dev").splitlines()[2:]] == ["lo"]
