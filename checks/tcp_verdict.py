"""What the tries to reach a port mean: the verdict of the `tcp` check. No I/O."""

from collections.abc import Mapping, Sequence

from checks.advice import (
    CONNECT_FAILURES,
    DNS_FAILURES,
    command,
    duration,
    one_line,
    what_to_do,
    what_to_do_about_name,
    what_was_seen,
)
from checks.model import Event, Json, Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from checks.net.errors import NetError
from checks.net.seat import Context, Resolution
from checks.net.tcp import Attempt, best_evidence
from checks.tcp_spec import Aim, TcpSpec

CRITICAL_REASONS = CONNECT_FAILURES | DNS_FAILURES


class _Up:
    """The story of a port that accepts."""

    __slots__ = ()
    spec: TcpSpec
    aim: Aim

    @property
    def attempts(self) -> Sequence[Attempt]:
        """What each address did."""
        raise NotImplementedError

    @property
    def reached(self) -> bool:
        """Somebody who connected now would get through."""
        return True

    @property
    def summary(self) -> str:
        """Who accepted, and how fast."""
        return one_line(_accepting(self.spec, self.attempts))

    @property
    def action(self) -> str:
        """Nothing is to be done."""
        return ""

    @property
    def measurements(self) -> Mapping[str, float]:
        """The time of the fastest address, in seconds."""
        return _measured(self.attempts)

    @property
    def facts(self) -> Mapping[str, Json]:
        """What was probed, and what each address did."""
        return facts_of(self.spec, self.aim, self.attempts)


class UpAtOne(_Up, Outcome):
    """A port of the one address that there is. Outcome and story in one: a thousand are made in a second, and kept."""

    __slots__ = ("aim", "error", "seconds", "spec")

    def __init__(self, spec: TcpSpec, aim: Aim, seconds: float, error: NetError | None) -> None:
        self.status, self.reason, self.event = Status.OK, None, Event.NONE  # type: ignore[misc]
        self.spec = spec
        self.aim = aim
        self.seconds = seconds
        self.error = error

    @property
    def story(self) -> "UpAtOne":  # type: ignore[override]
        """What can be read about it."""
        return self

    @property
    def attempts(self) -> Sequence[Attempt]:
        """What the address did."""
        return (Attempt(self.aim.chosen[0], self.seconds, self.error),)


class UpAtSome(_Up):
    """A port of several addresses, of which enough accept."""

    __slots__ = ("_attempts", "aim", "spec")

    def __init__(self, spec: TcpSpec, aim: Aim, attempts: Sequence[Attempt]) -> None:
        self.spec = spec
        self.aim = aim
        self._attempts = attempts

    @property
    def attempts(self) -> Sequence[Attempt]:
        """What each address did."""
        return self._attempts


def plainly_up(spec: TcpSpec, aim: Aim, attempts: Sequence[Attempt]) -> Outcome | None:
    """Return the verdict on a port that accepts as it should, by far the most frequent one; None: it needs thought."""
    if spec.expect == "down":
        return None
    if len(attempts) == 1:
        one = attempts[0]
        if one.error is not None and one.error.reason is not Reason.RESET:
            return None
        return UpAtOne(spec, aim, one.seconds, one.error)
    if not (all if spec.require_all and spec.expect != "any" else any)(a.accepted for a in attempts):
        return None
    return Outcome.of(UpAtSome(spec, aim, attempts), status=Status.OK, event=Event.NONE)


def judge(spec: TcpSpec, context: Context, attempts: Sequence[Attempt], aim: Aim) -> Outcome:
    """Return the verdict on at least one try."""
    return plainly_up(spec, aim, attempts) or _judge(spec, context, attempts, facts_of(spec, aim, attempts))


def facts_of(spec: TcpSpec, aim: Aim, attempts: Sequence[Attempt]) -> dict[str, Json]:
    """Return what was probed how, and what each address did; without attempts: what would have been."""
    facts: dict[str, Json] = {"addresses": aim.chosen, "method": spec.method}
    if aim.denied:
        facts["denied"] = aim.denied
    if aim.left_out:
        facts["not_probed"] = aim.left_out
    if not attempts:
        return facts
    accepted = [a for a in attempts if a.accepted]
    facts["accepted"] = tuple(a.address for a in accepted)
    facts["share"] = len(accepted) / len(attempts)
    failures = _failures(attempts)
    if failures:
        facts["failed"] = {a.address: a.error.reason.value for a in attempts if a.error and not a.accepted}
        facts["evidence"] = best_evidence(failures).evidence
    if reset := tuple(a.address for a in accepted if a.error):
        facts["reset_after_accept"] = reset
    return facts


def _failures(attempts: Sequence[Attempt]) -> list[NetError]:
    return [a.error for a in attempts if a.error is not None and not a.accepted]


def _measured(attempts: Sequence[Attempt]) -> dict[str, float]:
    seconds = [a.seconds for a in attempts if a.accepted]
    return {"connect_seconds": min(seconds)} if seconds else {}


def _judge(spec: TcpSpec, context: Context, attempts: Sequence[Attempt], facts: dict[str, Json]) -> Outcome:
    """Return the verdict on a port that is not plainly up."""
    failures = _failures(attempts)
    accepted = any(a.accepted for a in attempts)
    measurements = _measured(attempts)
    if spec.expect == "down":
        return _judge_down(spec, attempts, failures, measurements, facts)
    if spec.expect == "any":
        summary = one_line(_failing(spec, attempts))
        return Outcome(status=Status.OK, summary=summary, event=Event.NONE, facts=facts)
    judged = [e for e in failures if e.reason in CRITICAL_REASONS]
    # Our own limits hide an address that might have accepted; where all must accept, one that does not is enough.
    if len(judged) < len(failures) and not (spec.require_all and judged):
        return _starved(spec, failures, facts)
    if _unproven(spec, context) and not accepted:
        return _never_up(spec, _failing(spec, attempts), facts)
    worst = best_evidence(judged)
    failed = next(a for a in attempts if a.error is worst)
    return Outcome(
        status=Status.CRITICAL,
        summary=one_line(_failing(spec, attempts)),
        reason=worst.reason,
        event=Event.UNABLE_TO_CONNECT,
        action=what_to_do(worst.reason, failed.address, spec.port, spec.method),
        measurements=measurements,
        facts=facts,
    )


def _judge_down(
    spec: TcpSpec,
    attempts: Sequence[Attempt],
    failures: list[NetError],
    measurements: dict[str, float],
    facts: dict[str, Json],
) -> Outcome:
    if measurements:
        address = next(a.address for a in attempts if a.accepted)
        return Outcome(
            status=Status.WARNING,
            summary=one_line(f"{spec.target} accepts connections although it is expected to be down"),
            reason=Reason.UNEXPECTEDLY_UP,
            event=Event.NONE,
            action="Close the port, or change `expect` of the Resource. Repeat it by hand on this host: "
            + command(address, spec.port, spec.method),
            measurements=measurements,
            facts=facts,
        )
    if any(e.reason not in CRITICAL_REASONS for e in failures):
        return _starved(spec, failures, facts)
    facts["expected_down"] = True
    return Outcome(
        status=Status.OK, summary=one_line(f"As expected, {_failing(spec, attempts)}"), event=Event.NONE, facts=facts
    )


def unresolved(spec: TcpSpec, context: Context, resolution: Resolution) -> Outcome:
    """Judge a name that we had to resolve ourselves, in vain."""
    reason = resolution.reason or Reason.NO_ADDRESS
    failed = "does not resolve" if reason in DNS_FAILURES else "was not looked up"
    summary = one_line(f"{spec.address} {failed}: {resolution.evidence or reason}")
    facts: dict[str, Json] = {"addresses": (), "method": spec.method, "name_failed": reason.value}
    if spec.expect in ("any", "down"):
        if spec.expect == "down":
            facts["expected_down"] = True
        return Outcome(status=Status.OK, summary=summary, event=Event.NONE, facts=facts)
    if reason not in DNS_FAILURES:
        return Outcome(
            status=Status.UNKNOWN,
            summary=summary,
            reason=reason,
            action=what_to_do_about_name(reason, spec.address),
            facts=facts,
        )
    if _unproven(spec, context):
        return _never_up(spec, summary, facts)
    return Outcome(
        status=Status.CRITICAL,
        summary=summary,
        reason=reason,
        event=Event.DNS_LOOKUP_ERROR,
        action=what_to_do_about_name(reason, spec.address),
        facts=facts,
    )


def _unproven(spec: TcpSpec, context: Context) -> bool:
    """Tell whether nothing shows that anybody needs this port: nobody wrote it, it was never up, no user fails."""
    return spec.expect == "learned" and not context.ever_up and not context.user_failed


def _accepting(spec: TcpSpec, attempts: Sequence[Attempt]) -> str:
    accepted = [a for a in attempts if a.accepted]
    took = duration(min(a.seconds for a in accepted))
    if len(attempts) == 1:
        return f"{_where(spec, attempts[0])} accepted in {took}"
    return f"{spec.target}: {len(accepted)} of {len(attempts)} addresses accept, the fastest in {took}"


def _failing(spec: TcpSpec, attempts: Sequence[Attempt]) -> str:
    errors = [a.error for a in attempts if a.error and not a.accepted]
    worst = best_evidence(errors)
    failed = next(a for a in attempts if a.error is worst)
    seen = what_was_seen(worst.reason, failed.seconds, spec.timeout_s)
    if len(attempts) == 1:
        return f"{_where(spec, failed)} {seen}"
    return f"{spec.target}: {len(errors)} of {len(attempts)} addresses do not accept; {failed.address} {seen}"


def _where(spec: TcpSpec, one: Attempt) -> str:
    shown = Endpoint(one.address, spec.port)
    return str(shown) if one.address == spec.address else f"{spec.target} ({one.address})"


def _never_up(spec: TcpSpec, seen: str, facts: dict[str, Json]) -> Outcome:
    return skipped(
        Reason.NEVER_UP,
        seen,
        f"Nothing may ever have listened here. To be told of it, write port {spec.port} by itself in the Resource "
        "(or set expect: up).",
        facts,
    )


def _starved(spec: TcpSpec, failures: list[NetError], facts: dict[str, Json]) -> Outcome:
    limit = next(e for e in failures if e.reason not in CRITICAL_REASONS)
    return Outcome(
        status=Status.UNKNOWN,
        summary=one_line(f"{spec.target} could not be probed: {limit.evidence}"),
        reason=limit.reason,
        action="Raise the limits of this process (LimitNOFILE=, net.ipv4.ip_local_port_range), or lower "
        "schedule.max_rate and schedule.concurrency.",
        facts=facts,
    )


def skipped(reason: Reason, summary: str, action: str, facts: dict[str, Json] | None = None) -> Outcome:
    """Return the outcome of a port that was not probed."""
    return Outcome(status=Status.SKIPPED, summary=one_line(summary), reason=reason, action=action, facts=facts or {})
