"""Names that keys of the file may have: checks, alerts and labels."""

import re

from checks.model import CheckName
from daemon.config.problems import BadValueError, key_hint
from daemon.config.values import Leaf, text_of
from daemon.explain.alerts import ALERTS as EXPLAINED
from daemon.explain.alerts import DECIDED

ALERTS = DECIDED
"""The alerts that the daemon decides."""

PROMETHEUS_ALERTS = frozenset(EXPLAINED) - DECIDED
"""The alerts that exist in the Prometheus rules only: their delay is written there."""

_SLUG = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_IN_URL = re.compile(r"(?:https?://)?([a-z0-9-]{1,63})(?:\.[a-z0-9-]{1,30})?\.twingate\.com/?")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESOURCE_LABELS = frozenset({"resource", "address", "port"})
_ALERT_LABELS = _RESOURCE_LABELS | {
    "alertname", "severity", "connector", "remote_network", "nameserver", "endpoint",
}  # fmt: skip


def _known(what: str, known: frozenset[str], elsewhere: frozenset[str] = frozenset()) -> Leaf:
    def parse(value: object) -> str:
        name = text_of(value)
        if name in elsewhere:
            raise BadValueError("decided by the Prometheus rules", hint="set its delay there")
        if name not in known:
            raise BadValueError(f"no such {what}", hint=key_hint(name, sorted(known)))
        return name

    return Leaf(expected=f"the name of {what}", parse=parse, schema={"type": "string", "enum": sorted(known)})


def _label(reserved: frozenset[str]) -> Leaf:
    def parse(value: object) -> str:
        name = text_of(value)
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise BadValueError("not a label name")
        if name in reserved:
            raise BadValueError("a label that Connector Health sets itself", "another name")
        return name

    pattern = f"^(?!__|(?:{'|'.join(sorted(reserved))})$){_LABEL.pattern}$"
    expected = "letters, digits and _, no digit first, no __ first"
    return Leaf(expected=expected, parse=parse, schema={"type": "string", "pattern": pattern})


def _network(value: object) -> str:
    text = text_of(value)
    if not _SLUG.fullmatch(text):
        found = _IN_URL.fullmatch(text.lower())
        raise BadValueError("not the name of a network", f'"{found[1]}"' if found else None)
    return text.lower()


NETWORK = Leaf(
    expected='the part before .twingate.com, such as "acme"',
    parse=_network,
    schema={"type": "string", "pattern": f"^{_SLUG.pattern}$"},
)
ALERT = _known("alert", ALERTS, PROMETHEUS_ALERTS)
CHECK = _known("check", frozenset(CheckName))
LABEL = _label(_RESOURCE_LABELS)
ALERT_LABEL = _label(_ALERT_LABELS)
