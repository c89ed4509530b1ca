"""The ways out as nftables commands: two chains without a hook, which change nothing until one of yours jumps there.

Every line can be loaded again: chains and sets are emptied first. A name has a set for each family, filled with the
addresses that were found, or to be filled by hand: the kernel knows no names.
"""

import re
from collections.abc import Iterator, Sequence

from daemon.explain.firewall_model import Kind, Way, on_the_wire

TABLE = "inet connector_health"
CHAINS = {"connector": "connector_out", "daemon": "daemon_out"}
MAX_COMMENT = 120  # bytes; nft takes 127
_TO_FILL: frozenset[Kind] = frozenset({"name", "pattern", "unlisted"})
_FAMILIES = {"4": ("ip", "ipv4_addr", "192.0.2.1"), "6": ("ip6", "ipv6_addr", "2001:db8::1")}
_NOT_IN_NAMES = re.compile(r"[^a-z0-9]+")
_NOT_IN_COMMENTS = re.compile(r"[^A-Za-z0-9 .,:;()/*_@'-]")

_HEAD = """\
# Ways out of a Connector's host, by {file}. Made by `healthctl explain firewall -o nft`; load it with `nft -f FILE`,
# again whenever the configuration or an address has changed. It changes nothing by itself: a chain with a hook must
# jump to connector_out and daemon_out (an example with everything it needs besides: docs/firewall.md).
# In another table: replace "{table}" throughout.
"""


def render(file: str, ways: Sequence[Way]) -> str:
    """Return the commands."""
    sets = _Sets()
    rules = [line for way in ways for line in _rules(way, sets)]
    lines = [_HEAD.format(file=_comment(file), table=TABLE), f"add table {TABLE}"]
    for chain in CHAINS.values():
        lines += [f"add chain {TABLE} {chain}", f"flush chain {TABLE} {chain}"]
    return "\n".join([*lines, "", *sets.lines(), "", *rules]) + "\n"


class _Sets:
    """The sets of names, each made once however many ways lead there."""

    def __init__(self) -> None:
        self._names: dict[tuple[Kind, str], str] = {}  # a Resource may be called like what is unlisted: `heartbeat`
        self._addresses: dict[tuple[Kind, str, str], tuple[str, ...] | None] = {}

    def of(self, way: Way) -> list[tuple[str, str]]:
        """Return (family, set) for a way: both families where nobody knows the addresses, else those that occur."""
        base = self._names.get((way.kind, way.to))
        if base is None:
            base = self._names[way.kind, way.to] = self._free(
                _NOT_IN_NAMES.sub("_", way.to.lower()).strip("_") or "any"
            )
        found = {
            family: None if way.addresses is None else tuple(a for a in way.addresses if (":" in a) is (family == "6"))
            for family in _FAMILIES
        }
        kept = [family for family, addresses in found.items() if addresses is None or addresses or not way.addresses]
        for family in kept:
            self._addresses[way.kind, way.to, family] = found[family]
        return [(family, f"{base}_{family}") for family in kept]

    def lines(self) -> Iterator[str]:
        """Yield the commands that make and fill them."""
        for (of, to, family), addresses in self._addresses.items():
            name = f"{self._names[of, to]}_{family}"
            _, kind, example = _FAMILIES[family]
            yield f"add set {TABLE} {name} {{ type {kind}; flags interval; }}"
            yield f"flush set {TABLE} {name}"
            if addresses:
                yield f"add element {TABLE} {name} {{ {', '.join(addresses)} }}"
            else:
                yield f"# {_comment(to)}: to be filled, as by: add element {TABLE} {name} {{ {example} }}"

    def _free(self, base: str) -> str:
        base, taken = f"to_{base[:48]}", set(self._names.values())  # a name of nft's begins with a letter
        return next(name for n in range(len(taken) + 1) if (name := base if n == 0 else f"{base}_n{n}") not in taken)


def _rules(way: Way, sets: _Sets) -> Iterator[str]:
    begin = f"add rule {TABLE} {CHAINS[way.who]}"
    what = f'{_ports(way)} accept comment "{_comment(("optional: " if way.optional else "") + way.why)}"'
    if way.local:
        yield f"# {_comment(way.to)}: stays on this host ({_comment(way.why)})"
    elif way.kind == "anywhere":
        yield f"{begin} {what}"
    elif way.kind in _TO_FILL:
        for family, name in sets.of(way):
            yield f"{begin} {_FAMILIES[family][0]} daddr @{name} {what}"
    else:
        to = way.to if way.kind == "network" else on_the_wire(way.to)
        yield f"{begin} {'ip6' if ':' in to else 'ip'} daddr {to} {what}"


def _ports(way: Way) -> str:
    if not way.ports:
        return f"meta l4proto {way.protocol}"
    ports = [str(each) for each in way.ports]
    return f"{way.protocol} dport {ports[0] if len(ports) == 1 else '{ ' + ', '.join(ports) + ' }'}"


def _comment(text: str) -> str:
    """Return text that can't end a comment or a line: names of Resources come from people and from other systems."""
    return _NOT_IN_COMMENTS.sub("?", text)[:MAX_COMMENT]
