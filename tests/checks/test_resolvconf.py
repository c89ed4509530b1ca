"""resolv.conf and the hosts file: what the Connector's resolver makes of them, and when they change."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.net.endpoint import Endpoint
from checks.net.resolvconf import (
    DEFAULT_NAMESERVER,
    MAX_ADDRESSES,
    MAX_FILE_BYTES,
    MAX_NAMESERVERS,
    MAX_PROBLEMS,
    MAX_SEARCH,
    SystemSettings,
    parse_hosts,
    parse_resolv_conf,
)


def _servers(*hosts: str) -> tuple[Endpoint, ...]:
    return tuple(Endpoint(host, 53) for host in hosts)


@pytest.mark.parametrize(
    ("text", "nameservers"),
    [
        ("", (DEFAULT_NAMESERVER,)),
        ("search corp.internal\n", (DEFAULT_NAMESERVER,)),
        ("nameserver 10.0.0.2\n", _servers("10.0.0.2")),
        ("nameserver\t10.0.0.2", _servers("10.0.0.2")),
        ("  nameserver 10.0.0.2\r\n", _servers("10.0.0.2")),
        (
            "nameserver 10.0.0.4\nnameserver 10.0.0.3\nnameserver 10.0.0.2\nnameserver 10.0.0.1\n",
            _servers("10.0.0.4", "10.0.0.3", "10.0.0.2", "10.0.0.1"),
        ),
        ("nameserver 10.0.0.2\nnameserver 10.0.0.3\nnameserver 10.0.0.2\n", _servers("10.0.0.2", "10.0.0.3")),
        ("nameserver 2001:db8::53\nnameserver fe80::1%eth0\n", _servers("2001:db8::53", "fe80::1%eth0")),
        ("nameserver 10.0.0.2 # the one\n", _servers("10.0.0.2")),
        ("#nameserver 10.0.0.9\n; nameserver 10.0.0.8\nnameserver 10.0.0.2\n", _servers("10.0.0.2")),
        ("nameserver\n", (DEFAULT_NAMESERVER,)),
        ("Nameserver 10.0.0.2\n", (DEFAULT_NAMESERVER,)),
        ("nameserver 10.0.0.2:5353\n", (Endpoint("10.0.0.2", 5353),)),
    ],
)
def test_nameservers(text: str, nameservers: tuple[Endpoint, ...]) -> None:
    """Every nameserver line counts, in order, each once; none means 127.0.0.1."""
    settings = parse_resolv_conf(text)
    assert settings.nameservers == nameservers
    assert settings.problems == ()


def test_nameserver_that_is_no_address() -> None:
    """A nameserver line with a name is useless to every resolver, and reported."""
    settings = parse_resolv_conf("nameserver dns.corp.internal\nnameserver 10.0.0.2\n")
    assert settings.nameservers == _servers("10.0.0.2")
    assert settings.problems == ("nameserver 'dns.corp.internal' is not an address",)


@pytest.mark.parametrize(
    ("text", "host_name", "search"),
    [
        ("search a.test b.test\n", "", ("a.test", "b.test")),
        ("search a.test\nsearch b.test c.test\n", "", ("b.test", "c.test")),
        ("search a.test\ndomain d.test\n", "", ("d.test",)),
        ("domain d.test\nsearch a.test\n", "", ("a.test",)),
        ("search A.Test. a.test\n", "", ("a.test",)),
        ("search .\n", "host.corp.internal", ()),
        ("search a.test # b.test\n", "", ("a.test",)),
        ("", "host.corp.internal", ("corp.internal",)),
        ("", "host", ()),
    ],
)
def test_search_list(text: str, host_name: str, search: tuple[str, ...]) -> None:
    """The last search or domain line wins; without one the domain of the host's name is searched."""
    assert parse_resolv_conf(text, host_name).search == search


@pytest.mark.parametrize(
    ("options", "ndots"),
    [
        ("", 1),
        ("options ndots:5", 5),
        ("options timeout:1 attempts:2 rotate ndots:0", 0),
        ("options ndots:2\noptions ndots:3", 3),
        ("options ndots:99999999999", 15),
        ("options ndots:x ndots", 1),
        ("options ndots:²", 1),
    ],
)
def test_ndots(options: str, ndots: int) -> None:
    """The last valid ndots counts, up to 15."""
    assert parse_resolv_conf(options + "\n").ndots == ndots


def test_hosts_file() -> None:
    """Names of a hosts file are case-insensitive, IPv4 comes before IPv6, and what is no address is passed over."""
    hosts = parse_hosts(
        "# static\n"
        "::1 localhost ip6-localhost\n"
        "127.0.0.1\tlocalhost  localhost.localdomain # this host\n"
        "10.1.2.3 DB.Corp.Internal db\n"
        "10.1.2.4 db\n"
        "10.1.2.4 db\n"
        "here is nothing\n"
        "10.1.2.5\n"
        "#10.1.2.6 off\n"
    )
    assert hosts["localhost"] == ("127.0.0.1", "::1")
    assert hosts["ip6-localhost"] == ("::1",)
    assert hosts["db.corp.internal"] == ("10.1.2.3",)
    assert hosts["db"] == ("10.1.2.3", "10.1.2.4")
    assert not {"off", "is", "nothing", "#", "this"} & hosts.keys()


@given(st.text(max_size=400))
def test_no_text_breaks_the_parsers(text: str) -> None:
    """Whatever the files hold, the parsers return settings."""
    assert parse_resolv_conf("nameserver " + text).nameservers
    parse_resolv_conf(text, text)
    parse_hosts("10.0.0.1 " + text)
    parse_hosts(text)


def _system(folder: Path, **more: object) -> SystemSettings:
    files = {"resolv_conf": str(folder / "resolv.conf"), "hosts": str(folder / "hosts"), "host_name": lambda: "host"}
    return SystemSettings(**(files | more))  # type: ignore[arg-type]


def test_missing_files_are_the_defaults(tmp_path: Path) -> None:
    """A missing file is no problem: libc falls back to 127.0.0.1 too."""
    settings = _system(tmp_path).current()
    assert settings.nameservers == (DEFAULT_NAMESERVER,)
    assert settings.hosts == {}
    assert settings.problems == ()


def test_changes_are_seen(tmp_path: Path) -> None:
    """A change counts at the next look: rewritten, replaced by rename, deleted, made again."""
    resolv, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    system = _system(tmp_path)
    resolv.write_text("nameserver 10.0.0.2\n")
    assert system.current().nameservers == _servers("10.0.0.2")
    resolv.write_text("nameserver 10.0.0.22\n")
    assert system.current().nameservers == _servers("10.0.0.22")
    replaced = tmp_path / "new"
    replaced.write_text("nameserver 10.0.0.33\n")  # as long as before, and with its time: only the inode differs
    os.utime(replaced, ns=(resolv.stat().st_atime_ns, resolv.stat().st_mtime_ns))
    replaced.rename(resolv)
    assert system.current().nameservers == _servers("10.0.0.33")
    hosts.write_text("10.9.9.9 db\n")
    assert system.current().hosts == {"db": ("10.9.9.9",)}
    resolv.unlink()
    assert system.current().nameservers == (DEFAULT_NAMESERVER,)
    resolv.write_text("nameserver 10.0.0.2\n")
    assert system.current().nameservers == _servers("10.0.0.2")


def test_unchanged_files_are_not_parsed_again(tmp_path: Path) -> None:
    """While nothing changes the same settings are returned."""
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.2\n")
    system = _system(tmp_path)
    assert system.current() is system.current()


def test_symlink_is_followed(tmp_path: Path) -> None:
    """resolv.conf is a symbolic link on most hosts: its target is what is watched."""
    target = tmp_path / "stub-resolv.conf"
    target.write_text("nameserver 127.0.0.53\n")
    (tmp_path / "resolv.conf").symlink_to(target)
    system = _system(tmp_path)
    assert system.current().nameservers == _servers("127.0.0.53")
    target.write_text("nameserver 10.0.0.2\n")
    assert system.current().nameservers == _servers("10.0.0.2")


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_unreadable_file_is_ignorance(tmp_path: Path, make: object) -> None:
    """Settings that can't be read yield no nameserver and a problem, and never block."""
    make(tmp_path / "resolv.conf")  # type: ignore[operator]
    settings = _system(tmp_path).current()
    assert settings.nameservers == ()
    assert "resolv.conf can't be read" in settings.problems[0]


def test_last_known_settings_stay_when_unreadable(tmp_path: Path) -> None:
    """Settings that can't be read any more stay as they were last known, with the problem named."""
    resolv = tmp_path / "resolv.conf"
    resolv.write_text("nameserver 10.0.0.2\n")
    system = _system(tmp_path)
    system.current()
    resolv.unlink()
    resolv.mkdir()
    settings = system.current()
    assert settings.nameservers == _servers("10.0.0.2")
    assert settings.problems


def test_configuration_replaces_the_files(tmp_path: Path) -> None:
    """Nameservers and search list of the configuration replace the file's; the hosts file still counts."""
    (tmp_path / "resolv.conf").write_text("nameserver 10.0.0.2\nsearch a.test\noptions ndots:3\n")
    (tmp_path / "hosts").write_text("10.9.9.9 db\n")
    mine = (Endpoint("10.0.0.9", 5353), Endpoint("10.0.0.9", 5353))
    settings = _system(tmp_path, nameservers=mine, search=("B.test.",)).current()
    assert settings.nameservers == mine[:1]
    assert settings.search == ("b.test",)
    assert settings.ndots == 3
    assert settings.hosts == {"db": ("10.9.9.9",)}
    only_search = _system(tmp_path, search=()).current()
    assert (only_search.nameservers, only_search.search) == (_servers("10.0.0.2"), ())


def test_unreadable_file_does_not_matter_when_replaced(tmp_path: Path) -> None:
    """With both lists in the configuration nobody needs resolv.conf."""
    (tmp_path / "resolv.conf").mkdir()
    settings = _system(tmp_path, nameservers=_servers("10.0.0.9"), search=()).current()
    assert settings.nameservers == _servers("10.0.0.9")
    assert settings.problems == ()


def test_huge_hosts_file_is_cut_at_a_line(tmp_path: Path) -> None:
    """Of a block list longer than the bound the beginning counts, up to a whole line, and the problem is named."""
    line = "0.0.0.0 ads-{:07}.example\n"
    (tmp_path / "hosts").write_text("".join(line.format(number) for number in range(60_000)))
    settings = _system(tmp_path).current()
    kept = MAX_FILE_BYTES // len(line.format(0))
    assert len(settings.hosts) == kept
    assert settings.hosts[f"ads-{kept - 1:07}.example"] == ("0.0.0.0",)
    assert "only its beginning was read" in settings.problems[0]


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 spoil their own line only."""
    (tmp_path / "resolv.conf").write_bytes(b"\xff\xfe\x00\nnameserver 10.0.0.2\n")
    assert _system(tmp_path).current().nameservers == _servers("10.0.0.2")


def test_a_file_full_of_nameservers_is_bounded_and_named() -> None:
    """Each nameserver is a row and each domain a question: of thousands the first few count, and a problem says so."""
    lines = [f"nameserver 10.0.{n >> 8}.{n & 255}\nnameserver x{n}\n" for n in range(3000)]
    settings = parse_resolv_conf("".join(lines) + "search " + " ".join(f"d{n}.test" for n in range(5000)))
    assert (len(settings.nameservers), len(settings.search)) == (MAX_NAMESERVERS, MAX_SEARCH)
    assert settings.nameservers[-1] == Endpoint(f"10.0.0.{MAX_NAMESERVERS - 1}", 53)
    assert settings.problems[MAX_PROBLEMS - 1 :] == (
        f"{3000 - MAX_PROBLEMS + 1} more nameservers are not addresses",
        f"3000 nameservers are named: the first {MAX_NAMESERVERS} are asked",
        f"5000 domains are to be searched: the first {MAX_SEARCH} are",
    )
    (long,) = parse_resolv_conf("nameserver " + "x" * 60_000).problems
    assert len(long) < 120


def test_a_name_with_thousands_of_addresses_is_bounded() -> None:
    """Of one name the first addresses count: to keep them all, in order, takes seconds of the loop."""
    found = parse_hosts("".join(f"10.0.{n >> 8}.{n & 255} db\n" for n in range(20_000)) + "10.9.9.9 other\n")
    assert found["db"] == tuple(f"10.0.0.{n}" for n in range(MAX_ADDRESSES))
    assert found["other"] == ("10.9.9.9",)


def test_free_text_is_no_zone_and_no_domain() -> None:
    """What follows the % of an address can only be an interface, and a domain has a name's characters: no e-mail."""
    text = "nameserver fe80::1%a@example.com\nnameserver fe80::1%eth0.7\nnameserver fe80::1%" + "x" * 99
    settings = parse_resolv_conf(text + "\nsearch a@example.com \x1b[31m.test corp.test " + "x" * 999)
    assert (settings.nameservers, settings.search) == ((Endpoint("fe80::1%eth0.7", 53),), ("corp.test",))
    assert parse_hosts("fe80::1%a@example.com db\nfe80::1%eth0 db\n") == {"db": ("fe80::1%eth0",)}
