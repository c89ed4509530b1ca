"""How faults are planted: a healthy place, what goes wrong in it, and what is to be concluded from it."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from daemon.causes import Diagnosis
from tests.support.scenes import Place

Plant: TypeAlias = Callable[[Place], None]
Expected: TypeAlias = Mapping[str, set[str]]
"""What each cause explains, by the cause's id."""

NS_A, NS_B = "192.168.0.53", "192.168.0.54"
DNS_ROW, DB = "dns:db.corp.internal", "tcp:db.corp.internal:5432"
CP, RELAY = "control_plane:acme.twingate.com", "relay:relays.twingate.com"


class Faults:
    """Faults by name, with what is expected of each."""

    def __init__(self) -> None:
        self.planted: dict[str, tuple[Plant, Expected]] = {}

    def __call__(self, expected: Expected) -> Callable[[Plant], Plant]:
        """Register the decorated fault."""

        def register(fault: Plant) -> Plant:
            self.planted[fault.__name__.strip("_")] = (fault, expected)
            return fault

        return register


def healthy(place: Place) -> None:
    """Have all that is not at fault say that it is well."""
    place.host()
    place.clock()
    place.nameserver(NS_A)
    place.controller()
    place.relay()
    place.connector()
    place.tcp("192.168.0.10", 22)


def planted(*faults: Plant) -> Place:
    """Return a healthy place with faults in it."""
    place = Place()
    healthy(place)
    for fault in faults:
        fault(place)
    return place


def explained(diagnosis: Diagnosis) -> Expected:
    """Return what each cause explains, by its id."""
    return {cause.id: set(cause.explains) for cause in diagnosis.causes}
