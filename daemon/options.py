"""What the daemon is started with: the configuration file, and what the command line adds to it."""

import sys

import msgspec

from checks.net.endpoint import Endpoint
from daemon.config.load import Loaded, load_config
from daemon.config.schema import Config

RESTART_ONLY = ("web", "state")  # sections that a running process can't change
POLITE_S = 0.0002
"""For how long a thread that computes lets the others wait for the interpreter; Python's own number is 5 ms, and the
loop waits after each of its system calls: 50 datagrams took 230 ms while a large file was read, and take 9 ms so."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line adds to the file."""

    config_file: str
    listen: tuple[Endpoint, ...] = ()
    web_socket: str | None = None
    web_config_file: str | None = None


def load(options: Options) -> Loaded:
    """Load the file with what the command line adds. Raises: ConfigError."""
    loaded = load_config(options.config_file)
    web = loaded.config.web
    web = msgspec.structs.replace(
        web,
        listen=options.listen or web.listen,
        socket=options.web_socket or web.socket,
        config_file=options.web_config_file or web.config_file,
    )
    config = msgspec.structs.replace(loaded.config, web=web)
    return Loaded(config=config, warnings=loaded.warnings, file=loaded.file)


def load_beside(options: Options) -> Loaded:
    """Do what `load` does in a thread beside the loop, which goes on meanwhile. Raises: ConfigError."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(POLITE_S)
    try:
        return load(options)
    finally:
        sys.setswitchinterval(usual)


def needs_restart(before: Config, after: Config) -> list[str]:
    """Return the sections that differ and that a running process can't change."""
    return [section for section in RESTART_ONLY if getattr(before, section) != getattr(after, section)]
