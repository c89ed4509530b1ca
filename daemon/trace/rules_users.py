"""Rules about what users met, as the Connector's log tells it, and what follows when every link is fine."""

from checks.connlog.model import ConnectionKind
from checks.model import Status
from daemon.causes import Domain
from daemon.moments import ago
from daemon.trace.conclusion import Code
from daemon.trace.facts import FRESH_S, RECENT_S, EventCount, TraceFacts
from daemon.trace.rules_connector import Finding
from daemon.trace.rules_link import fine
from daemon.trace.words import KINDS, event_line
from daemon.words import some

_SUCCESS = (ConnectionKind.ESTABLISHED, ConnectionKind.CLOSED)
_FAILURES = (ConnectionKind.DNS_LOOKUP_ERROR, ConnectionKind.UNABLE_TO_CONNECT)


def users_fail(facts: TraceFacts) -> Finding | None:
    """Our probe succeeds, and users failed lately, and nobody succeeded since."""
    events = [e for kind in _FAILURES if (e := facts.users.of(kind)) and _holds(facts, e, RECENT_S)]
    if not events:
        return None
    event = max(events, key=lambda e: e.last_at)
    dns = event.kind is ConnectionKind.DNS_LOOKUP_ERROR
    what = KINDS[event.kind]
    return Finding(
        code=Code.CONNECTOR_DNS if dns else Code.CONNECTOR_CONNECT,
        status=Status.WARNING,
        link=Domain.RESOLVER if dns else Domain.NETWORK,
        title=f"Users met {what}, and our own try succeeds",
        text="Either it is over, or it happens now and then, or it depends on which nameserver or address the "
        "Connector takes. Its own resolver also keeps what it learned longer than we do.",
        evidence=(f"the Connector's log: {event_line(event, facts.started_at)}", *fine(facts)),
        next_step="Run the trace again while a user fails; if only users go on failing, restart the Connector.",
    )


def denied(facts: TraceFacts) -> Finding | None:
    """The Connector denied access, and nobody was let in since."""
    event = facts.users.of(ConnectionKind.DENIED)
    if event is None or not _holds(facts, event, RECENT_S):
        return None
    return Finding(
        code=Code.POLICY,
        status=Status.OK,
        title="Policy: the Connector denied access",
        text="Users' requests reach this Connector, and are denied by the rules that the Controller gave it. The link "
        "is not the cause.",
        evidence=(f"the Connector's log: {event_line(event, facts.started_at)}", *fine(facts)),
        next_step="In the Admin Console compare the Resource's ports and protocols, the groups that may use it, and "
        "its security policy with what the user does.",
    )


def application(facts: TraceFacts) -> Finding | None:
    """Users do connect."""
    events = [e for kind in _SUCCESS if (e := facts.users.of(kind)) and _age(facts, e) <= RECENT_S]
    if not events:
        return None
    others = [e for e in facts.users.events if e.kind not in _SUCCESS and e.count]
    return Finding(
        code=Code.APPLICATION,
        status=Status.OK,
        title="The application: users do connect through this Connector",
        text="Connections are established and every link is fine: what a user still misses is decided behind the port, "
        "by the application itself.",
        evidence=(
            *(f"the Connector's log: {event_line(e, facts.started_at)}" for e in (*events, *others)),
            *fine(facts),
        ),
        next_step="Look at the application's own log and access lists (pg_hba.conf, AllowUsers, certificates): it sees "
        "the Connector's address, not the user's.",
    )


def no_event(facts: TraceFacts) -> Finding:
    """Every link is fine, and the log shows no user: it depends on what the log could have shown."""
    users = facts.users
    if users.readable and users.whole and not users.problem:
        last = max((e.last_at for e in users.events), default=None)
        before = f"; the last one was {ago(facts.started_at - last)} ago" if last is not None else ""
        return Finding(
            code=Code.USER_SIDE,
            status=Status.OK,
            title="The user's side: no connection to this Resource came to this Connector",
            text="Every link from here on is fine, and the Connector's log, which would show it, has no event: the "
            "request does not get this far, or goes to another Connector.",
            evidence=(f"the Connector's log shows user connections, and none to this Resource in the last hour{before}",
                      *fine(facts)),
            next_step="On the user's device: is the Client connected, does the name resolve to 100.96.0.0/12, does "
            "another network or VPN take the address? Then the activity log in the Admin Console.",
        )  # fmt: skip
    why = users.problem or ("its log does not show user connections" if users.readable is False else "")
    if not why:
        why = "its log was not read to the end" if not users.whole else "it is not known whether its log shows users"
    how = next((a for a in users.advice if "ANALYTICS" in a), "")
    return Finding(
        code=Code.UNKNOWN,
        status=Status.OK,
        title="Nothing is wrong on this side; whether users get this far can't be told",
        text=f"Every link from here on is fine. Whether the fault is on the user's side or in the application only the "
        f"Connector's log could tell, and {why}.",
        evidence=fine(facts),
        next_step=f"To let the log tell, {how}."
        if how
        else "See whether the Connector's log can be read from here "
        "(healthctl explain connector), and look at the activity log in the Admin Console.",
    )


def disagreements(facts: TraceFacts) -> tuple[str, ...]:
    """Return where the Connector's log and our own probes tell different stories."""
    found = []
    success = max((e.last_at for k in _SUCCESS if (e := facts.users.of(k))), default=float("-inf"))
    age = facts.started_at - success
    failing = [row for row, o in facts.rows.items() if o.status is Status.CRITICAL]
    if failing and age <= FRESH_S:
        found.append(
            f"our probe fails ({some(failing)}), though a user connected {ago(age)} ago: it began since, or the "
            "Connector goes another way than we do"
        )
    for kind in _FAILURES:
        event = facts.users.of(kind)
        if not failing and event is not None and _holds(facts, event):
            found.append(f"our probe succeeds, though users fail: {event_line(event, facts.started_at)}")
    return tuple(found)


def _age(facts: TraceFacts, event: EventCount) -> float:
    return facts.started_at - event.last_at


def _holds(facts: TraceFacts, event: EventCount, within_s: float = FRESH_S) -> bool:
    """Tell whether an event is recent and nobody has succeeded after it."""
    established = facts.users.of(ConnectionKind.ESTABLISHED)
    return _age(facts, event) <= within_s and (established is None or established.last_at < event.last_at)
