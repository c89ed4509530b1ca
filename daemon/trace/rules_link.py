"""Rules about one Resource's own link: its name, its ports, and what may not be looked at."""

from checks.model import Outcome, Reason, Status
from daemon.advice import split_action
from daemon.causes import Domain
from daemon.moments import ago
from daemon.trace.conclusion import Code
from daemon.trace.facts import PortSeen, TraceFacts
from daemon.trace.rules_connector import Finding
from daemon.trace.words import place_of, way_sentence
from daemon.words import count, some

_UNTOUCHED = (Reason.NOT_PROBEABLE, Reason.NOT_ALLOWED)
_MAX_ANSWERS = 8
_REFUSED = (
    " Something answers with a refusal: nothing listens on that port, or a firewall rejects (the host's, one on the "
    "way, or this host's)."
)
_ON_THE_HOST = (
    "Packets get to that host: see there that the service runs and listens at this port, and what its own firewall, or "
    "a filter just before it, drops."
)


def not_allowed(facts: TraceFacts) -> Finding | None:
    """The Resource's definition does not allow the port that was asked for."""
    target = facts.target
    if not target.not_allowed:
        return None
    return Finding(
        code=Code.POLICY,
        status=Status.OK,
        title=f"Policy: the Resource {target.resource} does not allow port {target.port}",
        text="By its definition the Resource allows other ports only: users are denied this one, however the link is.",
        evidence=(f"port {target.port} is not among the tcp ports of {target.resource} in the configuration",),
        next_step="If users need the port, allow it in the Resource's definition (Admin Console) and in the file.",
    )


def name_fails(facts: TraceFacts) -> Finding | None:
    """No nameserver gives an address."""
    failed = _row(facts, "dns", Status.CRITICAL)
    if failed is None:
        return None
    row_id, outcome = failed
    name, seen = row_id.partition(":")[2], facts.name
    advice = split_action(outcome.action)
    text = 'A user who opens this Resource now gets the event "DNS lookup error": the Connector has no address for it.'
    if seen is not None and seen.host is not None and seen.host.status in (Status.OK, Status.WARNING):
        text += " From this host's own resolver the name does resolve: only the Connector's settings or network fail."
    return Finding(
        code=Code.CONNECTOR_DNS,
        status=Status.CRITICAL,
        link=Domain.RESOLVER,
        title=f'"DNS lookup error": the Connector can\'t resolve {name}',
        text=text,
        evidence=(outcome.summary, *_answers(facts), *_host_name(facts)),
        next_step=advice.text,
        commands=advice.commands,
    )


def ports_fail(facts: TraceFacts) -> Finding | None:
    """A port of the Resource does not accept: all of them, or those that were looked at."""
    failed = [(i, o) for i, o in facts.rows.items() if i.startswith("tcp:") and o.status is Status.CRITICAL]
    if not failed:
        return None
    outcome = failed[0][1]
    advice = split_action(outcome.action)
    which = some(row_id.partition(":")[2] for row_id, _ in failed)
    fine = facts.verdicts("tcp").count(Status.OK)
    text = 'A user who opens this now gets the event "Unable to connect".'
    if fine:
        text += f" {count(fine, 'other port')} of the Resource {'accepts' if fine == 1 else 'accept'}."
    place = place_of(facts)
    ways = tuple(line for port in facts.ports if (line := way_sentence(port, place)))
    return Finding(
        code=Code.CONNECTOR_CONNECT,
        status=Status.CRITICAL,
        link=_where(facts),
        title=f'"Unable to connect": the Connector can\'t reach {which}',
        text=text + _meaning(facts),
        evidence=(*(o.summary for _, o in failed[:4]), *ways, *_silent_hops(facts)),
        next_step=_ON_THE_HOST if _gets_there(facts) else advice.text,
        commands=advice.commands,
    )


def resolver_stuck(facts: TraceFacts) -> Finding | None:
    """The Connector's own resolver has given up all nameservers, though they answer us."""
    if facts.name is None or facts.log is None or "all" not in facts.log.nameservers_down:
        return None
    since = facts.log.nameservers_down["all"]
    return Finding(
        code=Code.CONNECTOR_DNS,
        status=Status.WARNING,
        link=Domain.CONNECTOR,
        title='"DNS lookup error": the Connector\'s own resolver has given up all nameservers',
        text="The nameservers answer us; the Connector's resolver took them out of use and tries them ever less. "
        'Users may get the event "DNS lookup error" for an hour, or until it is restarted.',
        evidence=(f"its log said {ago(facts.started_at - since)} ago that all nameservers have failed",),
        next_step="Restart the Connector.",
    )


def name_partly(facts: TraceFacts) -> Finding | None:
    """Some nameservers give an address, and others do not."""
    found = _row(facts, "dns", Status.WARNING)
    if found is None or found[1].reason is Reason.ADDRESS_FAMILY_UNAVAILABLE:
        return None
    row_id, outcome = found
    advice = split_action(outcome.action)
    return Finding(
        code=Code.CONNECTOR_DNS,
        status=Status.WARNING,
        link=Domain.RESOLVER,
        title=f'"DNS lookup error" for some: nameservers disagree on {row_id.partition(":")[2]}',
        text="Which users fail depends on whom the Connector asks at that moment.",
        evidence=(outcome.summary, *_answers(facts)),
        next_step=advice.text,
        commands=advice.commands,
    )


def addresses_partly(facts: TraceFacts) -> Finding | None:
    """The Resource answers at some of its addresses only."""
    failed = [port for port in facts.ports if port.verdict == "failed"]
    accepted = {port.port for port in facts.ports if port.verdict == "accepted"}
    failed = [port for port in failed if port.port in accepted]
    if not failed:
        return None
    place = place_of(facts)
    which = some(f"{port.address} ({port.reason})" for port in failed)
    return Finding(
        code=Code.CONNECTOR_CONNECT,
        status=Status.WARNING,
        link=_where(facts),
        title=f'"Unable to connect" for some: {which} fails, other addresses accept',
        text="A user whose connection is made to one of these addresses fails; another one does not.",
        evidence=(
            *(outcome.summary for row, outcome in facts.rows.items() if row.startswith("tcp:")),
            *(line for port in failed if (line := way_sentence(port, place))),
        ),
        next_step="Mend these addresses, or take them out of the name's records.",
    )


def quiet(facts: TraceFacts) -> Finding | None:
    """No port accepts, and nobody says that one should: it never did, or it is expected to be down."""
    rows = [outcome for row, outcome in facts.rows.items() if row.startswith("tcp:")]
    down = [o for o in rows if o.facts.get("expected_down") is True]
    never = [o for o in rows if o.reason is Reason.NEVER_UP]
    if not rows or len(down) + len(never) < len(rows):
        return None
    first = (never or down)[0]
    return Finding(
        code=Code.CONNECTOR_CONNECT,
        status=Status.WARNING if never else Status.OK,
        link=_where(facts),
        title='"Unable to connect": no port of the Resource accepts'
        + (", and none ever did" if never else ", as the configuration expects"),
        text='A user who opens this now gets the event "Unable to connect".',
        evidence=(*(o.summary for o in rows[:4]), *_ways(facts)),
        next_step=first.action or "If users need it, start the service, and set expect: up.",
    )


def untouched(facts: TraceFacts) -> Finding | None:
    """No port may be, or can be, probed."""
    rows = [outcome for row, outcome in facts.rows.items() if row.startswith("tcp:")]
    if any(o.status is not Status.SKIPPED or o.reason not in _UNTOUCHED for o in rows):
        return None
    why = rows[0].summary.removeprefix("not probed: ") if rows else "no port of it is known"
    return Finding(
        code=Code.NOT_PROBEABLE,
        status=Status.UNKNOWN,
        title="Can't tell: no port of this Resource may be probed",
        text=f"Not probed: {why}. What else belongs to the chain is shown above; the Connector's log would tell what "
        "users meet.",
        evidence=_ways(facts),
        next_step=(rows[0].action if rows else "")
        or "Name a port (healthctl trace ADDRESS:PORT), or set samples, probe_ports or a policy in the file.",
    )


def unproven(facts: TraceFacts) -> Finding | None:
    """A link that decides was not looked at to its end."""
    rows = {row: o for row, o in facts.rows.items() if o.status in (Status.UNKNOWN, Status.SKIPPED)}
    if not rows or Status.OK in facts.verdicts("tcp"):
        return None
    row, outcome = next(iter(rows.items()))
    advice = split_action(outcome.action)
    return Finding(
        code=Code.UNKNOWN,
        status=Status.UNKNOWN,
        title="Can't tell: not every link could be looked at",
        text="What was looked at shows no fault; the rest is not known.",
        evidence=(*(f"{row}: {outcome.summary}" for row, outcome in rows.items()), *_ways(facts)),
        next_step=advice.text or f"Run it again: {row} had no verdict.",
        commands=advice.commands,
    )


def fine(facts: TraceFacts) -> tuple[str, ...]:
    """Return what was seen of this Resource's own link where nothing is wrong with it."""
    return tuple(outcome.summary for outcome in facts.rows.values() if outcome.status is Status.OK)


def _row(facts: TraceFacts, check: str, status: Status) -> tuple[str, Outcome] | None:
    return next(((i, o) for i, o in facts.rows.items() if i.startswith(f"{check}:") and o.status is status), None)


def _where(facts: TraceFacts) -> Domain:
    """Return where the fault of a port that does not accept lies, as far as it can be seen."""
    failed = [port for port in facts.ports if port.verdict == "failed"]
    if any(port.reason is Reason.REFUSED for port in failed):
        return Domain.RESOURCE
    if any(port.reason is Reason.BLOCKED_LOCALLY or _stop(port) == "own_firewall" for port in failed):
        return Domain.HOST
    near = {route.address for route in facts.routes if route.silent and route.gateway == ""}
    if any(port.address in near or _stop(port) == "reached" for port in failed):
        return Domain.RESOURCE
    return Domain.NETWORK


def _stop(port: PortSeen) -> str:
    return str(port.way.stop) if port.way is not None else ""


def _gets_there(facts: TraceFacts) -> bool:
    """Tell whether packets come to each host of which a port is silent: nothing on the way drops all of them."""
    failed = [port for port in facts.ports if port.verdict == "failed"]
    return bool(failed) and all(port.reason is Reason.TIMEOUT and _stop(port) == "reached" for port in failed)


def _meaning(facts: TraceFacts) -> str:
    failed = [port for port in facts.ports if port.verdict == "failed"]
    if failed and all(port.host == "ok" for port in failed):
        return " From this host's own network it works: only the Connector's network fails."
    if any(port.reason is Reason.REFUSED for port in failed):
        return _REFUSED
    return ""


def _silent_hops(facts: TraceFacts) -> tuple[str, ...]:
    return tuple(
        f"the next hop {route.gateway or route.address} does not answer ARP" for route in facts.routes if route.silent
    )


def _answers(facts: TraceFacts) -> tuple[str, ...]:
    answers = facts.name.answers if facts.name is not None else ()
    return tuple(f"{a.by} {a.kind}: {a.evidence}" for a in answers[:_MAX_ANSWERS])


def _host_name(facts: TraceFacts) -> tuple[str, ...]:
    host = facts.name.host if facts.name is not None else None
    return (f"from this host: {host.summary}",) if host is not None else ()


def _ways(facts: TraceFacts) -> tuple[str, ...]:
    place = place_of(facts)
    return tuple(line for port in facts.ports if (line := way_sentence(port, place)))
