"""Files that the configuration names: where they are, and whether they can be read now."""

import os
import re
import stat

from checks.net.opening import at_once
from daemon.config.problems import value_text

_URL = re.compile(r"\bhttps?:/", re.IGNORECASE)
_CREDENTIALS = "/run/credentials/"  # systemd puts them there when the unit starts, and removes them when it stops


def absolute(name: str, folder: str) -> str:
    """Return the file name, relative ones from `folder`."""
    return os.path.normpath(os.path.join(folder, name))  # noqa: PTH118 - the result is text, and text it stays


def fault(name: str) -> str:
    """Tell why the file can't be used; empty when it can. Nothing of its content is kept or shown."""
    # A URL belongs into the file: whoever knows the address of a heartbeat can beat.
    shown = "a URL, which the file should hold" if _URL.search(name) else value_text(name)
    try:
        with open(name, "rb", opener=at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return f"not a regular file, got {shown}, expected a file"
            return "" if file.read(1) else f"the file is empty, got {shown}"
    except (FileNotFoundError, PermissionError) as error:
        return "" if _of_a_unit(name) else _unseen(error, name, shown)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        return f"{reason}, got {shown}, expected a readable file"


def _unseen(error: OSError, name: str, shown: str) -> str:
    if isinstance(error, PermissionError):
        return f"not readable by the user with id {os.geteuid()}, got {shown}; change its owner or mode"
    if name.startswith(_CREDENTIALS):
        return f"no such credential, got {shown}; give it to the unit (LoadCredential=, /etc/credstore), and restart it"
    return f"no such file, got {shown}; create it or correct the name"


def _of_a_unit(name: str) -> bool:
    """Tell whether it is a credential that only a service sees, and this process is not that service."""
    own = os.environ.get("CREDENTIALS_DIRECTORY")
    return name.startswith(_CREDENTIALS) and not (own and os.path.dirname(name) == own)  # noqa: PTH120 - text
