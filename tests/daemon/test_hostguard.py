"""Which Host headers are answered."""

from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.config.schema import Web
from daemon.web.hostguard import HostGuard, configured_hosts, own_names

GUARD = HostGuard({"gw.example.com", "gw"})


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        ("127.0.0.1:19440", True),
        ("10.1.2.3", True),
        ("[::1]:19440", True),
        ("[::1]", True),
        ("localhost", True),
        ("LocalHost:19440", True),
        ("gw", True),
        ("GW.Example.COM.:443", True),
        ("evil.example.com", False),
        ("gw.example.com.evil.org", False),
        ("localhost.evil.org", False),
        ("127.0.0.1.evil.org", False),
        ("127.0.0.1@evil.org", False),
        ("", False),
        ("gw:port", False),
        ("[::1", False),
        ("a b", False),
        ("0x7f000001", False),
    ],
)
def test_host_header(header: str, *, allowed: bool) -> None:
    """Literal addresses and known names are answered, every other name is not."""
    assert GUARD.allows(header) is allowed


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [(None, True), ("http://localhost:19440", True), ("http://127.0.0.1:19440", True), ("https://gw.example.com", True),
     ("http://127.0.0.2", False), ("http://203.0.113.7:19440", False), ("http://[::1]:19440", False),
     ("https://evil.example.com", False), ("null", False), ("http://[", False), ("", False)],
)  # fmt: skip
def test_origin(origin: str | None, *, allowed: bool) -> None:
    """A page of a foreign host, address or name, may change nothing; a program, which sends no Origin, may."""
    assert GUARD.allows_origin(origin, "127.0.0.1:19440") is allowed


def test_own_names_come_from_the_hosts_file(tmp_path: Path) -> None:
    """All names on this host's line of the hosts file are its own; no other line's are."""
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n127.0.1.1 gw.example.com gw # us\n10.0.0.9 other other.example.com\n\n#\n")
    assert own_names("gw", hosts) == {"gw", "gw.example.com"}
    assert own_names("gw.branch.example.org", tmp_path / "none") == {"gw.branch.example.org", "gw"}


def test_configured_hosts() -> None:
    """The names of `listen` and `external_url` are known."""
    web = Web(listen=(Endpoint("localhost", 1),), external_url="https://health.example.com:8443/x")
    assert configured_hosts(web) == {"localhost", "health.example.com"}
