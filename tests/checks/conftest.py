"""One dockerd for all tests of checks: starting one takes seconds, and each test leaves it empty."""

from collections.abc import Iterator

import pytest

from tests.support.dockerd import DockerHost, dockerd


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
