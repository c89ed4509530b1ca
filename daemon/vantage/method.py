"""By which method ports are asked from where we stand, and what keeps us from the one that nobody notices."""

from typing import NamedTuple

from checks.half_open import HalfOpen
from checks.net.errors import SeatError
from checks.net.seat import Seat
from daemon.config.schema import Config


class Method(NamedTuple):
    """Whether ports are asked half-open where no policy says otherwise; `lacking`: what is missing for that."""

    half_open: bool
    lacking: str = ""

    def __str__(self) -> str:
        if self.lacking:
            return f"ports are asked by connect: {self.lacking}"
        return "ports are asked half-open" if self.half_open else "ports are asked by connect"


BY_CONNECT = Method(half_open=False)


def method_from(first: Seat, here: HalfOpen | None, problem: SeatError | None, config: Config) -> Method:
    """Tell how ports are asked from the first seat.

    `here` is our own network's prober, `problem` what kept the helper from telling where the Connector stands.
    """
    if config.probing.method == "connect":
        return BY_CONNECT
    prober = first.half_open
    if prober is not None and prober.available:
        return Method(half_open=True)
    if prober is here:
        if here is None:
            lacking = (
                "this process had no right to raw sockets when it started; start connector-health-netns, or give it "
                "CAP_NET_RAW"
            )
        else:
            lacking = "the raw sockets that this process had are gone; restart it"
    elif problem is not None:
        lacking = problem.evidence
    elif prober is None:
        lacking = "no socket can be made in the Connector's network"
    else:
        lacking = "connector-health-netns has no right to raw sockets; give it CAP_NET_RAW"
    return Method(half_open=False, lacking=lacking)
