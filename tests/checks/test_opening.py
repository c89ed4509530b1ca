"""Files in whose place something else stands: each reader says so, waits for nothing and leaves nothing open."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.net.resolvconf import SystemSettings
from daemon.config.files import fault
from daemon.config.problems import ConfigError
from daemon.push.credentials import CredentialError, read_secret
from daemon.web.web_file import read_access


def descriptors() -> int:
    """Count what this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.mark.parametrize(
    "read",
    [
        fault,
        read_access,
        lambda name: read_secret("bearer_file", name),
        lambda name: SystemSettings(resolv_conf=name, hosts=name).current(),
    ],
    ids=["config", "web", "push", "resolvconf"],
)
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_nothing_stays_open(tmp_path: Path, make: Callable[[str], None], read: Callable[[str], object]) -> None:
    """A daemon that looks every few seconds must not run out of descriptors."""
    name = str(tmp_path / "x")
    make(name)
    before = descriptors()
    for _ in range(5):
        with contextlib.suppress(ConfigError, CredentialError):
            assert read(name)
    assert descriptors() == before
