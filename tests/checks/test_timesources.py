from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from checks.timesources import MAX_SERVERS, discover


def write(root: Path, files: dict[str, str]) -> None:
    """Make the files of a host."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def running(root: Path, pid_file: str, comm: str, pid: int = 4711) -> None:
    """Make a daemon run on that host."""
    write(root, {pid_file: f"{pid}\n", f"proc/{pid}/comm": f"{comm}\n"})


def names(root: Path) -> list[str]:
    """Return the servers as text."""
    return [str(s) for s in discover(root).servers]


def test_chrony_with_all_its_files(tmp_path: Path) -> None:
    """Servers of chrony come from its file, what it includes, and its directories, in that order and once each."""
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd")
    write(
        tmp_path,
        {
            "etc/chrony/chrony.conf": (
                "# server commented.example\n! server bang.example\n\n"
                "confdir /etc/chrony/conf.d\nserver a.example iburst port 1123\nPool b.example maxsources 4\n"
                "include /etc/chrony/extra*.inc\nsourcedir /run/chrony-dhcp\nsourcedir /etc/chrony/sources.d\n"
                "peer 2001:db8::1 port 124\nrefclock PHC /dev/ptp0 poll 2\nserver watched.example noselect\n"
                "server 169.254.169.123 prefer iburst\nserver a.example port 1123\nmakestep 1 3\n"
            ),
            "etc/chrony/conf.d/one.conf": "server c.example\n",
            "etc/chrony/conf.d/README": "server not-read.example\n",
            "etc/chrony/extra1.inc": "server d.example\n",
            "run/chrony-dhcp/eth0.sources": "server 10.0.0.1 iburst\n",
            "etc/chrony/sources.d/x.sources": "server 10.0.0.2\n",
            "etc/ntp.conf": "server not-in-use.example\n",
        },
    )
    found = discover(tmp_path)
    assert (found.daemon, found.running, found.problems) == ("chrony", True, ())
    assert [str(s) for s in found.servers] == [
        "c.example:123", "a.example:1123", "b.example:123", "d.example:123", "10.0.0.1:123", "10.0.0.2:123",
        "[2001:db8::1]:124", "169.254.169.123:123",
    ]  # fmt: skip


def test_chrony_directories_with_one_name(tmp_path: Path) -> None:
    """Of two files with one name in the directories of one `confdir` line only the first is read."""
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd")
    write(
        tmp_path,
        {
            "etc/chrony.conf": "confdir /etc/first /etc/second\n",
            "etc/first/x.conf": "server first.example\n",
            "etc/second/x.conf": "server second.example\n",
        },
    )
    assert names(tmp_path) == ["first.example:123"]


def test_ntpd(tmp_path: Path) -> None:
    """Servers of ntpd come from its file; a reference clock written as an address is nobody to ask."""
    running(tmp_path, "run/ntpd.pid", "ntpd")
    write(
        tmp_path,
        {
            "etc/ntpsec/ntp.conf": (
                "server 127.127.1.0 # local clock\npool -4 pool.example iburst # four\nserver -6 2001:db8::5\n"
                "restrict default kod\nserver spare.example noselect\nincludefile /etc/ntp.more\n"
            ),
            "etc/ntp.more": "server more.example\n",
        },
    )
    assert discover(tmp_path).daemon == "ntpd"
    assert names(tmp_path) == ["pool.example:123", "[2001:db8::5]:123", "more.example:123"]


@pytest.mark.parametrize(
    ("files", "servers"),
    [
        ({}, ["0.debian.pool.ntp.org:123", "1.debian.pool.ntp.org:123"]),
        ({"etc/systemd/timesyncd.conf.d/a.conf": "[Time]\nFallbackNTP=f.example\n"}, ["f.example:123"]),
        (
            {"etc/systemd/timesyncd.conf.d/a.conf": "[Time]\nNTP=a.example b.example\n"},
            ["a.example:123", "b.example:123"],
        ),
        (
            {
                "usr/lib/systemd/timesyncd.conf.d/a.conf": "[Time]\nNTP=vendor.example\n",
                "etc/systemd/timesyncd.conf.d/a.conf": "[Time]\nNTP=ours.example\n",
                "run/systemd/timesyncd.conf.d/b.conf": "[Time]\nNTP=more.example\n",
            },
            ["ours.example:123", "more.example:123"],
        ),
        (
            {
                "etc/systemd/timesyncd.conf.d/a.conf": "[Time]\nNTP=gone.example\n",
                "etc/systemd/timesyncd.conf.d/b.conf": "[Time]\nNTP=\nNTP=kept.example\n",
            },
            ["kept.example:123"],
        ),
        ({"run/systemd/netif/state": "OPER_STATE=routable\nNTP=10.0.0.9\n"}, ["10.0.0.9:123"]),
    ],
)
def test_timesyncd(tmp_path: Path, files: dict[str, str], servers: list[str]) -> None:
    """Servers of timesyncd come from its file, drop-ins and DHCP, and only without any of those from the fallback."""
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    shipped = "[Time]\n#NTP=\n#FallbackNTP=0.debian.pool.ntp.org 1.debian.pool.ntp.org\n"
    write(tmp_path, {"etc/systemd/timesyncd.conf": shipped, **files})
    found = discover(tmp_path)
    assert (found.daemon, found.running) == ("timesyncd", True)
    assert [str(s) for s in found.servers] == servers


def test_the_running_daemon_is_read(tmp_path: Path) -> None:
    """With the files of several daemons there, those of the one that runs count."""
    write(tmp_path, {"etc/chrony.conf": "server c.example\n", "etc/ntp.conf": "server n.example\n"})
    running(tmp_path, "run/ntpd.pid", "ntpd")
    assert names(tmp_path) == ["n.example:123"]


def test_a_stale_pid_file(tmp_path: Path) -> None:
    """A process number that now belongs to another program is no running daemon; its file is still used, and said."""
    write(tmp_path, {"etc/chrony.conf": "server c.example\n"})
    running(tmp_path, "run/chrony/chronyd.pid", "bash")
    found = discover(tmp_path)
    assert found.servers == (Endpoint("c.example", 123),)
    assert not found.running
    assert found.problems == ("chrony is configured, but was not seen to run",)


def test_two_daemons(tmp_path: Path) -> None:
    """Two daemons that steer one clock are told."""
    write(tmp_path, {"etc/chrony.conf": "server c.example\n", "etc/ntp.conf": "server n.example\n"})
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd", 1)
    running(tmp_path, "run/ntpd.pid", "ntpd", 2)
    assert discover(tmp_path).problems == ("chrony and ntpd run at once: they steer one clock",)


def test_nothing(tmp_path: Path) -> None:
    """A host without any time daemon has no servers, and says so."""
    found = discover(tmp_path)
    assert (found.daemon, found.servers) == (None, ())
    assert found.problems == ("no time daemon was found (chrony, systemd-timesyncd, ntpd)",)


def test_running_without_a_file(tmp_path: Path) -> None:
    """A daemon whose configuration is elsewhere is told."""
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd")
    assert discover(tmp_path).problems == ("chrony runs, but its configuration was not found",)


@pytest.mark.parametrize(
    "text",
    [
        "include /etc/chrony.conf\nserver a.example\n",
        "include /\ninclude **\ninclude\nconfdir\nserver\nserver a.example\n",
        "server bad:port:1:x\nserver a.example\nserver a.example port\nserver b.example port 99999\n",
        "server \udcff\x00\nserver a.example\n",
    ],
)
def test_broken_files(tmp_path: Path, text: str) -> None:
    """Files that include themselves, name nothing or make no sense cost their own lines, never the run."""
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/chrony.conf").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert "a.example:123" in names(tmp_path)


def test_unreadable(tmp_path: Path) -> None:
    """A file that can't be read is told by its path."""
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd")
    write(tmp_path, {"etc/chrony.conf": "include /etc/x.inc\n"})
    (tmp_path / "etc/x.inc").symlink_to(tmp_path / "etc/chrony.conf")
    found = discover(tmp_path)
    assert found.servers == ()
    assert "more than 64 files" in found.problems[0]


def test_bounded(tmp_path: Path) -> None:
    """No more servers are taken than anyone can sensibly ask."""
    running(tmp_path, "run/chrony/chronyd.pid", "chronyd")
    write(tmp_path, {"etc/chrony.conf": "".join(f"server s{n}.example\n" for n in range(100))})
    assert len(names(tmp_path)) == MAX_SERVERS
