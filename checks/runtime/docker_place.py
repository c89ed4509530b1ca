"""Whether a container shares this process's network namespace, as far as we may see."""

from pathlib import Path

from checks.runtime import procfs

RESOLV_CONF = "/etc/resolv.conf"


def is_process_of(container: str, pid: int, proc: Path = procfs.PROC) -> bool:
    """Tell whether the process of that number here is the container's.

    Docker tells numbers of its own namespace; seen from another container they are other processes, or none.
    """
    return pid > 0 and container in procfs.text(proc / str(pid) / "cgroup")


def own_namespace(
    *, container: str, pid: int, network_mode: str, resolv_conf: str, proc: Path = procfs.PROC
) -> bool | None:
    """Tell whether the container's network namespace is our own; None where it can't be told.

    `container` is its full id, `pid` its process in the namespace of process ids where Docker lives (0: none),
    `resolv_conf` the path on Docker's host of the resolv.conf that it is given.
    """
    if is_process_of(container, pid, proc):
        shared = procfs.shares_network(proc, pid)
        if shared is not None:
            return shared
    mounted = _resolv_conf_here(proc)
    if mounted is not None:
        # Containers that share a network (network_mode: service:…, either way round) are given one and the same file.
        if resolv_conf and resolv_conf.endswith(mounted):
            return True
        return None if network_mode == "host" else False
    return network_mode == "host"


def _resolv_conf_here(proc: Path) -> str | None:
    """Return which file of Docker's is mounted as our resolv.conf (its path from …/containers on); None: none is."""
    for line in procfs.text(proc / "self/mountinfo").splitlines():
        words = line.split(
            " ", 5
        )  # source: proc(5), mountinfo: the fourth is the root of the mount, the fifth its place
        if len(words) == 6 and words[4] == RESOLV_CONF and "/containers/" in words[3]:
            return "/containers/" + words[3].rpartition("/containers/")[2]
    return None
