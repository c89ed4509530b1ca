"""Which token error of the Connector holds now."""

from checks.connlog.model import LogCause

PROOF_S = 300.0  # a Connector whose token is refused asks again within a minute: what works this long after works


class TokenError:
    """Holds a token error until the log shows that it is over. Times: Unix seconds.

    A token refused (a clock that is off) is over when the Connector says that it is Online. At the default log level it
    never says so: a user connection established 5 minutes or more after the last refusal is proof as well. A token that
    is gone never comes back: only a Connector started anew may have another.
    """

    def __init__(self) -> None:
        self.cause: LogCause | None = None
        self.since: float | None = None
        self.last_at = 0.0

    def note(self, cause: LogCause, at: float) -> None:
        """Take an error of the log; those that are not about tokens are passed over."""
        if cause not in (LogCause.TOKEN_INVALID, LogCause.TOKEN_GONE):
            return
        if self.cause is LogCause.TOKEN_GONE and cause is not LogCause.TOKEN_GONE:
            return
        if self.cause is not cause:
            self.cause, self.since = cause, at
        self.last_at = at

    def online(self) -> None:
        """Take the state Online."""
        if self.cause is LogCause.TOKEN_INVALID:
            self._clear()

    def established(self, at: float) -> None:
        """Take a user connection established at `at`."""
        if self.cause is LogCause.TOKEN_INVALID and at - self.last_at >= PROOF_S:
            self._clear()

    def process_started(self, at: float) -> None:
        """Take that the Connector's process was started anew at `at`; what it said after that stays."""
        if self.since is None:
            return
        if self.last_at < at:
            self._clear()
        else:
            self.since = max(self.since, at)

    def _clear(self) -> None:
        self.cause = self.since = None
