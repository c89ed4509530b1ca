"""What is said of the Connector: one line about what was seen, what it means, and the command that shows the same."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from checks.advice import one_line
from checks.connector_seen import FDS_PER_TUNNEL, Seen, rfc3339
from checks.model import Reason
from checks.runtime.model import UNIT, RuntimeName, Sighting


@dataclass(frozen=True, slots=True)
class Words:
    """The two texts of an outcome."""

    summary: str
    action: str


_KINDS: Mapping[RuntimeName, str] = {
    "docker": "container", "systemd": "unit", "kubernetes": "pod", "none": "process",
}  # fmt: skip
_NEVER_ENDED = ("created", "paused")  # an exit code that a runtime gives for these is of an earlier start, or none
NOBODY = "no Connector was found"
_STANDING: Mapping[str, str] = {
    "paused": "Somebody paused it (`docker pause`): it stands still, and so does every connection through it.",
    "created": "It was made and never started.",
}
_ORDERLY = (0, 143)  # 143: 128 + SIGTERM, which is how a stop asks
_KILLED = 137  # 128 + SIGKILL: the kernel short of memory, or a stop that took too long
_NEW_TOKENS = (
    "make new tokens for this Connector in the Admin Console, remove the old deployment and deploy it again with them"
)
_ONE_PAIR = "One pair of tokens must never be used by two Connectors."


def subject(sighting: Sighting) -> str:
    """Name what was looked at: "container twingate-1"."""
    return f"{_KINDS[sighting.runtime]} {sighting.name}".strip()


def fine(seen: Seen) -> str:
    """Say that it runs, for how long, and what else tells about it."""
    parts = [f"{subject(seen.sighting)} is running" + (f" for {span(seen.uptime_s)}" if seen.uptime_s else "")]
    if seen.sighting.running is None:
        parts = [f"{subject(seen.sighting)} can't be seen, but its own metrics answer"]
    if seen.sighting.version:
        parts.append(f"version {seen.sighting.version}")
    if seen.sighting.health:
        parts.append(f"its health command: {seen.sighting.health}")
    if no_icmp(seen):
        parts.append("ICMP can't work")
    if seen.log is not None and seen.log.state is not None:
        parts.append(f"its log: {seen.log.state.value.replace('_', ' ')}")
    return one_line(", ".join(parts))


def no_icmp(seen: Seen) -> str:
    """Say what ICMP Resources need where the kernel lets nobody ping; empty where that is not known to be so."""
    reach = seen.sighting.ping_group_range
    if reach is None or reach[0] <= reach[1]:  # the kernel's default, "1 0", admits no group
        return ""
    return (
        "Only if a Resource allows ICMP: set net.ipv4.ping_group_range to 0 2147483647 for it "
        '(`docker run --sysctl net.ipv4.ping_group_range="0 2147483647" …`, or sysctl on its host).'
    )


def not_running(seen: Seen) -> Words:
    """Say that it does not run, and what to do."""
    sighting = seen.sighting
    why = []
    since: str | None = None
    if sighting.status not in _NEVER_ENDED:
        why += [f"exit code {sighting.exit_code}"] if sighting.exit_code is not None else []
        why += ["out of memory"] if sighting.oom_killed else []
        why += [sighting.evidence] if sighting.evidence else []
        since = rfc3339(sighting.finished_at)
    summary = (
        f"{subject(sighting)} does not run: {sighting.status or 'stopped'}"
        + (f" since {since}" if since else "")
        + (f" ({', '.join(why)})" if why else "")
    )
    name = shlex.quote(sighting.name)
    start = {
        "docker": f"{_docker(sighting)} {'unpause' if sighting.status == 'paused' else 'start'} {name}",
        "systemd": f"systemctl start {shlex.quote(sighting.name or UNIT)}",
    }.get(sighting.runtime)
    again = f" To start it: `{start}`." if start and sighting.status != "restarting" else ""
    return Words(summary, f"{_why_it_ended(sighting)}{again} {_look(sighting)}")


def _why_it_ended(sighting: Sighting) -> str:
    """Say what the end of the process means."""
    why = "The end of its log says why it ended: mend that first."
    if sighting.status in _STANDING:
        why = _STANDING[sighting.status]
    elif sighting.oom_killed:
        why = "The kernel ended it because memory ran out: give it more (Twingate's guide: 2 GB)."
    elif sighting.exit_code == _KILLED:
        why = "It was killed: by hand, by a stop that took too long, or for want of memory on this host."
    elif sighting.status == "restarting":
        why = "It is started again and again by itself, and ends each time: the end of its log says why."
    elif sighting.exit_code in _ORDERLY:
        why = "It ended in good order, as after `docker stop` or `systemctl stop`: find out who stopped it, and why."
    return why


def token_gone(seen: Seen) -> Words:
    """Say that its tokens no longer exist."""
    return Words(
        f"{subject(seen.sighting)} runs, but its log says that its tokens are gone (Gone, code 410)",
        f"It will not recover by itself: {_NEW_TOKENS}. {_ONE_PAIR} {_look(seen.sighting, log_first=True)}",
    )


def token_invalid(seen: Seen) -> Words:
    """Say that the Controller rejects its token, and point to the clock."""
    clock = (
        "This host's clock is off by more than that now (row clock:system): mend the clock first."
        if seen.clock_off
        else "See the row clock:system first."
    )
    return Words(
        f"{subject(seen.sighting)} runs, but its log says that the Controller rejects its token (Invalid token)",
        f"Nearly always the clock is more than 5 s off. {clock} If the clock is right, {_NEW_TOKENS}. {_ONE_PAIR} "
        f"{_look(seen.sighting, log_first=True)}",
    )


def fds_low(seen: Seen, free: int, limit: int) -> Words:
    """Say how many file descriptors are left, in tunnels of Clients."""
    tunnels = free // FDS_PER_TUNNEL
    return Words(
        f"{subject(seen.sighting)} has {free} of {limit} file descriptors left: room for {tunnels} more Client tunnels",
        _more_fds(seen),
    )


def fds_exhausted(seen: Seen, at: float) -> Words:
    """Say that it lately had no file descriptor left, by its own log."""
    return Words(
        f"the Connector's log: too many open files (os error 24), last at {rfc3339(at)}",
        _more_fds(seen),
    )


def _more_fds(seen: Seen) -> str:
    pid = seen.sighting.pid or "PID"
    raising = {
        "docker": "its limit (`docker run --ulimit nofile=65535:65535 …`: its container has to be made anew for that)",
        "systemd": "its limit (LimitNOFILE=65535 in the unit, then restart it)",
    }.get(seen.sighting.runtime, "its limit of open files and restart it")
    return (
        f"Each Client's tunnel takes {FDS_PER_TUNNEL}; at the limit new connections of users fail. Raise {raising}, "
        f"or add a Connector to the Remote Network. By hand: `ls /proc/{pid}/fd | wc -l` or "
        f"`grep 'open files' /proc/{pid}/limits`"
    )


def resolver_stuck(seen: Seen, since: float) -> Words:
    """Say that its resolver has given up nameservers that answer us."""
    return Words(
        f"the Connector's log: all nameservers have failed (since {rfc3339(since)}), yet they answer us",
        "Its own resolver asks a nameserver that it has given up only rarely again, so users get DNS lookup errors for "
        f"as long as that. Restart the Connector. {_restart_command(seen.sighting)}",
    )


def restarting(seen: Seen) -> Words:
    """Say how often it was restarted."""
    return Words(
        f"{subject(seen.sighting)} was restarted {seen.restarts_15m} times in the last 15 minutes",
        "Each restart cuts every connection that goes through it. The lines before each end in its log say why: "
        f"refused tokens, memory, a health command that is too strict. {_look(seen.sighting)}",
    )


def unhealthy(seen: Seen) -> Words:
    """Say that its own health command is not content, and how little that means."""
    name = shlex.quote(seen.sighting.name)
    docker = _docker(seen.sighting)
    look = (
        f"By hand: `{docker} inspect -f '{{{{json .State.Health}}}}' {name}` or `{docker} logs --tail 50 {name}`"
        if seen.sighting.runtime == "docker"
        else _look(seen.sighting)
    )
    return Words(
        f"{subject(seen.sighting)} runs, but its own health command does not say OK",
        "It may be stuck, or it may only lack a writable directory for its socket (/var/run/twingate on a read-only "
        "root): its log tells which. Healthy in turn would not mean connected: that command looks at the process only, "
        f"the rows of control plane and Relays at the way. {look}",
    )


def not_seen(sighting: Sighting, reason: Reason) -> Words:
    """Say why nothing was seen."""
    what = "was not found" if reason is Reason.NOT_FOUND else "can't be looked at"
    advice = sighting.action or (
        "Set connector.runtime, and connector.container or connector.unit, to what runs here."
        if reason is Reason.NOT_FOUND
        else "Run as root, or give this account what is missing."
    )
    if reason is Reason.NOT_FOUND and sighting.evidence.startswith(NOBODY):
        return Words(sighting.evidence, advice)  # it says so itself, and needs the room for where it looked
    return Words(f"the Connector {what}: {sighting.evidence or reason.value}", advice)


def not_told(seen: Seen) -> Words:
    """Say that nothing tells whether it runs, and what would."""
    own = f"; {seen.own.url or 'its own metrics'}: {seen.own.problem}" if seen.own is not None else ""
    return Words(
        f"whether {subject(seen.sighting)} runs can't be seen from here{own}",
        f"{seen.sighting.action} Set TWINGATE_METRICS_PORT=9999 for the Connector (1.80.0 and above) and "
        "connector.metrics_url to http://127.0.0.1:9999/metrics, or let the pod share its process namespace "
        "(shareProcessNamespace: true).".strip(),
    )


def span(seconds: float | None) -> str:
    """Write how long it has been for a person, in its two largest units: "3 d 4 h", "12 min 5 s"."""
    left, parts = int(seconds or 0), []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        if left >= length:
            parts.append(f"{left // length} {unit}")
            left %= length
    return " ".join(islice(parts, 2)) or "0 s"


def _docker(sighting: Sighting) -> str:
    """Return the command that speaks to the engine in which the Connector was seen."""
    return f"docker --host {shlex.quote(sighting.engine)}" if sighting.engine else "docker"


def _look(sighting: Sighting, *, log_first: bool = False) -> str:
    """Return the commands that show the state and the end of the log."""
    name = shlex.quote(sighting.name)
    commands: tuple[str, ...] = {
        "docker": (f"{_docker(sighting)} inspect {name}", f"{_docker(sighting)} logs --tail 50 {name}"),
        "systemd": (f"systemctl status {name}", f"journalctl -u {name} -n 50"),
        "kubernetes": (f"kubectl describe pod {name}".strip(), f"kubectl logs {name} --all-containers --tail 50"),
        "none": ("ps -C connectord,twingate-connector -o pid,lstart,args",),
    }[sighting.runtime]
    return "By hand: " + " or ".join(f"`{command}`" for command in (reversed(commands) if log_first else commands))


def _restart_command(sighting: Sighting) -> str:
    name = shlex.quote(sighting.name)
    commands = {"docker": f"{_docker(sighting)} restart {name}", "systemd": f"systemctl restart {name}",
                "kubernetes": f"kubectl delete pod {name}"}  # fmt: skip
    command = commands.get(sighting.runtime)
    return f"By hand: `{command}`" if command else ""
