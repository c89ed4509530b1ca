"""Changes of a network in words: one clause for each kind of change, the first few by name, the rest as a number."""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeAlias

from checks.hostnet import Interface, Route
from daemon.causes import ChangeKind

Said: TypeAlias = tuple[ChangeKind, str]

SHOWN = 4  # by name; a person who needs the fifth looks at the host


def say_links(
    before: Mapping[str, Interface], after: Mapping[str, Interface], names: AbstractSet[str]
) -> Iterable[Said]:
    """Say what became of these links, those with an address first: the others are ports of bridges, mostly."""
    fates: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda n: (not _told(before, after, n), n)):
        fate = _fate(before.get(name), after.get(name))
        if fate:
            fates.setdefault(fate, []).append(name)
    for fate, found in fates.items():
        yield ChangeKind.LINK, f"{_noun('link', len(found))} {_list(found)} {fate}"


def say_addresses(
    before: Mapping[str, Interface], after: Mapping[str, Interface], names: AbstractSet[str]
) -> Iterable[Said]:
    """Say which addresses came and went on these links."""
    old = {pair for name in names for pair in _addresses(before.get(name))}
    new = {pair for name in names for pair in _addresses(after.get(name))}
    for what, pairs in (("removed", old - new), ("added", new - old)):
        if pairs:
            found = [f"{address} ({name})" for name, address in sorted(pairs)]
            yield ChangeKind.ADDRESS, f"{_noun('address', len(found))} {_list(found)} {_was(found)} {what}"


def say_default(defaults: Iterable[tuple[int, Route | None, Route | None]]) -> Iterable[Said]:
    """Say what became of the default route of each IP version: (version, before, after)."""
    for version, old, new in defaults:
        what = f"the IPv{version} default route"
        if old is not None and new is None:
            yield ChangeKind.ROUTE, f"{what} was removed (it led {_way(old)})"
        elif old is None and new is not None:
            yield ChangeKind.ROUTE, f"{what} was added ({_way(new)})"
        elif old is not None and new is not None and _way(old) != _way(new):
            yield ChangeKind.ROUTE, f"{what} leads {_way(new)} now, and led {_way(old)}"


def say_routes(
    removed: Sequence[Route], added: Sequence[Route], removed_beyond: int, added_beyond: int
) -> Iterable[Said]:
    """Say which routes came, went, or lead elsewhere now; the `…_beyond` many more were not looked at."""
    old, new = {r.network: r for r in removed}, {r.network: r for r in added}
    led = [(n, _way(r), _way(new[n])) for n, r in old.items() if n in new]
    changed = [f"{n} (now {now}, was {was})" for n, was, now in led if now != was]
    gone = [f"{n} {_way(r)}" for n, r in old.items() if n not in new]
    come = [f"{n} {_way(r)}" for n, r in new.items() if n not in old]
    for what, found, beyond in (
        ("removed", gone, removed_beyond),
        ("added", come, added_beyond),
        ("changed", changed, 0),
    ):
        if found or beyond:
            number = len(found) + beyond
            verb = "was" if number == 1 else "were"
            yield ChangeKind.ROUTE, f"{_noun('route', number)} {_list(found, beyond)} {verb} {what}"


def _told(before: Mapping[str, Interface], after: Mapping[str, Interface], name: str) -> bool:
    return any(_addresses(links.get(name)) for links in (before, after))


def _fate(old: Interface | None, new: Interface | None) -> str:
    if old is None or new is None:
        return "appeared" if old is None else "disappeared"
    if old.up is not new.up:
        return "went up" if new.up else "went down"
    if old.running is not new.running:
        return "has a carrier again" if new.running else "lost its carrier"
    return ""


def _addresses(interface: Interface | None) -> Iterable[tuple[str, str]]:
    if interface is None:
        return ()
    return [(interface.name, address) for address in interface.addresses]


def _way(route: Route) -> str:
    return f"via {route.gateway} on {route.interface}" if route.gateway else f"on {route.interface}"


def _noun(singular: str, number: int) -> str:
    if number == 1:
        return singular
    return singular + ("es" if singular.endswith("s") else "s")


def _was(found: Sequence[str]) -> str:
    return "was" if len(found) == 1 else "were"


def _list(found: Sequence[str], beyond: int = 0) -> str:
    """Return the first few, and how many more."""
    shown, more = found[:SHOWN], len(found) - SHOWN + beyond
    if more <= 0 or not shown:
        return ", ".join(shown) or f"({beyond})"
    return f"{', '.join(shown)} and {more} more"
