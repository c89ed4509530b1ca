"""Which destinations lie behind changed routes: addresses against networks."""

import pytest

from daemon.reached import Destinations

NETWORKS = ("10.2.0.0/16", "10.3.4.0/24", "192.0.2.7/32", "2001:db8:1::/48")


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("10.2.255.1", True), ("10.3.4.9", True), ("10.3.5.9", False), ("192.0.2.7", True), ("192.0.2.8", False),
        ("2001:db8:1:2::3", True), ("2001:db8:2::3", False), ("fe80::1%eth0", False), ("rubbish", False), ("", False),
        ("10.2", False), ("::", False),
    ],
)  # fmt: skip
def test_inside(address: str, inside: bool) -> None:
    """An address lies in a network of any length and of its own version; what is no address lies nowhere."""
    assert (address in Destinations(NETWORKS)) is inside


def test_no_networks() -> None:
    """Where nothing changed nothing is affected."""
    assert "10.0.0.1" not in Destinations(())
    assert "::1" not in Destinations(("10.0.0.0/8",))
