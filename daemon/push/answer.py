"""What an Alertmanager's answer to a batch of alerts means, and what its Date header tells of its clock."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum, auto

from checks.net.text import printable
from daemon.push.http import Reply

SAME_CLOCK_S = 2.0  # the header has whole seconds, and the answer took its time: less is no difference
MAX_QUOTE = 200  # characters of what it says that are shown
PIECE, LEAST_PIECE = 8, 4  # letters and digits in a row: fewer of a longer secret help nobody; shorter ones are words
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}|&#?\w{1,8};|\\(?:u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[a-z])")
# Unix seconds: of a peer that claims to live before 1970 or after 9000 nothing is believed. Times near the calendar's
# end can't be written any more once a resend is added to them.
DATES = range(221_845_392_000)

_PROBLEMS = {
    401: "it does not accept the credentials ({})",
    403: "it does not accept the credentials ({})",
    404: "there is no Alertmanager API v2 under this url ({}): is its path right?",
    405: "there is no Alertmanager API v2 under this url ({}): is its path right?",
}
_PROBLEMS_BY_CLASS = {
    2: "it answers {} with a web page: no Alertmanager, or a login before it",
    3: "it redirects ({}), which is not followed: correct the url",
}


class Taken(StrEnum):
    """What became of a batch."""

    YES = auto()
    PARTLY = auto()
    NO = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a batch, and why it is not well: one clause, empty when it is."""

    taken: Taken
    problem: str = ""


def judge(reply: Reply, secrets: Iterable[str] = ()) -> Verdict:
    """Judge an answer. `secrets` are not shown, although the peer says them.

    400 in JSON is Alertmanager's own: it has stored the valid alerts of the batch and refused the others.
    Source: Alertmanager `api/v2.postAlertsHandler`; Prometheus `notifier.sendOne` (any 2xx is success).
    """
    status = reply.status
    if status is None:
        return Verdict(taken=Taken.NO, problem=reply.problem)
    page = reply.kind == "text/html" and bool(reply.text)
    if status in range(200, 300) and not page:
        return Verdict(taken=Taken.YES)
    if status == 400 and reply.kind == "application/json":
        return Verdict(taken=Taken.PARTLY, problem=f"it refuses some of the alerts (400){_quoted(reply, secrets)}")
    problem = _PROBLEMS.get(status) or _PROBLEMS_BY_CLASS.get(status // 100) or "it answers {}"
    problem = problem.format(status) + ("" if page else _quoted(reply, secrets))
    return Verdict(taken=Taken.NO, problem=problem)


def _quoted(reply: Reply, secrets: Iterable[str]) -> str:
    text, secrets = reply.text.strip().strip('"'), tuple(secrets)
    for secret in secrets:  # before it is cut: half a secret would be left there
        text = text.replace(secret, "<secret>")
    text = text[: MAX_QUOTE + 1]
    if any(_repeats(text, secret) for secret in secrets):
        return ": its answer, which repeats a part of our credentials, is not shown"
    return f": {printable(text, MAX_QUOTE)}" if text else ""


def _repeats(text: str, secret: str) -> bool:
    """Tell whether a part of a secret stands in a text, also if it is cut or escaped as in JSON, HTML or a URL."""
    said, kept = _plain(text), _plain(secret)
    length = min(PIECE, len(kept))
    return length >= LEAST_PIECE and any(said[i : i + length] in kept for i in range(len(said) - length + 1))


def _plain(text: str) -> str:
    return "".join(filter(str.isalnum, _ESCAPE.sub("", text))).casefold()


class PeerClock:
    """The peer's clock by the Date of its last answer, kept going on the loop's clock, which nobody sets."""

    def __init__(self) -> None:
        self.known = False
        """Whether an answer was heard, with a date or not."""
        self._at: tuple[float, float] | None = None  # Unix seconds there, loop time here

    def heard(self, reply: Reply, now: float) -> None:
        """Take an answer that came at this loop time."""
        if reply.status is None:
            return
        self.known = True
        self._at = None if reply.date is None or reply.date not in DATES else (float(reply.date), now)

    def ahead_s(self, now: float, wall: float) -> float | None:
        """Return by how many seconds the peer's clock is ahead of ours; None when it is the same or not known."""
        if self._at is None:
            return None
        ahead = self._at[0] + (now - self._at[1]) - wall
        return ahead if abs(ahead) > SAME_CLOCK_S else None
