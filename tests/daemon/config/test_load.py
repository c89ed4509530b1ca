import datetime as dt
import ipaddress
import os
from pathlib import Path

import pytest

from checks.net.endpoint import Endpoint
from daemon.config.load import load_config, parse_config
from daemon.config.problems import ConfigError
from daemon.config.schema import Config, PortRange, Resource

GOOD = Path(__file__).parent / "data" / "good"


def test_an_empty_file_means_every_default() -> None:
    """An empty file, one with comments only and an empty mapping are valid, and equal to no settings at all."""
    for text in (b"", b"# nothing yet\n", b"---\n", b"{}\n", b"\xef\xbb\xbf{}\n"):
        assert parse_config(text, "config.yaml").config == Config()


def test_the_documented_defaults_are_the_defaults() -> None:
    """Writing every documented default out changes nothing."""
    assert load_config(GOOD / "defaults.yaml").config == Config()


def test_the_smallest_useful_file() -> None:
    """Three lines are enough, and raise no warning."""
    loaded = load_config(GOOD / "smallest.yaml")
    assert loaded.config.connector.network == "acme"
    assert loaded.config.resources == (
        Resource(name="Orders DB", address="orders-db.corp.internal", tcp=(PortRange(5432, 5432),)),
    )
    assert loaded.warnings == ()
    assert loaded.file == str(GOOD / "smallest.yaml")


def test_words_that_yaml_1_1_would_change_stay_text() -> None:
    """`no`, `off`, `22:30`, `1_000` and dates are text; 0x and 0o numbers are numbers."""
    config = load_config(GOOD / "words.yaml").config
    assert (config.connector.name, config.connector.remote_network, config.connector.unit) == ("no", "off", "yes")
    first, second, third = config.resources
    assert (first.name, first.address) == ("22:30", "y")
    assert first.labels == {"since": "2026-02-01", "rate": "1_000", "mode": "0755x"}
    assert (second.name, second.address) == ("on", "n")
    assert third.tcp == (PortRange(443, 443), PortRange(0x50, 0x50), PortRange(0o20, 0o20))


def test_every_key_can_be_set() -> None:
    """Values are normalised: case and final dot of names, addresses, default ports, durations, times in UTC."""
    config = load_config(GOOD / "full.yaml").config
    assert config.connector.network == "acme"
    assert config.clock.servers == (
        Endpoint("ntp.corp.internal", 123), Endpoint("2001:db8::1", 1123), Endpoint("10.0.0.3", 123),
    )  # fmt: skip
    assert config.dns.nameservers == (Endpoint("10.0.0.2", 53), Endpoint("::1", 5353), Endpoint("2001:db8::53", 53))
    assert config.dns.search == ("corp.internal",)
    assert config.relays.stun == (Endpoint("stun.corp.internal", 3478), Endpoint("10.0.0.4", 3479))
    orders, lab, web, nothing = config.resources
    assert (orders.address, orders.interval) == ("orders-db.corp.internal", 10.0)
    assert (lab.tcp, web.udp, nothing.tcp, nothing.address) == (None, None, (), "2001:db8::1")
    assert web.samples == ("a.web1.corp.internal",)
    assert config.maintenance[0].to == dt.datetime(2026, 2, 1, 23, 0, 30, 500_000, tzinfo=dt.UTC)
    assert config.probing.ports == {5432: "half_open", 22: 600.0}
    assert config.probing.deny == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.9.9.9/32"))
    assert config.schedule.intervals.clock == 128.0
    assert config.schedule.intervals.relay == 60.0
    assert [alertmanager.url for alertmanager in config.alerting.alertmanagers] == [
        "http://127.0.0.1:9093", "https://alerts.corp.internal/prefix",
    ]  # fmt: skip
    assert config.alerting.after == {"ConnectorDown": 0.0, "ConnectorClockSkew": 90.0}
    assert config.checks == {"nat": False}


def test_relative_file_names_start_from_the_configuration() -> None:
    """A secret beside the configuration is found wherever the command is started."""
    config = load_config(GOOD / "full.yaml").config
    assert config.control_plane.ca_file == str(GOOD / "smallest.yaml")


def test_text_of_the_file_carries_no_control_character() -> None:
    """A name with ANSI or bidi characters is kept as its visible escape."""
    text = b'resources: [{name: "a\\e[31m\\u202Eb\\n", address: a, labels: {team: "x\\ty"}}]'
    resource = parse_config(text, "config.yaml").config.resources[0]
    assert resource.name == "a\\x1b[31m\\u202eb\\x0a"
    assert resource.labels == {"team": "x\\x09y"}


def test_names_that_look_alike_after_escaping_are_duplicates() -> None:
    """Two Resources never share the name under which they are shown."""
    text = b'resources: [{name: "a\\e", address: a}, {name: "a\\\\x1b", address: b}]'
    with pytest.raises(ConfigError, match="the name of another Resource too"):
        parse_config(text, "config.yaml")


def test_several_resources_may_share_an_address() -> None:
    """Only the name must be unique."""
    text = b"resources: [{name: a, address: db, tcp: [1]}, {name: b, address: db, tcp: [1]}]"
    assert len(parse_config(text, "config.yaml").config.resources) == 2


def test_a_missing_credential_of_systemd_is_no_mistake() -> None:
    """`config check` runs while the unit is stopped: its credentials do not exist then."""
    text = b"alerting: {heartbeat_url_file: /run/credentials/connector-health.service/heartbeat}"
    assert parse_config(text, "config.yaml").config.alerting.heartbeat_url_file


def test_a_missing_credential_of_our_own_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The service itself must see what its file names: it says what is missing, and where it belongs."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/connector-health.service")
    text = b"alerting: {heartbeat_url_file: /run/credentials/connector-health.service/heartbeat}"
    with pytest.raises(ConfigError, match="no such credential") as caught:
        parse_config(text, "config.yaml")
    assert len(caught.value.problems) == 1
    other = text.replace(b"health.service", b"health@office-2.service")
    assert parse_config(other, "config.yaml").config.alerting.heartbeat_url_file, "another unit's"


def test_a_named_pipe_in_place_of_a_secret_does_not_block(tmp_path: Path) -> None:
    """A secret must be a regular file; anything else is refused at once."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        parse_config(b"alerting: {heartbeat_url_file: pipe}", str(tmp_path / "config.yaml"))
