"""Which time servers this host itself uses: read from the files of chrony, systemd-timesyncd and ntpd.

Sources: chrony.conf(5), timesyncd.conf(5), ntp.conf(5).
"""

import glob
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from checks.net.endpoint import Endpoint, parse_endpoint

NTP_PORT = 123
MAX_SERVERS = 16  # chronyd and ntpd themselves advise fewer than ten
MAX_FILE_BYTES = 65536  # a configuration of this size is not one
MAX_FILES = 64  # `include` may name itself
CHRONY_FILES = ("etc/chrony/chrony.conf", "etc/chrony.conf")
NTPD_FILES = ("etc/ntpsec/ntp.conf", "etc/ntp.conf")
TIMESYNCD_FILES = ("etc/systemd/timesyncd.conf", "usr/lib/systemd/timesyncd.conf")
TIMESYNCD_DROPINS = ("usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd")  # later ones win
PID_FILES = {
    "chrony": ("chronyd", ("run/chrony/chronyd.pid", "run/chronyd.pid")),
    "ntpd": ("ntpd", ("run/ntpd.pid", "run/ntp/ntpd.pid")),
}
TIMESYNCD_RUNTIME = "run/systemd/timesync"  # systemd makes it when the service starts and removes it when it ends
NETWORKD_STATE = "run/systemd/netif/state"  # what DHCP told networkd, which timesyncd uses beside its own file
REFCLOCK_NETWORK = "127.127."  # ntpd writes a clock on a serial port as an address: there is nobody to ask


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSources:
    """What was found.

    `daemon` is chrony, timesyncd, ntpd or None; `running` tells whether it was seen to run, or only its file was found;
    `problems` are sentences for a person.
    """

    daemon: str | None = None
    running: bool = False
    servers: tuple[Endpoint, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """One pass over a daemon's files."""

    root: Path
    servers: list[Endpoint] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    files: int = 0

    def lines(self, path: Path) -> Iterator[str]:
        self.files += 1
        if self.files > MAX_FILES:
            if self.files == MAX_FILES + 1:
                self.problems.append(f"more than {MAX_FILES} files are included: the rest was not read")
            return
        try:
            with path.open("rb") as file:
                text = file.read(MAX_FILE_BYTES).decode("utf-8", "replace")
        except OSError as error:
            self.problems.append(f"{self.shown(path)} could not be read: {error.strerror}")
            return
        for line in text.splitlines():
            yield line.strip()

    def shown(self, path: Path) -> str:
        return f"/{path.relative_to(self.root)}" if path.is_relative_to(self.root) else str(path)

    def inside(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def add(self, host: str, port: str | None, path: Path) -> None:
        try:
            server = parse_endpoint(host if port is None else f"{_bracketed(host)}:{port}", NTP_PORT)
        except ValueError as error:
            self.problems.append(f"{self.shown(path)}: {error}")
            return
        if server not in self.servers:
            self.servers.append(server)


def discover(root: Path = Path("/")) -> TimeSources:
    """Return the servers of the time daemon that runs here; if none is seen to run, of the first that has a file.

    A daemon may run unseen (in another process namespace, or hidden by the service's own hardening), so a file without
    a process is still worth asking, and said.
    """
    readers: dict[str, Callable[[_Reading], bool]] = {
        "chrony": _read_chrony,
        "ntpd": _read_ntpd,
        "timesyncd": _read_timesyncd,
    }
    running = [name for name in readers if _runs(root, name)]
    problems = [f"{' and '.join(running)} run at once: they steer one clock"] if len(running) > 1 else []
    for name in running or readers:
        reading = _Reading(root)
        found = readers[name](reading)
        if not found and not running:
            continue
        if not running:
            problems.append(f"{name} is configured, but was not seen to run")
        elif not found:
            problems.append(f"{name} runs, but its configuration was not found")
        return TimeSources(
            daemon=name,
            running=bool(running),
            servers=tuple(reading.servers[:MAX_SERVERS]),
            problems=(*problems, *reading.problems),
        )
    return TimeSources(problems=("no time daemon was found (chrony, systemd-timesyncd, ntpd)",))


def _runs(root: Path, daemon: str) -> bool:
    if daemon == "timesyncd":
        return (root / TIMESYNCD_RUNTIME).is_dir()
    command, pid_files = PID_FILES[daemon]
    for name in pid_files:
        try:
            pid = int((root / name).read_text("ascii")[:20])
            comm = (root / f"proc/{pid}/comm").read_text("utf-8", "replace").strip()
        except (OSError, ValueError):
            continue  # no such file, or one left behind by a process that is gone
        if comm == command:
            return True
    return False


def _read_chrony(reading: _Reading) -> bool:
    path = next((p for p in map(reading.inside, CHRONY_FILES) if p.is_file()), None)
    if path is None:
        return False
    _chrony_file(reading, path)
    return True


def _chrony_file(reading: _Reading, path: Path) -> None:
    for line in reading.lines(path):
        if not line or line[0] in "!;#%":
            continue
        directive, *words = line.split()
        match directive.lower():
            case "server" | "pool" | "peer" if words:
                _add_source(reading, words, path)
            case "include" if words:
                for included in _matches(reading, words[0]):
                    _chrony_file(reading, included)
            case "confdir":
                for included in _listed(reading, words, ".conf"):
                    _chrony_file(reading, included)
            case "sourcedir":
                for included in _listed(reading, words, ".sources"):
                    _chrony_file(reading, included)


def _read_ntpd(reading: _Reading) -> bool:
    path = next((p for p in map(reading.inside, NTPD_FILES) if p.is_file()), None)
    if path is None:
        return False
    _ntpd_file(reading, path)
    return True


def _ntpd_file(reading: _Reading, path: Path) -> None:
    for line in reading.lines(path):
        directive, *words = line.partition("#")[0].split() or [""]
        words = [w for w in words if w not in ("-4", "-6")]
        match directive.lower():
            case "server" | "pool" | "peer" if words and not words[0].startswith(REFCLOCK_NETWORK):
                _add_source(reading, words, path)
            case "includefile" if words:
                for included in _matches(reading, words[0]):
                    _ntpd_file(reading, included)


def _add_source(reading: _Reading, words: list[str], path: Path) -> None:
    options = [w.lower() for w in words[1:]]
    if "noselect" in options:  # only watched by the daemon itself, never trusted
        return
    port = words[options.index("port") + 2] if "port" in options[:-1] else None
    reading.add(words[0], port, path)


def _read_timesyncd(reading: _Reading) -> bool:
    main = next((p for p in map(reading.inside, TIMESYNCD_FILES) if p.is_file()), None)
    by_name = {
        path.name: path
        for folder in TIMESYNCD_DROPINS
        for path in _listed(reading, [f"/{folder}/timesyncd.conf.d"], ".conf")
    }
    files = [*([main] if main else []), *(by_name[name] for name in sorted(by_name))]
    chosen: dict[str, list[str]] = {"NTP": [], "FallbackNTP": []}
    compiled_in: list[str] = []
    for path in files:
        for line in reading.lines(path):
            key, equals, value = line.partition("=")
            key = key.strip()
            if equals and key in chosen:
                # An empty assignment forgets what came before it.
                chosen[key] = [*chosen[key], *value.split()] if value.strip() else []
            elif equals and key == "#FallbackNTP" and path == main:
                compiled_in = value.split()  # the shipped file shows the compile-time default in this comment
    state = reading.inside(NETWORKD_STATE)
    from_network = [
        word
        for line in (reading.lines(state) if state.is_file() else ())
        if line.startswith("NTP=")
        for word in line[4:].split()
    ]
    names = [*from_network, *chosen["NTP"]] or chosen["FallbackNTP"] or compiled_in
    if files and not names:
        reading.problems.append("timesyncd's compiled-in servers are not known here: list them under clock.servers")
    for name in names:
        reading.add(name, None, main or state)
    return bool(files)


def _matches(reading: _Reading, pattern: str) -> list[Path]:
    # Path.glob raises for some patterns, and walks a whole disk for `**`.
    found = glob.glob(f"{glob.escape(str(reading.root))}/{pattern.lstrip('/')}")  # noqa: PTH207
    return [path for path in map(Path, sorted(found)) if path.is_file()]


def _listed(reading: _Reading, folders: list[str], suffix: str) -> list[Path]:
    """Return the files of a list of folders in the order of their names; of two with one name the first folder's."""
    by_name: dict[str, Path] = {}
    for folder in folders:
        for path in _matches(reading, f"{folder.rstrip('/')}/*{suffix}"):
            by_name.setdefault(path.name, path)
    return [by_name[name] for name in sorted(by_name)]


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
