"""The jobs that do not come from Resources."""

import pytest

from checks.clock import ClockSpec
from checks.model import CheckName, Reason
from checks.relay import RelaySpec
from checks.resolver import ResolverSpec
from daemon.config.load import parse_config
from daemon.jobs import Job
from daemon.targets import enabled_checks, make_plan


def _jobs(text: str) -> dict[CheckName, Job]:
    config = parse_config(text.encode(), "test.yaml").config
    return {job.check: job for job in make_plan(config, enabled_checks(config)).jobs}


def test_relays_trust_what_the_controller_may() -> None:
    """`control_plane.ca_file` holds for Relays too: what is trusted there is no interception here."""
    spec = _jobs("control_plane: {ca_file: /etc/hostname}")[CheckName.RELAY].spec
    assert isinstance(spec, RelaySpec)
    assert spec.ca_file == "/etc/hostname"


def test_no_nameserver_is_nothing_to_ask() -> None:
    """`dns.nameservers: []` is a check with nothing to ask, not settings that can't be read."""
    job = _jobs("dns: {nameservers: []}")[CheckName.RESOLVER]
    assert job.fixed is not None
    assert job.fixed.reason is Reason.NOT_PROBEABLE


def test_a_resource_that_is_never_probed_is_asked_of_nobody() -> None:
    """The nameservers are not asked for the name of a Resource with `probe: never` either."""
    resources = "[{name: A, address: secret.test, probe: never}, {name: B, address: b.test, tcp: [443]}]"
    spec = _jobs(f"resources: {resources}")[CheckName.RESOLVER].spec
    assert isinstance(spec, ResolverSpec)
    assert spec.question == "b.test"


@pytest.mark.parametrize(
    ("url", "target", "dated"),
    [
        ("https://acme.test", "acme.test", True),
        ("HTTPS://Acme.Test/", "acme.test", True),
        ("https://acme.test:8443", "acme.test:8443", True),
        ("http://acme.test", "acme.test:80", False),
    ],
)
def test_the_scheme_of_a_url_may_be_in_capitals(url: str, target: str, *, dated: bool) -> None:
    """However https is written, the row is named by the host, and its Date is a time source."""
    found = _jobs(f"control_plane: {{urls: ['{url}']}}\nclock: {{servers: [192.0.2.1]}}")
    assert found[CheckName.CONTROL_PLANE].target == target
    clock = found[CheckName.CLOCK].spec
    assert isinstance(clock, ClockSpec)
    assert clock.controllers == ((url,) if dated else ())
