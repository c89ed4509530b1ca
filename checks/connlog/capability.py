"""What the Connector's log can show at its level and settings, corrected by what it really showed.

Sources: Twingate's documents on real-time logs (level 3, ERROR, is the default; 4 WARN, 5 INFO, 7 DEBUG; states are
INFO lines), `connectord --help` (levels -1 to 7), Twingate/helm-charts (words for levels).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.connlog.summary import Capability

LEVEL = "TWINGATE_LOG_LEVEL"
ANALYTICS = "TWINGATE_LOG_ANALYTICS"
DEFAULT_LEVEL = 3
_ERROR_LEVEL = 3
_STATE_LEVEL = 5
_LOWEST, _HIGHEST = -1, 7
_WORDS = {"error": 3, "warn": 4, "warning": 4, "info": 6, "debug": 7}
_VERSION = re.compile(r"v[0-9]{1,2}")

_LEVEL_ADVICE = (
    f"add {LEVEL}=5 to the Connector's environment and start it anew: its log then also shows its states (Online, "
    'Offline, Error) and warnings such as "Gone, code 410", the sign of a deleted token'
)
_ANALYTICS_ADVICE = (
    f"add {ANALYTICS}=v2 to the Connector's environment and start it anew: its log then shows each user connection "
    "and its failures, the Relays in use, and the real names behind patterns and networks"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the log of this run of the Connector really showed."""

    errors: bool = False
    states: bool = False
    analytics: bool = False


def capability(environment: Mapping[str, str], *, readable: bool, seen: Seen = Seen()) -> Capability:
    """Tell what the log can show. `environment`: what is known of the Connector's; empty: nothing is.

    A log that can't be read (`readable` False) shows nothing, and nobody knows what it would.
    """
    if not readable:
        return Capability()
    level = _level(environment)
    # A log that shows INFO lines shows ERROR lines too.
    errors = True if seen.errors or seen.states else _at_least(level, _ERROR_LEVEL)
    states = True if seen.states else _at_least(level, _STATE_LEVEL)
    analytics = True if seen.analytics else _analytics(environment)
    advice: list[str] = []
    if errors is False or states is False:
        advice.append(_LEVEL_ADVICE)
    if analytics is False:
        advice.append(_ANALYTICS_ADVICE)
    return Capability(errors=errors, states=states, analytics=analytics, advice=tuple(advice))


def _at_least(level: int | None, wanted: int) -> bool | None:
    return None if level is None else level >= wanted


def _level(environment: Mapping[str, str]) -> int | None:
    """Return the level in force; None when nothing is known of the environment, or its value is none."""
    if not environment:
        return None
    text = environment.get(LEVEL, "").strip().lower()
    if not text:
        return DEFAULT_LEVEL
    if text in _WORDS:
        return _WORDS[text]
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 2):
        return None
    level = int(text)
    return level if _LOWEST <= level <= _HIGHEST else None


def _analytics(environment: Mapping[str, str]) -> bool | None:
    if not environment:
        return None
    text = environment.get(ANALYTICS, "").strip().lower()
    if not text:
        return False
    return True if _VERSION.fullmatch(text) else None
