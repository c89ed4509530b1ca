"""The ways out as a table for people, the Connector's before the daemon's."""

from collections.abc import Iterator, Sequence

from checks.net.text import printable
from daemon.explain.firewall_model import Way
from daemon.explain.folding import folded, items

_WIDEST = 44  # columns of a destination; a longer one pushes its own line only
_TITLES = {
    "connector": "The Connector must be let out to",
    "daemon": "connector-health must be let out to (its probes start where the Connector stands)",
}


def render(file: str, ways: Sequence[Way], ways_in: Sequence[str], notes: Sequence[str]) -> str:
    """Return the page."""
    parts = [f"Ways out, by {printable(file)}"]
    for who, title in _TITLES.items():
        own = [way for way in ways if way.who == who]
        if own:
            parts.append(f"{title}\n" + "\n".join(_lines(own)))
    if ways_in:
        text = (
            f"TCP to {', '.join(ways_in)}, from Prometheus only: /metrics and health are served there, and the rest to "
            "who has a password or a certificate that `web.config_file` asks for."
        )
        parts.append("Ways in\n" + folded(text, "  ", "  "))
    parts.append("To know\n" + items(notes))
    return "\n\n".join(parts) + "\n"


def _lines(ways: Sequence[Way]) -> Iterator[str]:
    cells = [(way.protocol.upper(), _ports(way), _destination(way), _why(way)) for way in ways]
    port_width = max(len(row[1]) for row in cells)
    width = min(_WIDEST, max(len(row[2]) for row in cells))
    for protocol, ports, destination, why in cells:
        yield f"  {protocol}  {ports:<{port_width}}  {destination:<{width}}  {why}"


def _ports(way: Way) -> str:
    return ",".join(str(each) for each in way.ports) or "all"


def _destination(way: Way) -> str:
    to = way.to or "anywhere"
    if way.kind == "unlisted":
        to = f"({to})"
    elif way.addresses:
        to += f" ({', '.join(way.addresses)})"
    return printable(to)


def _why(way: Way) -> str:
    return printable(("optional: " if way.optional else "") + way.why + (" (stays on this host)" if way.local else ""))
