"""Rules about the whole Connector: when one of these holds, none of its Resources works, however its own link is."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from checks.connlog.model import LogState
from checks.model import CheckName, Outcome, Reason, Status
from daemon.advice import split_action
from daemon.causes import Domain
from daemon.jobs import Result
from daemon.known import CLOCK_ROW, CONNECTOR_ROW, HOST_ROW
from daemon.trace.conclusion import Code
from daemon.trace.facts import TraceFacts
from daemon.words import count

_BAD_STATES = (LogState.OFFLINE, LogState.ERROR, LogState.UNRECOVERABLE)
_TOKEN = (Reason.TOKEN_GONE, Reason.TOKEN_INVALID)
_SECONDS = "offset_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one rule found: the body of a conclusion."""

    code: Code
    status: Status
    title: str
    text: str
    link: Domain | None = None
    evidence: tuple[str, ...] = ()
    next_step: str = ""
    commands: tuple[str, ...] = ()


def host_network(facts: TraceFacts) -> Finding | None:
    """The host has no way out over IPv4, and nothing of Twingate's is reached."""
    row = facts.around.get(HOST_ROW)
    if row is None or row.outcome.status is not Status.CRITICAL or _any_ok(facts, CheckName.CONTROL_PLANE):
        return None
    return _of_row(
        row,
        code=Code.HOST_NETWORK,
        link=Domain.HOST,
        title="The whole Connector: this host's network is down",
        text="Nothing leaves this host over IPv4, so the Connector reaches neither Twingate nor most Resources. This "
        "is not about one Resource.",
    )


def next_hop(facts: TraceFacts) -> Finding | None:
    """The gateway of the default route does not answer, and so nothing behind it does."""
    found = next((c for c in facts.causes if c.code == "NextHopDown" and c.domain is Domain.HOST), None)
    if found is None or _any_ok(facts, CheckName.CONTROL_PLANE):
        return None
    advice = split_action(found.action)
    return Finding(
        code=Code.HOST_NETWORK,
        status=Status.CRITICAL,
        link=Domain.HOST,
        title=f"The whole Connector: its gateway {found.target} does not answer",
        text="Nothing gets further than this host's own links, so the Connector reaches neither Twingate nor most "
        "Resources. This is not about one Resource.",
        evidence=(found.text,),
        next_step=advice.text,
        commands=advice.commands,
    )


def not_running(facts: TraceFacts) -> Finding | None:
    """The Connector's process does not run."""
    row = facts.around.get(CONNECTOR_ROW)
    if row is None or row.outcome.status is not Status.CRITICAL or row.outcome.reason in _TOKEN:
        return None
    return _of_row(
        row,
        code=Code.CONNECTOR_DOWN,
        link=Domain.CONNECTOR,
        title="The whole Connector: it does not run",
        text="No user reaches any Resource through a Connector that is down; Clients use another Connector of the "
        "Remote Network, if there is one.",
    )


def clock(facts: TraceFacts) -> Finding | None:
    """The clock is beyond what the Controller tolerates."""
    row = facts.around.get(CLOCK_ROW)
    if row is None or row.outcome.status is not Status.CRITICAL:
        return None
    offset = row.outcome.measurements.get(_SECONDS)
    off = f"{abs(offset):.1f} s {'behind' if offset < 0 else 'ahead'}" if offset is not None else "off"
    return _of_row(
        row,
        code=Code.CLOCK,
        link=Domain.CLOCK,
        title=f"The whole Connector: its clock is {off}",
        text="The Controller tolerates 5 s. Beyond that tokens are invalid, and the Connector goes offline, at once or "
        "some days later; users lose all of its Resources.",
    )


def token(facts: TraceFacts) -> Finding | None:
    """The Controller does not accept the Connector's token."""
    row = facts.around.get(CONNECTOR_ROW)
    if row is None or row.outcome.status is not Status.CRITICAL or row.outcome.reason not in _TOKEN:
        return None
    return _of_row(
        row,
        code=Code.CONNECTOR_DOWN,
        link=Domain.CONNECTOR,
        title="The whole Connector: its token is not accepted",
        text="The Connector runs, and the Controller turns it away: it can't come online, and carries nobody.",
    )


def nameservers(facts: TraceFacts) -> Finding | None:
    """No nameserver answers anything: names of Resources fail, and Twingate's own with them."""
    row = _all_critical(facts, CheckName.RESOLVER)
    behind = _all_critical(facts, CheckName.CONTROL_PLANE)
    unresolved = behind is not None and not behind.outcome.facts.get("addresses", True)
    if row is None or not (facts.name is not None or unresolved):
        return None
    found = _of_row(
        row,
        code=Code.CONNECTOR_DNS,
        link=Domain.RESOLVER,
        title='"DNS lookup error": no nameserver of the Connector answers',
        text='Users of every Resource that has a name get the event "DNS lookup error", and the Connector finds '
        "neither Controller nor Relays: this is not about one Resource.",
    )
    silent = tuple(r.outcome.summary for r in facts.around_of(CheckName.RESOLVER))
    return replace(found, evidence=silent)


def control_plane(facts: TraceFacts) -> Finding | None:
    """No endpoint of the Controller is reached."""
    row = _all_critical(facts, CheckName.CONTROL_PLANE)
    if row is None:
        return None
    if row.outcome.reason is Reason.TLS_INTERCEPTED:
        return intercepted(facts)
    return _of_row(
        row,
        code=Code.CONTROL_PLANE,
        link=Domain.CONTROL_PLANE,
        title="The whole Connector: the Controller can't be reached",
        text="Without the Controller the Connector goes offline, and new connections of users are refused; those that "
        "exist may go on for a while.",
    )


def relays(facts: TraceFacts) -> Finding | None:
    """No Relay is reached."""
    row = _all_critical(facts, CheckName.RELAY)
    if row is None:
        return None
    return _of_row(
        row,
        code=Code.RELAYS,
        link=Domain.RELAY,
        title="The whole Connector: no Relay can be reached",
        text="A Connector that no Relay holds is offline for users (DEAD_NO_RELAYS in the Admin Console), even if the "
        "Controller answers.",
    )


def own_state(facts: TraceFacts) -> Finding | None:
    """The Connector's own log says that it is not online."""
    log = facts.log
    if log is None or log.state not in _BAD_STATES:
        return None
    word = str(log.state).replace("_", " ")
    return Finding(
        code=Code.CONNECTOR_DOWN,
        status=Status.CRITICAL,
        link=Domain.CONNECTOR,
        title=f"The whole Connector: its own log says {word}",
        text="The process runs, and by its own account it is not online; from outside everything it needs was looked "
        "at, see the links above.",
        evidence=(f"the last state in the Connector's log is {word}",),
        next_step="Read what its log said before that; if nothing explains it, restart the Connector.",
    )


def intercepted(facts: TraceFacts) -> Finding | None:
    """Somebody on the way replaces Twingate's certificates."""
    rows = (*facts.around_of(CheckName.CONTROL_PLANE), *facts.around_of(CheckName.RELAY))
    row = next((r for r in rows if r.outcome.reason is Reason.TLS_INTERCEPTED), None)
    if row is None:
        return None
    return _of_row(
        row,
        code=Code.CONTROL_PLANE,
        link=Domain.CONTROL_PLANE,
        status=row.outcome.status,
        title="The whole Connector: TLS to Twingate is intercepted",
        text="A proxy or inspecting firewall answers in Twingate's place. Connectors pin certificates: behind such a "
        "device they go offline or lose their Relays.",
    )


def warnings(facts: TraceFacts) -> Iterable[Result]:
    """Yield rows around the Resource that should be looked at, though they do not explain a failure."""
    notes = (CheckName.PROVIDER, CheckName.DEFINITION)
    for row in facts.around.values():
        if not row.second and row.check not in notes and row.outcome.status in (Status.WARNING, Status.CRITICAL):
            yield row


def _of_row(
    row: Result, *, code: Code, link: Domain, title: str, text: str, status: Status = Status.CRITICAL
) -> Finding:
    advice = split_action(row.outcome.action)
    return Finding(
        code=code, status=status, link=link, title=title, text=text, evidence=(f"{row.id}: {row.outcome.summary}",),
        next_step=advice.text, commands=advice.commands,
    )  # fmt: skip


def _all_critical(facts: TraceFacts, check: CheckName) -> Result | None:
    """Return the first row of a check of which every judged row is critical."""
    judged = [row for row in facts.around_of(check) if row.outcome.status.conclusive]
    failing = [row for row in judged if row.outcome.status is Status.CRITICAL]
    return failing[0] if failing and len(failing) == len(judged) else None


def _any_ok(facts: TraceFacts, check: CheckName) -> bool:
    return any(row.outcome.status is Status.OK for row in facts.around_of(check))


def restarts(outcome: Outcome) -> str:
    """Return how often the Connector was started anew, as its row has it; empty when that is not known."""
    number = outcome.facts.get("restarts")
    return count(number, "restart") if isinstance(number, int) and not isinstance(number, bool) else ""
