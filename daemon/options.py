"""What the daemon is started with: the configuration file, and what the command line adds to it."""

import msgspec

from checks.net.endpoint import Endpoint
from daemon.config.load import Loaded, load_config


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line adds to the file."""

    config_file: str
    listen: tuple[Endpoint, ...] = ()
    web_config_file: str | None = None


def load(options: Options) -> Loaded:
    """Load the file with what the command line adds. Raises: ConfigError."""
    loaded = load_config(options.config_file)
    web = loaded.config.web
    web = msgspec.structs.replace(
        web, listen=options.listen or web.listen, config_file=options.web_config_file or web.config_file
    )
    config = msgspec.structs.replace(loaded.config, web=web)
    return Loaded(config=config, warnings=loaded.warnings, file=loaded.file)
