import ipaddress
from typing import Literal

import pytest

from checks.model import Reason
from checks.policy import PortDecision, denied, method_for
from daemon.config.schema import Probing

DENY, PORTS = Probing().deny, Probing().ports
ALLOW = (ipaddress.ip_network("127.0.0.5/32"), ipaddress.ip_network("10.0.0.0/8"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.0.1", "169.254.169.254", "224.0.0.1", "239.1.2.3", "::1", "fe80::1", "fe80::1%eth0",
        "ff02::1", "fd00:ec2::254", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0",
        "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::169.254.169.254", "2002:7f00:1::1", "::127.0.0.1",
    ],
)  # fmt: skip
def test_no_spelling_of_a_denied_address_slips_through(address: str) -> None:
    """Loopback, link-local (cloud metadata too), multicast, and every IPv6 wrapping of them."""
    assert denied(address, DENY, (), literal_allowed=False)
    assert not denied(address, DENY, (), literal_allowed=True)


@pytest.mark.parametrize(
    "address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "2001:db8::1", "fd00::1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"]
)
def test_other_addresses_are_probed(address: str) -> None:
    """Private addresses are what Resources have."""
    assert not denied(address, DENY, (), literal_allowed=False)


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.5", False), ("::ffff:127.0.0.5", False), ("127.0.0.6", True), ("10.1.1.1", False)],
)
def test_allow_wins_over_deny(address: str, expected: bool) -> None:
    """What is allowed is probed although a denied network contains it."""
    assert denied(address, (*DENY, ipaddress.ip_network("10.0.0.0/8")), ALLOW, literal_allowed=False) is expected


ALLOWED = PortDecision(method="connect")
SLOWLY = PortDecision(method="connect", min_interval_s=300.0, confirmable=False)
HALF_OPEN = PortDecision(method="half_open")
NOT_ALLOWED, NOT_PROBEABLE = Reason.NOT_ALLOWED, Reason.NOT_PROBEABLE


@pytest.mark.parametrize(
    ("port", "method", "probe", "available", "expected"),
    [
        (5432, "auto", "auto", False, ALLOWED),
        (5432, "auto", "auto", True, HALF_OPEN),
        (5432, "connect", "auto", True, ALLOWED),
        (5432, "half_open", "auto", True, HALF_OPEN),
        (5432, "half_open", "auto", False, NOT_ALLOWED),
        (5432, "half_open", "connect", False, ALLOWED),
        (5432, "auto", "half_open", False, NOT_ALLOWED),
        (22, "auto", "auto", False, SLOWLY),
        (22, "auto", "auto", True, HALF_OPEN),
        (22, "auto", "connect", True, SLOWLY),
        (3306, "auto", "auto", False, NOT_ALLOWED),
        (3306, "auto", "auto", True, HALF_OPEN),
        (3306, "auto", "connect", False, NOT_ALLOWED),
        (3306, "auto", "connect", True, NOT_ALLOWED),
        (3306, "half_open", "auto", True, HALF_OPEN),
        (22, "half_open", "auto", False, NOT_ALLOWED),
        (3306, "connect", "auto", True, NOT_ALLOWED),
        (3306, "auto", "half_open", True, HALF_OPEN),
        (5432, "auto", "never", True, NOT_PROBEABLE),
        (5432, "auto", "dns", True, NOT_PROBEABLE),
    ],
)
def test_how_a_port_is_probed(
    port: int,
    method: Literal["auto", "connect", "half_open"],
    probe: Literal["auto", "connect", "half_open", "dns", "never"],
    available: bool,
    expected: PortDecision | Reason,
) -> None:
    """`half_open` means never by connect, whatever else is set; a duration means rarely and not for confirmation."""
    decision = method_for(port, method=method, ports=PORTS, probe=probe, half_open_available=available)
    if isinstance(expected, Reason):
        assert (decision.method, decision.reason) == (None, expected)
        assert decision.why
    else:
        assert decision == expected
