"""What is said of one alert: its labels, which are its identity to an Alertmanager, and its annotations.

The labels are those that the shipped Prometheus rules give the same alert: an Alertmanager that hears of it from both
takes it for one. Values are made harmless as in `/metrics`, or the two would differ.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from checks.net.text import printable
from daemon.alert import LABELS, Alert
from daemon.moments import rfc3339

WATCHDOG = "ConnectorHealthWatchdog"
MAX_ANNOTATION = 4000  # characters: the text of a cause with its command fits; more is not read on a phone
LAPSES_AFTER = 4  # resends that may fail before an Alertmanager believes that the alert is over, as Prometheus does it
SHORTEST_S = 0.001  # an end before the start is refused, one at the start is no alert: our times have milliseconds

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by name, no value empty."""

_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One alert as it is told. Times in Unix seconds of our clock; `ends_at` None: it fires.

    `size` is about how many bytes it takes on the wire.
    """

    labels: Labels
    annotations: Mapping[str, str]
    starts_at: float
    ends_at: float | None
    size: int

    @property
    def state(self) -> tuple[float, float | None]:
        """What is told at once when it changes; the annotations wait for the next resend."""
        return self.starts_at, self.ends_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """Now, by our clock and by that of the Alertmanager (None: not known, or the same), in Unix seconds."""

    ours: float
    theirs: float | None = None


class Wording:
    """Words alerts for one identity and one configuration; what did not change is not made again."""

    def __init__(self, identity: tuple[str, str], external_labels: Mapping[str, str], runbooks: str) -> None:
        connector, remote_network = identity
        self._ours = {"connector": connector, "remote_network": remote_network}
        self._external = dict(external_labels)
        self._runbooks = runbooks.rstrip("/")
        self._known: dict[int, tuple[Alert, Message]] = {}

    def messages(self, alerts: Iterable[Alert]) -> list[Message]:
        """Return the messages, in the same order. Call it with all alerts at once: others are forgotten."""
        known: dict[int, tuple[Alert, Message]] = {}
        messages = []
        for alert in alerts:
            before = self._known.get(id(alert))  # the entry holds the alert: its id names nothing else meanwhile
            message = before[1] if before else self._message(alert)
            known[id(alert)] = (alert, message)
            messages.append(message)
        self._known = known
        return messages

    def watchdog(self, starts_at: float) -> Message:
        """Return the alert that always fires."""
        texts = {
            "summary": "Connector Health runs and reaches this Alertmanager.",
            "description": "This alert always fires. When it stops, the daemon or its way to the Alertmanager is down.",
            "action": "Nothing to do while it comes: route it to a receiver that pages when it stops.",
        }
        return self._made(WATCHDOG, "none", (), texts, (starts_at, None))

    def _message(self, alert: Alert) -> Message:
        texts = {"summary": alert.summary, "description": alert.description, "action": alert.action}
        labels = zip(LABELS, alert.key.labels, strict=True)
        return self._made(alert.key.name, alert.key.severity, labels, texts, (alert.starts_at, alert.ends_at))

    def _made(
        self,
        name: str,
        severity: str,
        labels: Iterable[tuple[str, str]],
        texts: Mapping[str, str],
        times: tuple[float, float | None],
    ) -> Message:
        ours = {"alertname": name, "severity": severity, **self._ours, **dict(labels)}
        said = {key: printable(value) for key, value in ours.items() if value}
        said = {key: printable(value) for key, value in self._external.items() if value} | said
        notes = {key: _text(value) for key, value in texts.items() if value}
        notes["runbook_url"] = f"{self._runbooks}/{name}.md"
        size = sum(len(key) + len(value.encode()) + 8 for key, value in (*said.items(), *notes.items())) + 128
        return Message(
            labels=tuple(sorted(said.items())), annotations=notes, starts_at=times[0], ends_at=times[1], size=size
        )


def body(messages: Iterable[Message], now: Instant, resend_s: float, generator_url: str | None) -> bytes:
    """Return the JSON that an Alertmanager takes.

    What fires ends LAPSES_AFTER resends from now unless it is told again. This host's clock may be the very thing that
    is wrong: were it behind by more than that, every alert would be over before it arrived, were it ahead, none would
    end. So what fires ends by whichever clock is later, and what is over is over by both.
    Source: Alertmanager `types.Alert.Merge`; Prometheus `rules.AlertingRule.sendAlerts`.
    """
    there = now.ours if now.theirs is None else now.theirs
    told = []
    for message in messages:
        starts_at, ends_at = message.starts_at, message.ends_at
        if ends_at is None:
            ends_at = max(now.ours, there, starts_at) + LAPSES_AFTER * resend_s
        else:
            ends_at = min(ends_at, ends_at + there - now.ours, there)
            starts_at = min(starts_at, ends_at - SHORTEST_S)
        one: dict[str, Any] = {
            "labels": dict(message.labels),
            "annotations": message.annotations,
            "startsAt": rfc3339(starts_at),
            "endsAt": rfc3339(ends_at),
        }
        if generator_url:
            one["generatorURL"] = generator_url
        told.append(one)
    return _ENCODER.encode(told)


def _text(text: str) -> str:
    """Return text for people with its line breaks, all else made harmless."""
    return "\n".join(printable(line, MAX_ANNOTATION) for line in text[:MAX_ANNOTATION].splitlines())
