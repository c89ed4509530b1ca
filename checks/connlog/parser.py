"""One line of the Connector's log to one typed event, or to nothing; no line makes it fail, and none is kept."""

import secrets

from checks.connlog import analytics, service
from checks.connlog.analytics_line import MAX_BODY
from checks.connlog.model import LogEvent, RawLine

_WORD = b"ANALYTICS"
_PREFIX = 256  # bytes before ANALYTICS: a timestamp, a host name, a unit or container name and its pid are shorter
_LONGEST = len(_WORD) + MAX_BODY + 16  # enough to see that it is too long
_SALT_BYTES = 32
_MAX_SALT = 64  # bytes: what BLAKE2b takes as a key


class LogParser:
    """Understands a log, line by line. `salt` (1 to 64 bytes; None: a new one) makes the numbers of users.

    `lines` were fed; `unparsed` are ANALYTICS lines that could not be read (cut, damaged, too long, of no known form).
    """

    def __init__(self, salt: bytes | None) -> None:
        self._salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
        if not 1 <= len(self._salt) <= _MAX_SALT:
            raise ValueError(f"a salt of {len(self._salt)} bytes; expected 1 to {_MAX_SALT}")
        self.lines = 0
        self.unparsed = 0

    def feed(self, line: RawLine) -> LogEvent | None:
        """Return what the line says, None when that is nothing to us. Never raises for what stands in it."""
        self.lines += 1
        text = line.text
        place = text.find(_WORD, 0, _PREFIX)
        if place >= 0:
            # The rest of a line that begins like an event is never read as a message: users write parts of it.
            body = text[place + len(_WORD) : place + _LONGEST].strip()
            if body.startswith(b"{"):
                return self._connection(body, line.at)
        return service.parse(text, line.at)

    def _connection(self, body: bytes, at: float) -> LogEvent | None:
        try:
            return analytics.parse(body, at, self._salt)
        except ValueError:
            self.unparsed += 1
            return None
