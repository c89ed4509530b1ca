"""Who and where we are: series that never change while the process runs."""

import functools
import platform

from daemon.metrics.exposition import Family, block
from daemon.metrics.families import gauge, info
from daemon.version import __version__
from daemon.view import View

VANTAGES = ("connector", "host")
RUNTIMES = ("docker", "systemd", "kubernetes", "none")


def identity_families(view: View) -> list[Family]:
    """Return what identifies this process and the Connector that it watches."""
    config, engine = view.config.connector, view.engine
    about = info("", "The Connector that this process watches. Join it to any other metric.")
    about.add(
        1,
        block(
            (
                ("connector", engine.connector),
                ("remote_network", config.remote_network),
                ("network", config.network or ""),
            )
        ),
    )
    vantage = gauge("vantage", "Where the probes stand: 1 for one of connector (its network namespace) or host.")
    runtime = gauge("runtime", "How the Connector runs: 1 for one of docker, systemd, kubernetes, none.")
    for family, label, names, current in (
        (vantage, "vantage", VANTAGES, engine.vantage),
        (runtime, "runtime", RUNTIMES, engine.runtime),
    ):
        for name in names:
            family.add(name == current, block(((label, name),)))
    return [_build(), about, vantage, runtime]


@functools.cache
def _build() -> Family:
    family = info("build", "The version of connector-health and of Python.")
    family.add(1, block((("version", __version__), ("python", platform.python_version()))))
    return family
