"""The links between this host and Twingate: clock, control plane, Relays, NAT, nameservers."""

from collections import Counter

from checks.model import CheckName, Outcome, Reason, Status
from daemon.metrics.exposition import Family, block
from daemon.metrics.families import Moment, entries, flag, gauge, real, succeeded

MAX_SOURCES = 32  # time sources shown: a pool may hand out ever new ones
PHASES = ("resolve", "connect", "tls", "http")
ANSWERED_BADLY = frozenset({Reason.SERVFAIL, Reason.QUERY_REFUSED})  # the nameserver is up: it said that it won't tell


def path_families(moment: Moment) -> list[Family]:
    """Return the gauges of these checks, each only while its row's verdict may be shown."""
    return [*_clock(moment), *_control_plane(moment), *_relays(moment), *_nat(moment), *_nameservers(moment)]


def _clock(moment: Moment) -> list[Family]:
    offset = gauge("clock_offset_seconds", "This host's clock minus true time; negative when this host is behind.")
    bound = gauge("clock_error_bound_seconds", "How far the measured offset can be from the true one.")
    tolerance = gauge("clock_tolerance_seconds", "The configured greatest offset, either way (clock.max_offset).")
    synchronised = gauge("clock_synchronised", "1 if the kernel says that a time daemon keeps its clock synchronised.")
    up = gauge("clock_source_up", "1 if this time source gave a usable reply.")
    source_offset = gauge("clock_source_offset_seconds", "This host's clock minus that of one time source.")
    if any(job.check is CheckName.CLOCK and job.fixed is None for job in moment.view.plan.jobs):
        tolerance.add(moment.view.config.clock.max_offset)
    for row in moment.of(CheckName.CLOCK)[:1]:  # a host has one clock
        outcome = row.result.outcome
        for family, key in ((offset, "offset_seconds"), (bound, "error_bound_seconds")):
            if key in outcome.measurements:
                family.add(outcome.measurements[key])
        kernel = flag(outcome, "synchronised")
        if kernel is not None:
            synchronised.add(kernel)
        for source, measured in _by_source(outcome).items():
            labels = block((("source", source),))
            up.add(measured is not None, labels)
            if measured is not None:
                source_offset.add(measured, labels)
    return [offset, bound, tolerance, synchronised, up, source_offset]


def _by_source(outcome: Outcome) -> dict[str, float | None]:
    """Return each source's offset in seconds, None without a usable reply; a name with several addresses is one."""
    found: dict[str, float | None] = {}
    for entry in entries(outcome, "sources", MAX_SOURCES):
        source = entry.get("source")
        if isinstance(source, str) and found.get(source) is None:
            found[source] = real(entry.get("offset_seconds"))
    return found


def _control_plane(moment: Moment) -> list[Family]:
    up = gauge("control_plane_up", "1 if this control-plane endpoint answers over verified TLS.")
    phase = gauge("control_plane_phase_seconds", "How long each phase of the last successful request took.")
    not_after = gauge(
        "control_plane_certificate_not_after_timestamp_seconds",
        "When the endpoint's certificate expires, in Unix time.",
    )
    intercepted = gauge("control_plane_tls_intercepted", "1 if somebody between here and the endpoint opens its TLS.")
    for row in moment.of(CheckName.CONTROL_PLANE):
        outcome, endpoint = row.result.outcome, ("endpoint", row.result.target)
        labels = block((endpoint,))
        up.add(succeeded(outcome), labels)
        for name in PHASES:
            key = f"{name}_seconds"
            if succeeded(outcome) and key in outcome.measurements:
                phase.add(outcome.measurements[key], block((endpoint, ("phase", name))))
        # Also when it has expired: an alert on it must not end because what it warned of came true.
        if "certificate_not_after_timestamp_seconds" in outcome.measurements:
            not_after.add(outcome.measurements["certificate_not_after_timestamp_seconds"], labels)
        found = flag(outcome, "tls_intercepted")
        if found is not None:
            intercepted.add(found, labels)
    return [up, phase, not_after, intercepted]


def _relays(moment: Moment) -> list[Family]:
    up = gauge("relay_up", "1 if this Relay endpoint accepts connections.")
    relays = gauge("relays", "Relay endpoints: up; down and proven to be in use; unproven, and not reachable either.")
    counted: Counter[str] = Counter()
    rows = moment.of(CheckName.RELAY)
    for row in rows:
        outcome = row.result.outcome
        reachable = succeeded(outcome) and "connect_seconds" in outcome.measurements
        up.add(reachable, block((("endpoint", row.result.target),)))
        # Only a proven endpoint can be critical: one that is merely documented may never have been meant for us.
        counted["up" if reachable else "down" if outcome.status is Status.CRITICAL else "unproven"] += 1
    if rows:
        for state in ("up", "down", "unproven"):
            relays.add(counted[state], block((("state", state),)))
    return [up, relays]


def _nat(moment: Moment) -> list[Family]:
    egress = gauge("udp_egress", "1 if UDP gets out of this network and replies come back.")
    independent = gauge("nat_endpoint_independent", "1 if the NAT maps one socket alike towards every destination.")
    for row in moment.of(CheckName.NAT)[:1]:
        for family, key in ((egress, "udp_egress"), (independent, "endpoint_independent")):
            found = flag(row.result.outcome, key)
            if found is not None:
                family.add(found)
    return [egress, independent]


def _nameservers(moment: Moment) -> list[Family]:
    up = gauge("nameserver_up", "1 if this nameserver gives valid replies, a refusal included.")
    seconds = gauge("nameserver_seconds", "How long this nameserver took for its last valid reply.")
    disagreements = gauge(
        "nameserver_disagreements", "Names for which this nameserver has no address while another one has."
    )
    for row in moment.of(CheckName.RESOLVER):
        outcome = row.result.outcome
        labels = block((("nameserver", row.result.target),))
        answers = outcome.status is Status.OK or outcome.reason in ANSWERED_BADLY
        up.add(answers, labels)
        if answers and "reply_seconds" in outcome.measurements:
            seconds.add(outcome.measurements["reply_seconds"], labels)
        disagreements.add(moment.dissent.get(row.result.target, 0), labels)
    return [up, seconds, disagreements]
