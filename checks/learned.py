"""What a verdict about a target that only the Connector's log named may say at most."""

from checks.model import Event, Outcome, Status

_WHY = "It is known from the Connector's log alone, which shows no user failing there: a warning at most."


def at_most_warning(outcome: Outcome) -> Outcome:
    """Turn critical into a warning without an event; the fact `only_learned` tells that this was done.

    Nobody wrote that this target must be up: it was seen in use, and may have been moved or switched off on purpose.
    Only a user who fails there shows that it matters.
    """
    if outcome.status is not Status.CRITICAL:
        return outcome
    return outcome.but(
        status=Status.WARNING,
        event=Event.NONE,
        action=f"{outcome.action} {_WHY}".strip(),
        facts={**outcome.facts, "only_learned": True},
    )
