"""The resolver's settings on this host: resolv.conf and the hosts file, read again whenever they change.

What counts is what the Connector's resolver (libevent's evdns) makes of them: it uses every `nameserver` line (glibc
stops after three), the last `search` or `domain` line wins, and without any nameserver it asks 127.0.0.1.
Source: resolv.conf(5), hosts(5).
"""

import os
import re
import socket
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from checks.net.answers import DNS_PORT
from checks.net.endpoint import Endpoint, is_address, parse_endpoint
from checks.net.opening import at_once

MAX_FILE_BYTES = 1 << 20  # a block list of 30,000 names fits; whatever is longer is no settings file
MAX_NDOTS = 15  # resolv.conf(5): silently capped there
# The file may be a container's own, and each of these costs questions: a row of the resolver check, a try of each name.
MAX_NAMESERVERS = 16
MAX_SEARCH = 32
MAX_ADDRESSES = 64  # of one name in the hosts file; a probe takes fewer
MAX_PROBLEMS = 8
_MAX_SHOWN = 64  # characters of a word that is no address
_ZONE = re.compile(r"[\w.-]{1,15}", re.ASCII)  # IFNAMSIZ
_DOMAIN = re.compile(r"[\w.-]{1,253}", re.ASCII)  # RFC 1035 §2.3.4
DEFAULT_NAMESERVER = Endpoint("127.0.0.1", DNS_PORT)

_NO_HOSTS: Mapping[str, tuple[str, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How names are resolved: `nameservers` in order without repetition, `hosts` from lower-case name to addresses.

    `problems` are sentences about what could not be read or understood. No nameserver at all means that the settings
    are not known: the file exists and can't be read.
    """

    nameservers: tuple[Endpoint, ...] = (DEFAULT_NAMESERVER,)
    search: tuple[str, ...] = ()
    ndots: int = 1
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NO_HOSTS)
    problems: tuple[str, ...] = ()


class SettingsSource(Protocol):
    """Where a resolver gets its settings; asked before each lookup, so it must be cheap when nothing changed."""

    def current(self) -> Settings:
        """Return the settings as they are now; never raises."""


def parse_resolv_conf(text: str, host_name: str = "") -> Settings:
    """Parse resolv.conf. Without `search` and `domain` the domain of `host_name` is searched, as libc and evdns do."""
    nameservers: dict[Endpoint, None] = {}
    search: tuple[str, ...] | None = None
    ndots, problems = 1, []
    for line in text.split("\n"):
        words = _words(line)
        if len(words) < 2:
            continue
        match words[0]:
            case "nameserver":
                endpoint = _nameserver(words[1])
                if endpoint:
                    nameservers[endpoint] = None
                else:
                    problems.append(f"nameserver {words[1][:_MAX_SHOWN]!r} is not an address")
            case "domain":
                search = (_domain(words[1]),)
            case "search":
                search = tuple(dict.fromkeys(_domain(word) for word in words[1:]))
            case "options":
                ndots = _ndots(words[1:], ndots)
            case _:
                pass
    if search is None:
        _, _, domain = host_name.partition(".")
        search = (_domain(domain),) if domain else ()
    return _bounded(
        Settings(
            nameservers=tuple(nameservers),
            search=tuple(domain for domain in search if _DOMAIN.fullmatch(domain)),
            ndots=ndots,
            problems=tuple(problems),
        )
    )


def _bounded(read: Settings) -> Settings:
    """Leave out what no real file has so much of, and say so."""
    problems = list(read.problems)
    if len(problems) > MAX_PROBLEMS:
        problems[MAX_PROBLEMS - 1 :] = [f"{len(problems) - MAX_PROBLEMS + 1} more nameservers are not addresses"]
    if len(read.nameservers) > MAX_NAMESERVERS:
        problems.append(f"{len(read.nameservers)} nameservers are named: the first {MAX_NAMESERVERS} are asked")
    if len(read.search) > MAX_SEARCH:
        problems.append(f"{len(read.search)} domains are to be searched: the first {MAX_SEARCH} are")
    return replace(
        read,
        nameservers=read.nameservers[:MAX_NAMESERVERS] or (DEFAULT_NAMESERVER,),
        search=read.search[:MAX_SEARCH],
        problems=tuple(problems),
    )


def parse_hosts(text: str) -> Mapping[str, tuple[str, ...]]:
    """Parse a hosts file into lower-case name → addresses in file order, IPv4 before IPv6.

    This runs over block lists of many thousand lines: hence the plain loop.
    """
    found: dict[str, tuple[str, ...]] = {}
    valid: dict[str, bool] = {}  # a block list repeats one address all the time
    for line in text.lower().split("\n"):
        words = (line.partition("#")[0] if "#" in line else line).split()
        if len(words) < 2:
            continue
        address = words[0]
        known = valid.get(address)
        if known is None:
            known = valid[address] = is_address(address) and _has_real_zone(address)
        if known:
            for name in words[1:]:
                held = found.get(name)
                found[name] = (address,) if held is None else _with(held, address)
    return found


class SettingsFile(Protocol):
    """A small text file, wherever it is. `text` is None until it could be read once, and "" when it does not exist."""

    @property
    def text(self) -> str | None:
        """The text as last read."""

    @property
    def problem(self) -> str:
        """A sentence about what could not be read just now, else empty."""

    def refresh(self) -> bool:
        """Read the file if it changed; tell whether text or problem did."""


class SystemSettings:
    """The settings of the files, with what the configuration replaces; a `SettingsSource`.

    A missing file means the defaults, as it does to libc. One that can't be read leaves the last known settings in
    force, says so in `problems`, and yields no nameserver when it never could be read: we don't know then.
    `environment` returns the nameservers that replace those of the file unless the configuration names some
    (TWINGATE_DNS); it may change.
    """

    def __init__(
        self,
        *,
        resolv_conf: str | SettingsFile = "/etc/resolv.conf",
        hosts: str | SettingsFile = "/etc/hosts",
        nameservers: tuple[Endpoint, ...] | None = None,
        search: tuple[str, ...] | None = None,
        host_name: Callable[[], str] = socket.gethostname,
        environment: Callable[[], tuple[Endpoint, ...] | None] = lambda: None,
    ) -> None:
        self._resolv_conf = _WatchedFile(resolv_conf) if isinstance(resolv_conf, str) else resolv_conf
        self._hosts = _WatchedFile(hosts) if isinstance(hosts, str) else hosts
        self._nameservers = nameservers
        self._search = search
        self._host_name = host_name
        self._environment = environment
        self._combined_of: object = None
        self._settings = Settings()

    def current(self) -> Settings:
        """Return the settings as they are now: two stat() calls while the files stay as they are."""
        changed = self._resolv_conf.refresh()
        changed = self._hosts.refresh() or changed
        nameservers = self._environment() if self._nameservers is None else self._nameservers
        now = (self._host_name(), nameservers)
        if changed or now != self._combined_of:
            self._combined_of = now
            self._settings = self._combine(*now)
        return self._settings

    def _combine(self, host_name: str, nameservers: tuple[Endpoint, ...] | None) -> Settings:
        settings = parse_resolv_conf(self._resolv_conf.text or "", host_name)
        if self._resolv_conf.text is None:
            settings = replace(settings, nameservers=())
        if nameservers is not None:
            settings = replace(settings, nameservers=tuple(dict.fromkeys(nameservers)))
        if self._search is not None:
            settings = replace(settings, search=tuple(_domain(domain) for domain in self._search))
        own = self._resolv_conf.problem if nameservers is None or self._search is None else ""
        problems = (*settings.problems, *(problem for problem in (own, self._hosts.problem) if problem))
        return replace(settings, hosts=parse_hosts(self._hosts.text or ""), problems=problems)


class _WatchedFile:
    """A small text file that is read again when it changed. `text` is None until it could be read once."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._seen: tuple[int, ...] | str | None = None
        self.text: str | None = None
        self.problem = ""

    def refresh(self) -> bool:
        """Read the file if it changed; tell whether it did."""
        try:
            now: tuple[int, ...] | str = _signature(self._path.stat())
        except OSError as error:
            now = type(error).__name__
        if now == self._seen:
            return False
        self._seen = now
        self.problem = ""
        try:
            self._seen = self._read()
        except FileNotFoundError:
            self.text = ""
        except OSError as error:
            self.problem = f"{self._path} can't be read: {error.strerror}"
        return True

    def _read(self) -> tuple[int, ...]:
        """Read the file; return the signature of what was read. Raises: OSError."""
        with open(self._path, "rb", opener=at_once) as file:
            signature = _signature(os.fstat(file.fileno()))
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError(0, "it is not a regular file")
            data = file.read(MAX_FILE_BYTES + 1)
        if len(data) > MAX_FILE_BYTES:
            data = data[: data.rfind(b"\n", 0, MAX_FILE_BYTES) + 1]
            self.problem = f"{self._path} is longer than {MAX_FILE_BYTES >> 20} MiB: only its beginning was read"
        self.text = data.decode("utf-8", "replace")
        return signature


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev, status.st_mode


def _words(line: str) -> list[str]:
    """Split a line of resolv.conf; a word that starts with # or ; and all after it are a comment."""
    words: list[str] = []
    for word in line.split():
        if word[0] in "#;":
            break
        words.append(word)
    return words


def _nameserver(word: str) -> Endpoint | None:
    try:
        endpoint = parse_endpoint(word, DNS_PORT)
    except ValueError:
        return None
    return endpoint if endpoint.literal and _has_real_zone(endpoint.host) else None


def _has_real_zone(address: str) -> bool:
    """Tell whether what follows the % of an address, if any, can be an interface: else it is text of any kind."""
    _, percent, zone = address.partition("%")
    return not percent or _ZONE.fullmatch(zone) is not None


def _domain(word: str) -> str:
    return word.strip(".").lower()


def _ndots(options: list[str], ndots: int) -> int:
    for option in options:
        name, _, value = option.partition(":")
        if name == "ndots" and value.isascii() and value.isdigit():
            ndots = min(int(value[:3]), MAX_NDOTS)
    return ndots


def _with(held: tuple[str, ...], address: str) -> tuple[str, ...]:
    if len(held) >= MAX_ADDRESSES or address in held:
        return held
    return tuple(sorted((*held, address), key=lambda a: ":" in a))  # stable: file order within a family
