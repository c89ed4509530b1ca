"""From Docker's answers to a `Sighting`: typed, bounded, and without what we may not know.

The decoder takes the fields that are named here and skips the rest. The environment stays raw bytes until each of its
entries is known to be allowed: no token is ever made a string.
Source: Docker Engine API, ContainerList and ContainerInspect.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec

from checks.runtime import procfs
from checks.runtime.docker_place import is_process_of, own_namespace
from checks.runtime.docker_time import parse_seconds
from checks.runtime.model import Health, LogPlace, Sighting, allowed_environment

VERSION_LABEL = "org.opencontainers.image.version"  # OCI image annotations
MAX_NAME = 255
_MAX_WORD = 64  # a state, a driver, a time
_MAX_PID = 1 << 22  # the kernel's own limit
# What `docker logs` reads everywhere. Other drivers it reads too, from a copy that it keeps since version 20.10
# ("dual logging"), unless that is switched off.
_READABLE: Final = ("json-file", "local", "journald")
_PING_SYSCTL: Final = "net.ipv4.ping_group_range"
_VERSION: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}\Z", re.ASCII)
_NUMBERED: Final = re.compile(r"\d+\.\d", re.ASCII)
_HEALTH: Final = ("healthy", "unhealthy", "starting")
_MAX_NAME_OF_ENTRY = 128


_NO_ENTRIES: Final = msgspec.Raw(b"[]")


START_NOTED_S = 0.5  # Docker's note of a start lies some ms after the first line of a quick process


class Listed(msgspec.Struct, rename="pascal"):
    """One container of the list."""

    id: str
    names: list[str] | None = None  # a container that is being removed has none
    image: str = ""
    state: str = ""
    created: float = 0

    @property
    def name(self) -> str:
        """Its own name; the others, with a second slash, are links of other containers to it."""
        own = [name.lstrip("/") for name in self.names or () if "/" not in name.lstrip("/")]
        return (own or [self.id[:12]])[0][:MAX_NAME]

    def runs(self, repository: str) -> bool | None:
        """Tell whether its image is of a repository; None: the list has only an id, for the tag means a newer image."""
        if re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", self.image):
            return None
        return is_of(self.image, repository)


class _Health(msgspec.Struct, rename="pascal"):
    status: str = ""


class _State(msgspec.Struct, rename="pascal"):
    status: str = ""
    running: bool = False
    paused: bool = False
    restarting: bool = False
    oom_killed: bool = msgspec.field(default=False, name="OOMKilled")
    pid: int = 0
    exit_code: int = 0
    started_at: str = ""
    finished_at: str = ""
    health: _Health | None = None


class _LogConfig(msgspec.Struct, rename="pascal"):
    type: str = ""
    config: dict[str, str] | None = None


class _HostConfig(msgspec.Struct, rename="pascal"):
    network_mode: str = ""
    log_config: _LogConfig = msgspec.field(default_factory=_LogConfig)
    sysctls: dict[str, str] | None = None


class _Config(msgspec.Struct, rename="pascal"):
    image: str = ""
    tty: bool = False
    env: msgspec.Raw = _NO_ENTRIES
    labels: dict[str, str] | None = None


class Inspected(msgspec.Struct, rename="pascal"):
    """One container, as far as we may know it."""

    id: str
    name: str
    state: _State
    host_config: _HostConfig
    config: _Config
    created: str = ""
    restart_count: int = 0
    resolv_conf_path: str = ""

    @property
    def plain_name(self) -> str:
        """Its name without Docker's slash."""
        return self.name.lstrip("/")[:MAX_NAME]

    @property
    def created_at(self) -> float | None:
        """When it was made, in Unix seconds."""
        return parse_seconds(self.created)

    def runs(self, repository: str) -> bool:
        """Tell whether it was started from an image of a repository."""
        return is_of(self.config.image, repository)


_LIST: Final = msgspec.json.Decoder(list[Listed])
_INSPECT: Final = msgspec.json.Decoder(Inspected)
_ENTRIES: Final = msgspec.json.Decoder(list[msgspec.Raw] | None)
_TEXT: Final = msgspec.json.Decoder(str)


def is_of(image: str, repository: str) -> bool:
    """Tell whether an image is of a repository, whatever its registry, tag and digest."""
    path, _ = _split_image(image)
    return path == repository or path.endswith(f"/{repository}")


def _split_image(image: str) -> tuple[str, str]:
    """Return the repository and the tag (or nothing); a registry's port is no tag."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    last, _, tag = last.partition(":")
    return f"{head}{slash}{last}", tag


def decode_list(body: bytes) -> Sequence[Listed] | None:
    """Decode the list of containers; None when it is none."""
    try:
        return _LIST.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def decode_inspected(body: bytes) -> tuple[Inspected, Mapping[str, str]] | None:
    """Decode one container and the allowed part of its environment; None when the answer is something else."""
    try:
        found = _INSPECT.decode(body)
        entries = _ENTRIES.decode(found.config.env) or []
        environment = allowed_environment([_TEXT.decode(entry) for entry in entries if _allowed(entry)])
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    found.config.env = _NO_ENTRIES  # it is a view of the whole answer
    return found, environment


def _allowed(entry: msgspec.Raw) -> bool:
    """Judge an entry by its name, still in JSON's quotes; a name that JSON would escape is none of ours."""
    view = memoryview(entry)[:_MAX_NAME_OF_ENTRY]
    equals = next((at for at, byte in enumerate(view) if byte == ord("=")), 0)
    name = bytes(view[:equals]).decode("ascii", "replace")
    return name.startswith('"') and bool(allowed_environment([f"{name[1:]}="]))


def sighting(found: Inspected, environment: Mapping[str, str]) -> Sighting:
    """Say in our words what Docker told of the Connector's container."""
    state = found.state
    health = state.health.status if state.health is not None else ""
    # Docker calls a container running while it waits to start it again, and while it is frozen.
    running = state.running and not state.restarting and not state.paused
    pid = state.pid if 0 < state.pid < _MAX_PID else None
    return Sighting(
        runtime="docker",
        name=found.plain_name,
        running=running,
        status=state.status[:_MAX_WORD],
        id=f"{found.id[:12]}@{state.started_at[:_MAX_WORD]}",
        pid=pid,
        started_at=_began(state.started_at, state.finished_at),
        finished_at=None if running else parse_seconds(state.finished_at),
        exit_code=None if running else state.exit_code,
        oom_killed=state.oom_killed,
        health=cast("Health", health) if health in _HEALTH else None,
        restarts=max(0, found.restart_count),
        image=found.config.image[:MAX_NAME],
        version=_version(found.config),
        environment=environment,
        log=_log_place(found),
        own_namespace=own_namespace(
            container=found.id,
            pid=pid or 0,
            network_mode=found.host_config.network_mode,
            resolv_conf=found.resolv_conf_path,
        ),
        fds=procfs.descriptors(procfs.PROC, pid) if pid is not None and is_process_of(found.id, pid) else None,
        ping_group_range=_ping_group_range(found.host_config.sysctls or {}),
    )


def _version(config: _Config) -> str:
    """Return the version that the image's label tells, else its tag where that is a version and not `1` or `latest`."""
    label = (config.labels or {}).get(VERSION_LABEL, "")
    if _VERSION.match(label):
        return label
    _, tag = _split_image(config.image)
    return tag if _VERSION.match(tag) and _NUMBERED.match(tag) else ""


def _log_place(found: Inspected) -> LogPlace:
    log = found.host_config.log_config
    driver = log.type[:_MAX_WORD]
    problem = ""
    if driver == "none" or (driver not in _READABLE and (log.config or {}).get("cache-disabled") == "true"):
        problem = f"its log driver {driver} keeps nothing that Docker could read back; json-file, local and journald do"
    return LogPlace(kind="docker", id=found.id, driver=driver, tty=found.config.tty, problem=problem)


def _ping_group_range(sysctls: Mapping[str, str]) -> tuple[int, int] | None:
    words = sysctls.get(_PING_SYSCTL, "").split()
    if len(words) != 2 or not all(word.isascii() and word.isdigit() and len(word) <= 10 for word in words):
        return None
    return int(words[0]), int(words[1])


def _began(started_at: str, finished_at: str) -> float | None:
    """Return when the process began, not later than its first line was written: Docker notes the start after it.

    But not before the run before it had ended: what that one wrote last is not this one's.
    """
    started, finished = parse_seconds(started_at), parse_seconds(finished_at)
    if started is None:
        return None
    begun = started - START_NOTED_S
    return max(begun, finished) if finished is not None and finished <= started else begun
