"""What is dear to make, and is made once for all tests that install for real."""

from collections.abc import Iterator

import pytest

from tests.support.image import Docker, image_lab


@pytest.fixture(scope="session")
def image_docker() -> Iterator[Docker]:
    """A dockerd that has our image, built by both builders from this tree."""
    with image_lab() as docker:
        yield docker
