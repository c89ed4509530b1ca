"""What the clock check says to a person: one line of summary, and what to do about it."""

import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from checks.clock_verdict import STEP_S, Kind, Source, Verdict
from checks.model import Reason, Status
from checks.net.endpoint import parse_endpoint
from checks.ntp_servers import NTP_PORT

CONTROLLER_TOLERANCE_S = 5.0  # Twingate's documentation, Connector details: "+/- 5 seconds"
HOUR_S = 3600.0
MAX_SUMMARY = 120  # one line of a terminal; the whole state stands in the facts
DRIFT_WORTH_SAYING_S = 30 * 24 * HOUR_S  # what takes longer will be something else by then
SYMPTOM = "With a clock out of tolerance the Connector goes offline and online by turns and logs `Invalid token`."
_KISSED = ("kiss:", "backing_off:")
_STATE_WORDS = {
    "silent": "silent",
    "kiss": "refused service",
    "backing_off": "asked us to wait",
    "unresolved": "not resolved",
    "rejected": "rejected",
}
_SHOW_STATE = {
    "chrony": "`chronyc -n tracking` and `chronyc -n sources`",
    "timesyncd": "`timedatectl timesync-status`",
    "ntpd": "`ntpq -pn`",
}
_CORRECT = {
    "chrony": "`chronyc makestep`",
    "timesyncd": "`systemctl restart systemd-timesyncd`",
    "ntpd": "`systemctl restart ntp` (it sets the clock when it starts)",
}


def seconds_text(seconds: float) -> str:
    """Write a length of time in seconds as exactly as anyone needs it."""
    size = abs(seconds)
    if size >= 100:
        return f"{size:.0f} s"
    return f"{size:.2f} s" if size >= 1 else f"{size:.3f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that one run found out.

    `step_s`: by how much the clock was set since the last run; `next_question_s`: when the first server that asked for
    peace may be asked again; `until_limit_s`: when the drift reaches the tolerance; `daemon`: what keeps time here.
    """

    verdict: Verdict
    sources: Sequence[Source]
    max_offset_s: float
    step_s: float = 0.0
    next_question_s: float | None = None
    until_limit_s: float | None = None
    daemon: str | None = None
    controllers: Sequence[str] = ()


def summary(found: Findings) -> str:
    """Say in one line what was observed."""
    verdict, limit = found.verdict, _plus_minus(found.max_offset_s)
    if verdict.reason is Reason.CLOCK_STEPPED:
        direction = "forward" if found.step_s > 0 else "back"
        tail = f"now {_position(found)}" if verdict.offset else "no time source to compare with"
        return f"clock was set {direction} by {seconds_text(found.step_s)} since the last look; {tail}"
    if verdict.offset is None:
        return _no_offset(found)
    if verdict.status is Status.UNKNOWN:
        return f"clock is {_position(found)}: too uncertain to judge it against {limit}"
    if found.until_limit_s is not None and found.until_limit_s < DRIFT_WORTH_SAYING_S:
        return f"clock is {_position(found)}; drifting, it reaches {limit} in {_hours(found.until_limit_s)}"
    who = "the Controller tolerates" if found.max_offset_s == CONTROLLER_TOLERANCE_S else "the limit set here is"
    return f"clock is {_position(found)}; {who} {limit}"


def action(found: Findings) -> str:
    """Say what to do, and the commands that repeat the measurement by hand; empty when all is well."""
    verdict = found.verdict
    if verdict.status is Status.OK:
        return ""
    by_hand = _by_hand(found)
    state = _SHOW_STATE.get(found.daemon or "", "`timedatectl`")
    if verdict.reason is Reason.OFFSET_EXCEEDED:
        fix = _CORRECT.get(found.daemon or "", "install and start chrony, then `chronyc makestep`")
        return (
            f"Look at the time daemon with {state}, then correct the clock: {fix}. In a container, correct the clock of"
            f" the host that runs it. {SYMPTOM}{by_hand}"
        )
    if verdict.reason is Reason.CLOCK_STEPPED:
        return f"Find out who set the clock: {state}, and the system log around that time. {SYMPTOM}{by_hand}"
    if verdict.reason is Reason.SOURCES_DISAGREE:
        return f"Compare the sources below and remove the wrong one; a third source makes a majority.{by_hand}"
    if _left_alone(found):
        return "Add time servers of your own under clock.servers: these do not want to be asked so often."
    return f"{_missing(found, state)} Each source's `state` in the facts says why it was not used.{by_hand}"


def _missing(found: Findings, state: str) -> str:
    """Say what would make a source usable."""
    if found.sources and all(source.kind is Kind.CONTROLLER for source in found.sources):
        return "Only the Controller's Date was asked: see its control_plane row, or name servers under clock.servers."
    return (
        "Allow UDP port 123 from this host to its time servers, or list servers that it can reach under clock.servers"
        f" (see {state})."
    )


def _position(found: Findings) -> str:
    verdict = found.verdict
    if verdict.offset is None:
        raise ValueError("no offset to write")
    offset, bound = verdict.offset.midpoint, verdict.offset.half_width
    side = "behind" if offset < 0 else "ahead"
    agreed = f"{verdict.agreeing} of {verdict.usable} sources agree"
    if verdict.usable == 1:
        kind = next(s.kind for s in found.sources if s.interval is not None)
        agreed = "one NTP server alone" if kind is Kind.NTP else "the Controller's Date alone"
    if verdict.capped:
        agreed = "one NTP server, nothing to confirm it"
    return f"{seconds_text(offset)} {side} ({_plus_minus(bound)}, {agreed})"


def _plus_minus(seconds: float) -> str:
    return f"± {seconds:g} s" if seconds >= STEP_S and seconds == round(seconds, 2) else f"± {seconds_text(seconds)}"


def _no_offset(found: Findings) -> str:
    usable = [s.interval for s in found.sources if s.interval is not None]
    if usable:
        low, high = min(i.low for i in usable), max(i.high for i in usable)
        return f"the {len(usable)} usable time sources contradict each other: offsets from {low:+.2f} to {high:+.2f} s"
    if not found.sources:
        return "no time source is known: none is configured, and none was found on this host"
    if _left_alone(found):
        wait = f": the next question is due in {found.next_question_s:.0f} s"
        return f"all time servers asked us to wait ({len(found.sources)}){wait}"
    if len(found.sources) == 1:
        only = found.sources[0]
        line = f"no time source is usable: {only.source} {only.state}"
        return line if len(line) <= MAX_SUMMARY else f"{line[: MAX_SUMMARY - 1]}…"
    counts = Counter(s.state.partition(":")[0] for s in found.sources)
    return "no time source is usable: " + ", ".join(f"{n} {_STATE_WORDS.get(s, s)}" for s, n in counts.items())


def _left_alone(found: Findings) -> bool:
    """Tell whether we know no time only because every server asked for peace."""
    return found.next_question_s is not None and all(s.state.startswith(_KISSED) for s in found.sources)


def _hours(seconds: float) -> str:
    return f"{seconds / HOUR_S:.0f} h" if seconds >= HOUR_S else f"{max(1, seconds // 60):.0f} min"


def _by_hand(found: Findings) -> str:
    """Return the commands that measure the same again without touching the clock."""
    commands = []
    asked = next((s for s in found.sources if s.kind is Kind.NTP), None)
    if asked is not None:
        server = parse_endpoint(asked.source, NTP_PORT)
        port = f" port {server.port}" if server.port != NTP_PORT else ""
        commands.append(f"chronyd -Q -t 10 {shlex.quote(f'server {server.host}{port} iburst')}")
    if found.controllers:
        commands.append(f"date -u; curl -sI {shlex.quote(found.controllers[0])} | grep -i ^date")
    return f" By hand: {' or '.join(f'`{c}`' for c in commands)}" if commands else ""
