from pathlib import Path

import msgspec
import pytest

from daemon.config.load import parse_config
from daemon.config.notes import proxy_warnings
from daemon.config.rate import rate_fault, smallest_rate
from daemon.config.schema import Config, PortRange, Probing, Resource, Schedule

BASE = b"connector: {network: acme}\n"


def _warnings(text: bytes) -> list[str]:
    return [str(warning) for warning in parse_config(BASE + text, "config.yaml").warnings]


def _config(*resources: Resource, **sections: object) -> Config:
    return msgspec.structs.replace(Config(resources=resources), **sections)


def _resource(address: str, *ports: tuple[int, int], **keys: object) -> Resource:
    resource = Resource(name=address, address=address, tcp=tuple(PortRange(*port) for port in ports))
    return msgspec.structs.replace(resource, **keys)


def test_the_needed_rate_counts_each_endpoint_once_at_its_shortest_interval() -> None:
    """Two Resources on one endpoint are one probe, run as often as the more demanding one asks."""
    resources = [_resource("db", (80, 81)), _resource("db", (80, 80), interval=10.0)]
    for order in (resources, resources[::-1]):
        assert smallest_rate(_config(*order, schedule=Schedule(interval=20.0))) == pytest.approx(1 / 10 + 1 / 20)


def test_the_needed_rate_leaves_out_what_is_not_probed() -> None:
    """Patterns, ports beyond the limit, `never` and `dns`, and ports that must not be connected to, cost nothing."""
    config = _config(
        _resource("*.corp", (80, 80)),
        _resource("10.0.0.0/8", (80, 80)),
        _resource("a", (80, 80), probe="never"),
        _resource("b", (80, 80), probe="dns"),
        _resource("c", (3306, 3306)),
        _resource("d", (1000, 60000)),
        _resource("*.corp.example", (80, 80), samples=("x.corp.example",)),
        Resource(name="all", address="e", probe_ports=(22,)),
        schedule=Schedule(interval=1.0),
        probing=Probing(max_ports_per_resource=4),
    )
    assert smallest_rate(config) == pytest.approx(4 + 1 + 1 / 300)


def test_a_rate_that_cannot_be_kept_is_refused() -> None:
    """The message names the rate that is needed; exactly enough is enough."""
    assert rate_fault(100.0, 100.0) == ""
    assert rate_fault(100.2, 100.0) == (
        "too low for the intervals, got 100, expected at least 101:"
        " the Resources need 101 TCP probes a second; raise it, or the intervals"
    )


def test_replacing_the_port_policies_is_pointed_out() -> None:
    """Adding one port must not silently take the protection of a database away; removing all is a decision."""
    (warning,) = _warnings(b"probing: {ports: {5432: half_open, 22: 5m}}\n")
    assert "3306" in warning
    assert "22," not in warning
    assert _warnings(b"probing: {ports: {}}\n") == []


def test_an_interval_below_the_time_out_is_pointed_out() -> None:
    """A silent target would miss turns."""
    (warning,) = _warnings(b"schedule: {interval: 2s}\n")
    assert warning.startswith("config.yaml:2:22: schedule.interval: shorter than schedule.timeout (5s)")
    (warning,) = _warnings(b"resources: [{name: a, address: a, interval: 1s}]\n")
    assert "resources[0].interval" in warning


def test_a_network_of_one_address_is_pointed_out() -> None:
    """Networks are not probed without samples; for one address that surprises."""
    (warning,) = _warnings(b"resources: [{name: a, address: 10.1.2.3/32}]\n")
    assert "write 10.1.2.3" in warning
    assert _warnings(b"resources: [{name: a, address: 10.1.2.3/32, samples: [10.1.2.3]}]\n") == []


def test_a_configuration_without_network_is_pointed_out() -> None:
    """Without network and URLs the control plane may have nothing to ask."""
    for text, count in ((b"", 1), (b"connector: {network: acme}", 0), (b"control_plane: {urls: ['https://a']}", 0)):
        assert len(parse_config(text, "config.yaml").warnings) == count


def test_proxy_variables_are_reported_without_their_value() -> None:
    """They are ignored, and may contain a password."""
    environ = {"HTTPS_PROXY": "http://user:hunter2@proxy", "http_proxy": "", "all_proxy": "x", "PATH": "/bin"}
    found = proxy_warnings(environ)
    assert [message.split()[0] for message in found] == ["HTTPS_PROXY", "all_proxy"]
    assert "hunter2" not in "".join(found)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://am.example.com:9093", True),
        ("HTTP://192.0.2.1", True),
        ("https://am.example.com", False),
        ("http://127.0.0.1:9093", False),
        ("http://[::1]:9093", False),
        ("http://localhost:9093", False),
    ],
)
def test_credentials_without_tls_are_worth_a_warning(tmp_path: Path, url: str, *, said: bool) -> None:
    """A token that would cross the network in the clear is told of; without one, or on this host, there is nothing."""
    (tmp_path / "token").write_text("secret")
    found = _warnings(f"alerting: {{alertmanagers: [{{url: '{url}', bearer_file: {tmp_path}/token}}]}}\n".encode())
    assert [("whoever is on the way" in one, "secret" in one) for one in found] == [(True, False)] * said
    assert _warnings(f"alerting: {{alertmanagers: ['{url}']}}\n".encode()) == []
