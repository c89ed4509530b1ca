"""From what a trace found to its conclusion: rules in the order in which a fault hides what lies behind it. No I/O."""

from collections.abc import Callable, Sequence

from checks.model import Status, worst
from daemon.trace import rules_connector, rules_link, rules_users
from daemon.trace.conclusion import CANNOT_KNOW, Also, Code, Conclusion
from daemon.trace.facts import TraceFacts
from daemon.trace.rules_connector import Finding

Rule = Callable[[TraceFacts], Finding | None]

RULES: Sequence[Rule] = (
    rules_connector.host_network,
    rules_connector.next_hop,
    rules_connector.not_running,
    rules_connector.clock,
    rules_connector.token,
    rules_connector.nameservers,
    rules_connector.control_plane,
    rules_connector.relays,
    rules_link.not_allowed,
    rules_link.name_fails,
    rules_link.ports_fail,
    rules_connector.own_state,
    rules_link.resolver_stuck,
    rules_users.users_fail,
    rules_link.name_partly,
    rules_link.addresses_partly,
    rules_connector.intercepted,
    rules_users.denied,
    rules_users.application,
    rules_link.quiet,
    rules_link.untouched,
    rules_link.unproven,
)
"""The first one that holds is the conclusion; further faults are named beside it. When none holds, nothing is wrong."""

MAX_EVIDENCE = 16


def conclude(facts: TraceFacts) -> Conclusion:
    """Return what follows from the facts, in the guide's terms."""
    found = [finding for rule in RULES if (finding := rule(facts)) is not None]
    first = found[0] if found else rules_users.no_event(facts)
    also: dict[Code, Also] = {}  # of what is the same in the guide's terms the first says it
    for finding in found[1:]:
        wrong = finding.status in (Status.CRITICAL, Status.WARNING) and finding.code is not first.code
        if wrong or finding.code is Code.POLICY:
            also.setdefault(finding.code, Also(code=finding.code, title=finding.title))
    return Conclusion(
        code=first.code,
        status=_status(facts, first),
        title=first.title,
        text=first.text,
        link=first.link,
        evidence=first.evidence[:MAX_EVIDENCE],
        next_step=first.next_step,
        commands=first.commands,
        disagreements=rules_users.disagreements(facts),
        also=tuple(also.values()),
        cannot_know=CANNOT_KNOW[first.code],
    )


def _status(facts: TraceFacts, first: Finding) -> Status:
    """Return the conclusion's status, no better than a warning where something else should be looked at."""
    more = [Status.WARNING] if any(True for _ in rules_connector.warnings(facts)) else []
    more += [o.status for o in facts.rows.values() if o.status is Status.WARNING]
    return worst([first.status, *more])
