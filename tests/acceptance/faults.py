"""How each fault is planted, and mended again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.acceptance import scenarios as at
from tests.acceptance import servers
from tests.acceptance.place import Place
from tests.support.dockerd import DockerHost


@dataclass(frozen=True, slots=True)
class Fault:
    """What is done to a place, and what undoes it."""

    plant: Callable[[Place], None]
    mend: Callable[[Place], None]


def _docker(place: Place) -> DockerHost:
    assert place.docker, "this scenario needs a Connector in Docker"
    return place.docker


def _gateway_dies(place: Place) -> None:
    place.beyond.run("ip link set v0 arp off")  # the link stays up: it is the machine behind it that is gone
    place.drop('iifname "v0" drop')


def _gateway_lives(place: Place) -> None:
    place.let_pass()
    place.beyond.run("ip link set v0 arp on")


def _clocks(place: Place, wrong_by: str) -> None:
    for address in at.CLOCKS:
        place.replace(address, servers.clock(place.beyond, place.folder, address, wrong_by))


def _intercept(place: Place) -> None:
    place.aside = place.servers["controller"]
    proxy = servers.web(place.beyond, place.folder, "proxy", [f"{at.CONTROLLER}:443"], place.proxy)
    place.replace("controller", proxy)


def _genuine_again(place: Place) -> None:
    assert place.aside, "nobody intercepts"
    place.replace("controller", place.aside)


FAULTS: Mapping[str, Fault] = {
    "nameserver": Fault(
        lambda place: place.servers["nameserver"].stop(), lambda place: place.servers["nameserver"].start()
    ),
    "gateway": Fault(_gateway_dies, _gateway_lives),
    "connector": Fault(
        lambda place: _docker(place).stop_container("connector"),
        lambda place: _docker(place).start_container("connector"),
    ),
    "clock": Fault(lambda place: _clocks(place, "+6s"), lambda place: _clocks(place, "")),
    "control_plane": Fault(lambda place: place.drop(f"ip daddr {at.CONTROLLER} drop"), Place.let_pass),
    "interception": Fault(_intercept, _genuine_again),
    "resource": Fault(
        lambda place: place.drop(f"ip daddr {at.SERVICES} tcp dport {at.FIRST_PORT} reject with tcp reset"),
        Place.let_pass,
    ),
}
