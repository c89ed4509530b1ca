"""The pages of causes, from the catalogue that the diagnosis itself speaks from.

Its texts are templates. What a cause fills in is not known here: a name that stands in a command becomes a word in
capitals, an observation in a sentence becomes "…".
"""

import re
from collections.abc import Iterator, Mapping

from daemon.diagnosis.catalogue import KINDS
from daemon.diagnosis.kind import ANYWHERE, Kind
from daemon.explain.folding import commands, folded, items

_FIELD = re.compile(r"\{(\w+)\}")
_SPOKEN = frozenset({"seen", "observed", "share", "answers", "how", "meaning", "advice"})
_FILLED: Mapping[str, str] = {
    "enter": "", "dig_port": "", "docker": "docker", "start": "start", "count": "N", "all": "N", "server": "NAMESERVER",
    "question": "NAME A", "quoted": "NAME", "where": "HOST:443", "sample": "ADDRESS", "relay_host": "RELAY",
    "relay_port": "PORT",
}  # fmt: skip
_BESIDES: Mapping[str, str] = {
    "NextHopDown": "The gateway of the default route is more: then it is critical, and carried by the alert "
    "ConnectorHostNetworkDown.",
}
_PLATFORMS = {"docker": "Docker", "systemd": "systemd", "kubernetes": "Kubernetes"}


def names() -> list[str]:
    """Return the codes of all causes."""
    return list(KINDS)


def cause_text(code: str) -> str:
    """Return the page of a cause. Raises: KeyError when there is none of that code."""
    kind = KINDS[code]
    severity = " or ".join(kind.severities) if len(kind.severities) < 3 else "the worst of the Resources behind it"
    parts = [
        f"{kind.code} (cause)",
        folded(f"Title: {_spoken(kind.title)}"),
        folded(f"Fault domain: {kind.domain}. Severity: {severity}."),
        folded(_spoken(kind.text)),
        folded("What to do: " + (_spoken(kind.action) if kind.action != "{advice}" else _as_its_row(kind))),
    ]
    shown = "\n".join(_by_hand(kind))
    if shown:
        parts.append(shown)
    if kind.possible:
        parts.append("Possible, and not to be told apart from here:\n" + items(map(_spoken, kind.possible)))
    if kind.depends_on:
        parts.append(folded(f"Explained by, where it holds: {', '.join(kind.depends_on)}."))
    parts.append(folded(_carried(kind)))
    if kind.code in _BESIDES:
        parts.append(folded(_BESIDES[kind.code]))
    return "\n\n".join(parts) + "\n"


def _carried(kind: Kind) -> str:
    if kind.alert is None:
        return f"No alert carries it: it is shown, and pages nobody. See also: healthctl explain {kind.reason}"
    return f"Carried by the alert {kind.alert}. Runbook: docs/runbooks/{kind.alert}.md"


def _as_its_row(kind: Kind) -> str:
    return f"what its row advises; `healthctl explain {kind.reason}` tells more of one such reason."


def _by_hand(kind: Kind) -> Iterator[str]:
    for runtime, templates in kind.by_hand.items():
        if runtime != ANYWHERE:
            yield f"  {_PLATFORMS.get(runtime, runtime)}:"
        elif len(kind.by_hand) > 1:
            yield "  Anywhere:"
        yield commands(_filled(template) for template in templates)


def _filled(template: str) -> str:
    return _FIELD.sub(lambda field: _FILLED.get(field[1], field[1].upper()), template)


def _spoken(template: str) -> str:
    """Fill a text: what was observed is an ellipsis, and left out where a text only begins with it."""
    text = _FIELD.sub(lambda field: "…" if field[1] in _SPOKEN else field[0], template)
    return _filled(re.sub(r"…\.(?=\s|$)", "…", text)).lstrip("… ").strip()
