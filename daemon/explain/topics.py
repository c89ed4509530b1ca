"""What `healthctl explain` can explain: checks, reasons, alerts and causes, each as plain text."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial

from checks import half_open
from checks.model import CheckName, Reason
from checks.registry import CHECKS
from daemon.explain import causes
from daemon.explain.alerts import ALERTS, MINUTE_S, Alert, Tier
from daemon.explain.folding import columns, commands, folded, items
from daemon.explain.reasons import REASONS

_UNREGISTERED: Mapping[CheckName, str] = {
    CheckName.DEFINITION: "What must hold: the definitions of the Resources are free of contradictions.\n\n"
    "A finding is a warning with the reason definition_overlap: two Resources overlap, or one overlaps a network of\n"
    "this host, a container network, or 100.96.0.0/12, which Twingate's Clients use for themselves. Findings never\n"
    "change the verdict of `healthctl check`, and nothing is sent to find them.",
}
"""Checks that are no probe."""

_METHOD = "half_open"
_ENDS = {
    "both": "when the condition is over: its rows are ok again for `schedule.confirm.successes` looks in a row. While "
    "nobody knows (unknown, skipped, explained by another cause) it neither starts nor ends",
    "prometheus": "when the condition of its rule is over, and `keep_firing_for` has passed",
    "push": "when the daemon ends",
}
_CARRIERS = {
    "both": "two carriers, one decision: the metric connector_health_alert_active, which the Prometheus rules read, "
    "and the push to each of `alerting.alertmanagers`. Both send the same labels, so that they make one page.",
    "prometheus": "the Prometheus rules only: they decide it, and its delay is written there.",
    "push": "the push to each of `alerting.alertmanagers` only.",
}
_WAITING = {
    "both": "So long the condition must last first; `alerting.after` changes it.",
    "prometheus": "So long the condition must last first (`for` of its rule).",
    "push": "It is part of each push; `alerting.resend` says how often that is.",
}


def find(word: str) -> str | None:
    """Return the page of a check, reason, alert or cause; case, `-` and `_` do not matter.

    A row's or cause's id names its check or code. A word that is several of them, as an alert and a cause may share a
    name, has all their pages, the one that is spelt alike first.
    """
    exact = word.partition(":")[0]
    pages = [(name == exact, page) for name, page in _pages() if _fold(name) == _fold(exact)]
    pages.sort(key=lambda page: not page[0])
    return "\n".join(page() for _, page in pages) or None


def _pages() -> Iterator[tuple[str, Callable[[], str]]]:
    """Yield every word with what makes its page."""
    for check in CheckName:
        yield check, partial(check_text, check)
    for reason in Reason:
        yield reason, partial(reason_text, reason)
    for name, alert in ALERTS.items():
        yield name, partial(alert_text, alert)
    for code in causes.names():
        yield code, partial(causes.cause_text, code)
    yield _METHOD, lambda: f"{_METHOD} (method)\n\n{inspect.cleandoc(half_open.__doc__ or '')}\n"


def names() -> list[str]:
    """Return every word that has a page."""
    return list(dict.fromkeys(name for name, _ in _pages()))


def check_text(check: CheckName) -> str:
    """Return the documentation of a check: its module's docstring."""
    registered = CHECKS.get(check)
    if registered is None:
        return f"{check} (check)\n\n{_UNREGISTERED[check]}\n"
    return f"{check} (check)\n\n{inspect.cleandoc(registered.module.__doc__ or '')}\n"


def reason_text(reason: Reason) -> str:
    """Return the page of a reason."""
    page = REASONS[reason]
    parts = [
        f"{reason} (reason)",
        folded(page.meaning),
        folded(f"For users: {page.impact}"),
        f"Diagnosis, by hand:\n\n{commands(page.commands)}",
        folded(f"Fix: {page.fix}"),
    ]
    if page.fixes:
        parts.append(items(f"{platform}: {text}" for platform, text in page.fixes.items()))
    return "\n\n".join(parts) + "\n"


def alert_text(alert: Alert) -> str:
    """Return the page of an alert."""
    parts = [
        f"{alert.name} (alert)",
        f"Fires when {alert.when}.",
        f"Severity: {_tiers(alert)}. {_WAITING[alert.carrier]}",
        f"Ends {alert.ends or _ENDS[alert.carrier]}.",
        f"Reaches people through {_CARRIERS[alert.carrier]}",
        f"What to do: {alert.advice}.",
        f"Runbook: docs/runbooks/{alert.name}.md",
    ]
    return "\n\n".join(folded(part) for part in parts) + "\n"


def overview() -> str:
    """Return the list of everything that has a page."""
    lists = (
        ("Checks", CheckName), ("Reasons", Reason), ("Alerts", ALERTS), ("Causes", causes.names()),
        ("Methods", [_METHOD]),
    )  # fmt: skip
    sections = [f"{title}\n{columns([str(word) for word in words])}" for title, words in lists]
    return (
        "\n\n".join(sections)
        + "\n\nhealthctl explain NAME explains one of them; healthctl explain firewall lists the ways out.\n"
    )


def _severity(tier: Tier) -> str:
    return "the Resource's own severity" if tier.severity == "resource" else tier.severity


def _tiers(alert: Alert) -> str:
    return ", or ".join(f"{_severity(tier)} {_after(tier)}" for tier in alert.tiers)


def _after(tier: Tier) -> str:
    if not tier.after_s:
        return "at once"
    minutes = round(tier.after_s / MINUTE_S)
    return f"after {minutes // 60} h" if minutes % 60 == 0 else f"after {minutes} min"


def _fold(word: str) -> str:
    return word.lower().replace("-", "").replace("_", "")
