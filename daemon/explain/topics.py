"""What `healthctl explain` can explain: checks, reasons and alerts, each as plain text."""

import inspect
import textwrap
from collections.abc import Mapping

from checks.model import CheckName, Reason
from checks.registry import CHECKS
from daemon.explain.alerts import ALERTS, MINUTE_S, Alert, Tier
from daemon.explain.reasons import REASONS

WIDTH = 100  # columns a paragraph is folded at: wider, it is hard to read

_UNREGISTERED: Mapping[CheckName, str] = {
    CheckName.DEFINITION: "What must hold: the definitions of the Resources are free of contradictions.\n\n"
    "A finding is a warning with the reason definition_overlap: two Resources overlap, or one overlaps a network of\n"
    "this host, a container network, or 100.96.0.0/12, which Twingate's Clients use for themselves. Findings never\n"
    "change the verdict of `healthctl check`, and nothing is sent to find them.",
}
"""Checks that are no probe."""

_CARRIERS = {
    "both": "the Prometheus rules, and the push to Alertmanager",
    "prometheus": "the Prometheus rules only",
    "push": "the push to Alertmanager only",
}


def find(word: str) -> str | None:
    """Return the page of a check, reason or alert; case, `-` and `_` do not matter, and a row's id names its check."""
    folded = _fold(word.partition(":")[0])
    for check in CheckName:
        if _fold(check) == folded:
            return check_text(check)
    for reason in Reason:
        if _fold(reason) == folded:
            return reason_text(reason)
    for name, alert in ALERTS.items():
        if _fold(name) == folded:
            return alert_text(alert)
    return None


def names() -> list[str]:
    """Return every word that has a page."""
    return [*CheckName, *Reason, *ALERTS]


def check_text(check: CheckName) -> str:
    """Return the documentation of a check: its module's docstring."""
    registered = CHECKS.get(check)
    if registered is None:
        return f"{check} (check)\n\n{_UNREGISTERED[check]}\n"
    return f"{check} (check)\n\n{inspect.cleandoc(registered.module.__doc__ or '')}\n"


def reason_text(reason: Reason) -> str:
    """Return the page of a reason."""
    page = REASONS[reason]
    commands = "".join(f"    {command}\n" for command in page.commands)
    parts = [f"{reason} (reason)", page.meaning, f"For users: {page.impact}", f"What to do: {page.advice}"]
    return "\n\n".join(_folded(part) for part in parts) + (f"\n\n{commands}" if commands else "\n")


def alert_text(alert: Alert) -> str:
    """Return the page of an alert."""
    tiers = ", or ".join(f"{_severity(tier)} after {_after(tier)}" for tier in alert.tiers)
    parts = [
        f"{alert.name} (alert)",
        f"Fires when {alert.when}.",
        f"Severity: {tiers}. A condition must last that long first; alerting.after changes it.",
        f"Not raised yet: this version ships no alert. It is to be carried by {_CARRIERS[alert.carrier]}.",
        f"What to do: {alert.advice}.",
    ]
    return "\n\n".join(_folded(part) for part in parts) + "\n"


def overview() -> str:
    """Return the list of everything that has a page."""
    lists = (("Checks", CheckName), ("Reasons", Reason), ("Alerts", ALERTS))
    sections = [f"{title}\n{_columns([str(word) for word in words])}" for title, words in lists]
    return "\n\n".join(sections) + "\n\nhealthctl explain NAME explains one of them.\n"


def _severity(tier: Tier) -> str:
    return "the Resource's own severity" if tier.severity == "resource" else tier.severity


def _after(tier: Tier) -> str:
    if not tier.after_s:
        return "no time"
    minutes = round(tier.after_s / MINUTE_S)
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def _folded(text: str) -> str:
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _columns(words: list[str]) -> str:
    """Return the words in rows of three columns."""
    width = max(len(word) for word in words) + 2
    across = max(1, min(3, WIDTH // width))
    rows = [words[i : i + across] for i in range(0, len(words), across)]
    return "\n".join("  " + "".join(word.ljust(width) for word in row).rstrip() for row in rows)


def _fold(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")
