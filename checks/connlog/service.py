"""The Connector's service lines, `[LEVEL] [component] message`: its states, the causes of its errors, its nameservers.

Timestamps (TWINGATE_TIMESTAMP_FORMAT 1 or 2), a syslog prefix, colour codes or other text before the level do not
matter, nor does case. Nothing of a line's text goes on: an event holds a member of a closed set, and at most an
address. Every pattern here takes time linear in the line: repetitions are bounded and never nested.

Sources: help:4104282255, help:4908519978, help:1422554451, help:4995810632, help:1364033881; Twingate/helm-charts #42;
libevent evdns.c (the lines about nameservers).
"""

import re

from checks.connlog.model import CauseSeen, LogCause, LogEvent, LogState, NameserverSeen, StateSeen
from checks.connlog.shapes import ipv4_endpoint, nameserver_of
from checks.net.endpoint import Endpoint

MAX_READ = 16 * 1024  # bytes of one line that are looked at: a message that matters stands at the beginning
DNS_PORT = 53
_RELAY_WINDOW = 64  # bytes between "relay" and what is said of it: its address
_LISTENER = b"preconnect a relay listener"
_LOST = b" is not available"

_MARKERS = (
    b"state:",
    b"invalid token",
    b"token verification failed",
    b"code 410",
    b"os error 24",
    b"too many open files",
    b"preconnect a relay",
    b"is not available",
    b"nameserver",
    b"[error]",
)
"""A line with none of these, lower case, says nothing to us: that is nearly every line at level 7."""

_LEVEL = re.compile(rb"\[(error|err|warning|warn|info|debug|trace|msg)\]")
# The state follows `]`, `:`, a timestamp, a colour code or nothing: "peer state: x" is somebody else's.
_STATE = re.compile(
    rb"(?:^|[\]:|>)0-9]|[0-9]z|\x1b\[[0-9;]{0,8}m|sdwan_)[ \t]{0,4}(state):[ \t]{1,4}([a-z][a-z-]{0,23})"
)
_STATES = {
    b"online": LogState.ONLINE,
    b"offline": LogState.OFFLINE,
    b"authentication": LogState.AUTHENTICATION,
    b"authenticating": LogState.AUTHENTICATION,
    b"error": LogState.ERROR,
    b"unrecoverable": LogState.UNRECOVERABLE,
}
_NAMESERVER = re.compile(rb"nameserver ([0-9a-f.:\[\]]{2,64}) (has failed|is back up)")
# What stands in quotes may be what a user asked for: no state, nameserver or token of the Connector's.
_QUOTED = re.compile(rb'"[^"]*"')
_ASKED = b"failed to get"
_GONE = re.compile(rb"gone\W{0,4}code 410(?![0-9])")
_FDS = re.compile(rb"os error 24(?![0-9])|too many open files")
# Only what stands where a Relay's address stands is one: other addresses in these lines may be anybody's.
_ADDRESS = rb"\[?([0-9.]{7,15})\]?(?::|,? port )([0-9]{1,5})"
_RELAY = re.compile(rb"relay " + _ADDRESS + rb"\]?")
_RELAY_LISTENER = re.compile(rb"preconnect a relay listener \"?(?:[a-z0-9+]{1,32}://)?" + _ADDRESS + rb"(?![0-9.])")
_PARSING = re.compile(rb"pars(?:e|ing)|syntax|json|unexpected")


def parse(text: bytes, at: float) -> LogEvent | None:
    """Return what one line says, None when that is nothing. `at`: Unix seconds at which it was written."""
    low = text[:MAX_READ].lower()
    for marker in _MARKERS:
        if marker in low:
            return _parse_marked(text, low, at)
    return None


def _parse_marked(text: bytes, low: bytes, at: float) -> LogEvent | None:
    found = _LEVEL.search(low)
    level = found[1] if found else b""
    bare = _QUOTED.sub(_blank, low) if b'"' in low else low
    return _nameserver(bare, at) or _cause(low, bare, at) or _state(text, bare, level, at) or _other(low, level, at)


def _blank(quoted: re.Match[bytes]) -> bytes:
    return b'"' * len(quoted[0])


def _nameserver(low: bytes, at: float) -> LogEvent | None:
    if b"nameserver" not in low:
        return None
    if b"all nameservers have failed" in low:
        return NameserverSeen(at=at, nameserver=None, up=False)
    found = _NAMESERVER.search(low)
    if found:
        nameserver = nameserver_of(found[1].decode("ascii"), DNS_PORT)
        up = found[2] == b"is back up"
        if nameserver is not None:
            return NameserverSeen(at=at, nameserver=nameserver, up=up)
    # That one has failed is known, although not which.
    has_failed = b"has failed" in low[low.find(b"nameserver ") :]
    return CauseSeen(at=at, cause=LogCause.NAMESERVER_FAILED) if b"nameserver " in low and has_failed else None


def _cause(low: bytes, bare: bytes, at: float) -> CauseSeen | None:
    # What the Controller answered may be quoted; where nothing says that this is an answer, quotes are somebody else's.
    said = low if _ASKED in bare else bare
    if _GONE.search(said):
        return CauseSeen(at=at, cause=LogCause.TOKEN_GONE)
    if not _is_push_channel(low) and _says_token_invalid(said):
        return CauseSeen(at=at, cause=LogCause.TOKEN_INVALID)
    if _FDS.search(low):
        return CauseSeen(at=at, cause=LogCause.FDS_EXHAUSTED)
    if _LISTENER in low:
        return CauseSeen(at=at, cause=LogCause.RELAY_UNREACHABLE, endpoint=_endpoint(_RELAY_LISTENER.search(low)))
    return _relay_lost(low, at)


def _relay_lost(low: bytes, at: float) -> CauseSeen | None:
    """Read "relay ADDRESS is not available, disconnect"; something else may be not available, near another relay."""
    end = low.find(_LOST)
    while end >= 0:
        relay = low.rfind(b"relay", max(0, end - _RELAY_WINDOW), end)
        if relay >= 0:
            named = _endpoint(_RELAY.fullmatch(low, relay, end))
            if named is not None or low.startswith(b", disconnect", end + len(_LOST)):
                return CauseSeen(at=at, cause=LogCause.RELAY_UNREACHABLE, endpoint=named)
        end = low.find(_LOST, end + 1)
    return None


def _endpoint(found: re.Match[bytes] | None) -> Endpoint | None:
    return ipv4_endpoint(found[1].decode("ascii"), found[2].decode("ascii")) if found else None


def _says_token_invalid(low: bytes) -> bool:
    """Tell whether the Connector's own token was refused.

    The push channel's "Token is expired." (PubNub, 403) is renewed by itself and never counts; nor does a parser that
    complains about an invalid token in its text.
    """
    if b"token verification failed" in low:
        return b"expired" in low
    return b"invalid token" in low and not _PARSING.search(low)


def _is_push_channel(low: bytes) -> bool:
    return b"access manager" in low or b"pubnub" in low or b"pbcc_" in low


def _state(text: bytes, low: bytes, level: bytes, at: float) -> StateSeen | None:
    """Return the last state that the line names. State lines are INFO; DEBUG lines tell of inner state machines."""
    if b"state:" not in low or level in (b"debug", b"trace"):
        return None
    last: re.Match[bytes] | None = None
    for last in _STATE.finditer(low):  # noqa: B007 - the last one is wanted
        pass
    if last is None:
        return None
    state = _STATES.get(last[2])
    if state is not None:
        return StateSeen(at=at, state=state)
    # A word that we do not know is the Connector's state only where the line is written as the Connector writes it.
    written = text[last.start(1) : last.end(1)] == b"State" or last[0].startswith(b"sdwan_")
    return StateSeen(at=at, state=LogState.OTHER) if written else None


def _other(low: bytes, level: bytes, at: float) -> CauseSeen | None:
    if level != b"error" or _is_benign(low):
        return None
    return CauseSeen(at=at, cause=LogCause.OTHER)


def _is_benign(low: bytes) -> bool:
    """Tell whether it is the push channel's 403 "Token is expired.", in one of the two lines that it makes."""
    if b"token is expired" in low:
        return True
    return _is_push_channel(low) and b"accessdenied" in low and b'"message"' not in low
