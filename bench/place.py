"""Where the benchmark stands: in a network of its own if it may, so that neither can disturb the other."""

import ctypes
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
PORTS = "1024 65535"  # every connection leaves a port in TIME_WAIT for a minute: the usual 28,000 would be the limit
SERVERS = range(9000, 10_000)  # ports of our own servers, which the kernel gives to no client
FURNITURE = (
    "link set lo up",
    "link add bench0 type veth peer name bench1",
    "link set bench1 up",
    "link set bench0 up",
    "address add 10.255.77.1/24 dev bench0",
    "route add default dev bench0",
)
"""A link that leads nowhere: on a host without any the daemon would say so, and ask for no names."""
PUNCTUATION = str.maketrans("", "", "(),")
SILENT = "127.64.0.0/10"
"""What can be made silent: a part of 127/8 that `silence` drops."""


class NotMeasuredError(Exception):
    """A figure can't be had here; the text says why."""


def own_network() -> bool:
    """Move this process, and all that it starts, into a new and empty network; tell whether that was allowed.

    Without root that needs user namespaces. The network vanishes with its last process. May be called again.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWNET) != 0:
        if os.geteuid() == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
            return False
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    for command in FURNITURE:
        subprocess.run([find("ip", "iproute2"), *command.split()], check=True, capture_output=True, timeout=20)
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(PORTS)
    Path("/proc/sys/net/ipv4/ip_local_reserved_ports").write_text(f"{SERVERS[0]}-{SERVERS[-1]}")
    return True


def silence() -> None:
    """Drop what comes to the addresses of SILENT: nothing answers there any more. Only ever in a network of our own.

    Raises: NotMeasuredError without nft.
    """
    rules = f"table inet bench {{ chain in {{ type filter hook input priority 0; ip daddr {SILENT} drop; }}; }}"
    nft = find("nft")
    done = subprocess.run([nft, rules], capture_output=True, text=True, check=False, timeout=20)
    if done.returncode != 0:
        raise NotMeasuredError(f"nft: {done.stderr.strip()}")


def find(program: str, package: str = "") -> str:
    """Return the path of a program; Debian keeps servers where a user's PATH does not look.

    Raises: NotMeasuredError, with the package to install.
    """
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise NotMeasuredError(f"needs {program}" + (f" (apt-get install {package})" if package else ""))
    return found


def machine() -> dict[str, str | int]:
    """Describe the machine and what was measured on it; nothing that tells whose it is."""
    model = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]  # fmt: skip
    memory_kib = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count() or 0,
        "processor": model[0] if model else platform.machine(),
        "memory_mib": memory_kib // 1024,
        "kernel": platform.release().partition("-")[0],
        "python": platform.python_version(),
        **{name: version for name in ("prometheus", "prometheus-blackbox-exporter", "unbound", "cc")
           if (version := _version(name))},
    }  # fmt: skip


def _version(program: str) -> str:
    """Return the version of a program, empty when it is not there."""
    try:
        argv = [find(program), "-V" if program == "unbound" else "--version"]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=20)
    except NotMeasuredError:
        return ""
    words = (done.stdout + done.stderr).partition("\n")[0].translate(PUNCTUATION).split()
    return next((word for word in words if word[:1].isdigit() and "." in word), "")
