"""What tests of checks share: one dockerd, which each leaves empty, and two linked hosts for half-open probes."""

from collections.abc import Iterator

import pytest

from checks.half_open import HalfOpen
from tests.support.dockerd import DockerHost, dockerd
from tests.support.half_open import Wire, prober, two_hosts
from tests.support.netns import Namespace


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerHost]:
    """A real dockerd; use `docker`, unless a fixture of a longer life needs it."""
    with dockerd() as host:
        yield host


@pytest.fixture
def docker(engine: DockerHost) -> Iterator[DockerHost]:
    """The dockerd without containers."""
    yield engine
    engine.remove()


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Namespace, Namespace]]:
    """Two linked hosts."""
    with two_hosts() as made:
        yield made


@pytest.fixture
def near(pair: tuple[Namespace, Namespace]) -> Iterator[HalfOpen]:
    """A prober on the first host."""
    with prober(pair[0]) as made:
        yield made


@pytest.fixture
def wire(pair: tuple[Namespace, Namespace]) -> Iterator[Wire]:
    """What comes in at the second host."""
    made = Wire(pair[1])
    yield made
    made.close()
