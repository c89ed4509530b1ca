"""CAP_NET_RAW is used while the process starts, and is gone before anything is listened to."""

import contextlib
import re
import tempfile
from pathlib import Path

import pytest

from tests.support.process import daemon, healthctl, quiet_config
from tests.support.servers import find, require
from tests.support.tcp import silent

NET_RAW = 1 << 13
READ_SEARCH = 1 << 2  # CAP_DAC_READ_SEARCH: the interpreter may lie where an ordinary user can't read
HELD = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
AS_NOBODY = ("--reuid=65534", "--regid=65534", "--clear-groups")


def capabilities(pid: int) -> list[dict[str, int]]:
    """Return the capability sets of every thread of a process."""
    found = []
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        lines = re.findall(r"^(Cap\w+):\s+(\S+)$", status.read_text(), re.MULTILINE)
        found.append({name: int(held, 16) for name, held in lines})
    return found


def own() -> dict[str, int]:
    """Return our own capability sets."""
    return {name: int(held, 16) for name, held in re.findall(
        r"^(Cap\w+):\s+(\S+)$", Path("/proc/self/status").read_text(), re.MULTILINE
    )}  # fmt: skip


def raw_sockets(pid: int) -> int:
    """Return how many raw sockets a process has open."""
    tables = "".join(Path(f"/proc/{pid}/net/{name}").read_text() for name in ("raw", "raw6"))
    inodes = {line.split()[9] for line in tables.splitlines() if ":" in line.split()[0]}
    found = 0
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found += link.readlink().name.removeprefix("socket:[").rstrip("]") in inodes
    return found


def test_the_daemon_drops_it_and_shows_so(tmp_path: Path) -> None:
    """As root: no thread has it in any set, no child can get it, all else is as before, and the sockets are there."""
    require("root")
    with daemon(quiet_config(tmp_path, "resources: []")) as process:
        pid = process.popen.pid
        for held in capabilities(pid):
            assert not any(held[name] & NET_RAW for name in HELD)
            assert held["CapEff"] == own()["CapEff"] & ~NET_RAW
        assert raw_sockets(pid) == 2
        (line,) = [line for line in process.log.splitlines() if "CAP_NET_RAW" in line]
        assert "level=info" in line
        effective = f"{capabilities(pid)[0]['CapEff']:016x}"
        assert f"CapEff={effective}" in line


@pytest.mark.parametrize("granted", [True, False])
def test_an_ordinary_user_uses_it_when_it_is_granted(granted: bool) -> None:
    """As systemd grants it (AmbientCapabilities=CAP_NET_RAW): two raw sockets; without it none, and the log says so."""
    require("root", "setpriv")
    caps = "+dac_read_search,+net_raw" if granted else "+dac_read_search"
    grant = (f"--inh-caps=-all,{caps}", f"--ambient-caps=-all,{caps}")
    before = (find("setpriv") or "", *AS_NOBODY, *grant, "--")
    with tempfile.TemporaryDirectory() as name:  # pytest's own are for root alone
        folder = Path(name)
        folder.chmod(0o777)
        with daemon(quiet_config(folder, "resources: []"), before=before) as process:
            pid = process.popen.pid
            for held in capabilities(pid):
                assert {held[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {READ_SEARCH}
            assert raw_sockets(pid) == (2 if granted else 0)
            assert ("CAP_NET_RAW is dropped" in process.log) is granted
            assert "CAP_NET_RAW" in process.log


def test_a_containers_root_can_not_get_it_back(tmp_path: Path) -> None:
    """Root with few rights can't touch its bounding set: then nothing that it starts gains any right (no_new_privs)."""
    require("root", "setpriv")
    before = (find("setpriv") or "", "--bounding-set=-all,+net_raw,+dac_override", "--inh-caps=-all", "--")
    with daemon(quiet_config(tmp_path, "resources: []"), before=before) as process:
        pid = process.popen.pid
        for held in capabilities(pid):
            assert not any(held[name] & NET_RAW for name in HELD if name != "CapBnd")
        assert raw_sockets(pid) == 2
        assert "\nNoNewPrivs:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def test_check_drops_it_too(tmp_path: Path) -> None:
    """`healthctl check` as root opens its raw sockets, and has the right no more while it looks."""
    require("root")
    with silent() as port:
        more = f"resources: [{{name: A, address: 127.0.0.1, tcp: [{port}]}}]\nprobing: {{allow: [127.0.0.0/8]}}"
        config = quiet_config(tmp_path, more)
        with healthctl(tmp_path, "check", "--config", str(config), "--timeout", "20s") as process:
            pid = process.popen.pid
            process.until(lambda: raw_sockets(pid) == 2, "opened its raw sockets")
            process.until(lambda: not any(h["CapEff"] & NET_RAW for h in capabilities(pid)), "dropped the right")
            for held in capabilities(pid):
                assert not any(held[name] & NET_RAW for name in HELD if name != "CapBnd")
