"""What can be seen of the Connector's own process, whatever runs it: the words that all runtimes speak."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

from checks.model import Reason

RuntimeName: TypeAlias = Literal["docker", "systemd", "kubernetes", "none"]
Health: TypeAlias = Literal["healthy", "unhealthy", "starting"]

IMAGE = "twingate/connector"
UNIT = "twingate-connector.service"
DOCKER_HOST = "unix:///var/run/docker.sock"
PROCESSES = ("connectord", "twingate-connector")
"""What the Connector's executable is called: in the image, and in Twingate's packages for systemd."""

_ALLOWED_NAMES = ("TWINGATE_NETWORK", "TWINGATE_URL", "TWINGATE_DNS", "TWINGATE_METRICS_PORT")
_ALLOWED_PREFIXES = ("TWINGATE_LOG_", "TWINGATE_LABEL_")
MAX_VALUE = 512  # characters of one variable: a name, a URL or a list of servers is shorter
_NAME = re.compile(r"[A-Za-z0-9_]{1,64}")
# What a slip of quotes puts into the variable beside a token's (`-e "A=x TWINGATE_ACCESS_TOKEN=…"`), a JWT, a password
# in a URL, an e-mail address: none of these is a setting.
_SECRET = re.compile(r"(?:ACCESS|REFRESH)_TOKEN|eyJ[\w-]{8,}\.|@", re.ASCII)

_NOTHING: Mapping[str, str] = MappingProxyType({})


def allowed_environment(entries: Iterable[str]) -> Mapping[str, str]:
    """Keep of `NAME=value` entries what the contract allows us to know; tokens are never among it.

    An allowed variable whose value holds what looks like a token, a password or an e-mail address is left out as well.
    """
    kept: dict[str, str] = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        allowed = name in _ALLOWED_NAMES or (name.startswith(_ALLOWED_PREFIXES) and _NAME.fullmatch(name))
        if equals and allowed and not _SECRET.search(value):
            kept[name] = value[:MAX_VALUE]
    return MappingProxyType(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPlace:
    """Where the Connector's log can be read.

    `kind` docker: `id` is the container, `driver` its log driver, `tty` whether its stream has no frames. `kind`
    journal: `id` is the unit. `problem`: why it can't be read from here (one clause), else empty.
    """

    kind: Literal["docker", "journal"]
    id: str
    driver: str = ""
    tty: bool = False
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One look at the Connector's process. Times are Unix seconds.

    - `name`: the container, unit or process looked for; `id` changes whenever the process was started anew.
    - `problem` with `evidence` (one clause for a person) when nothing could be seen: `not_found` or
      `permission_denied`; then all else is unknown. `action` says how to mend that.
    - `running` is None where it can't be told; `status` is the runtime's own word ("running", "restarting",
      "exited", "failed", "activating").
    - `restarts` is the runtime's own count since the container or unit was made; None where it has none.
    - `environment` holds only what `allowed_environment` lets through.
    - `own_namespace`: whether it shares this process's network namespace; None where it can't be told.
    - `fds` is (used, limit) of the process; `ping_group_range` the two numbers of its network namespace.
    - `engine` is Docker's address where that is not the usual one: commands to be copied need it.
    """

    runtime: RuntimeName
    name: str = ""
    problem: Reason | None = None
    evidence: str = ""
    action: str = ""
    running: bool | None = None
    status: str = ""
    id: str = ""
    pid: int | None = None
    started_at: float | None = None
    finished_at: float | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    health: Health | None = None
    restarts: int | None = None
    image: str = ""
    version: str = ""
    environment: Mapping[str, str] = field(default_factory=lambda: _NOTHING)
    log: LogPlace | None = None
    own_namespace: bool | None = None
    fds: tuple[int, int] | None = None
    ping_group_range: tuple[int, int] | None = None
    engine: str = ""


class Runtime(Protocol):
    """Looks at one Connector, again and again. Made by `checks.runtime.discover`."""

    @property
    def name(self) -> RuntimeName:
        """How the Connector runs."""

    async def look(self) -> Sighting:
        """Look once, within a few seconds; never raises for what the runtime says."""

    async def close(self) -> None:
        """Let go of what is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which Connector is meant: the section `connector` of the configuration."""

    runtime: Literal["auto", "docker", "systemd", "kubernetes", "none"] = "auto"
    container: str | None = None
    unit: str = UNIT
    docker_host: str = DOCKER_HOST


class AmbiguousError(Exception):
    """Several Connectors run here and none was chosen; the text lists them and says which key chooses."""
