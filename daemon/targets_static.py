"""The jobs that do not come from Resources: this host, its clock, the way to Twingate, the nameservers.

A check is imported with its job: together they take a third of the time until `healthctl check` sends its first probe,
and a configuration that asks for a few ports needs none of them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from checks.host import HostSpec
from checks.model import CheckName, Outcome, Reason, Status
from checks.net.endpoint import Endpoint
from checks.net.url import parse_url
from daemon.config.schema import Config, Relays
from daemon.jobs import Job
from daemon.observed import MAX_LEARNED_RELAYS, LearnedRelay

HTTPS_PORT = 443
PROBE_ROUNDS = 6  # a run waits at most this often for one time-out: addresses, TLS twice when it fails, a regional host
NAME_S = 20.0  # and this long for names: two, each within two of the longest usual DNS time-outs


def controller_urls(config: Config) -> tuple[str, ...]:
    """Return the Controller's URLs: as configured, else derived from the network's name."""
    if config.control_plane.urls or config.connector.network is None:
        return config.control_plane.urls
    return (f"https://{config.connector.network}.twingate.com",)


def static_jobs(config: Config, question: str | None, relays: Iterable[LearnedRelay] = ()) -> Iterator[Job]:
    """Yield these jobs; a check with nothing to ask yields one that is recorded as skipped and never run.

    `relays` are those that the Connector's log showed: the proven ones are probed as well.
    """
    seconds, timeout_s = config.schedule.intervals, config.schedule.timeout
    urls = controller_urls(config)
    yield _job(CheckName.HOST, "network", HostSpec(timeout_s=timeout_s), seconds.host, timeout_s)
    yield _clock(config, urls)
    yield from _control_plane(config, urls)
    yield from _relays(config, relays)
    if config.relays.stun:
        from checks.nat import NatSpec  # noqa: PLC0415 - see above

        spec = NatSpec(servers=config.relays.stun, timeout_s=timeout_s)
        yield _job(CheckName.NAT, "udp", spec, seconds.nat, timeout_s)
    else:
        yield _nothing(CheckName.NAT, "udp", "no STUN server is configured (relays.stun)")
    if config.dns.nameservers:
        from checks.resolver import ResolverSpec  # noqa: PLC0415

        resolver = ResolverSpec(question=question or _controller_host(urls), timeout_s=config.dns.timeout)
        yield _job(CheckName.RESOLVER, "nameservers", resolver, config.schedule.interval, config.dns.timeout)
    else:
        yield _nothing(CheckName.RESOLVER, "nameservers", "no nameserver is configured (dns.nameservers)")
    yield _provider(config)
    if config.connector.runtime == "none":
        yield _nothing(CheckName.CONNECTOR, "process", "nobody looks at its process (connector.runtime: none)")
    else:
        from checks.connector import ConnectorSpec  # noqa: PLC0415

        connector = ConnectorSpec(metrics_url=config.connector.metrics_url, timeout_s=timeout_s)
        yield _job(CheckName.CONNECTOR, "process", connector, seconds.connector, timeout_s)


def _clock(config: Config, urls: tuple[str, ...]) -> Job:
    controllers = tuple(u for u in urls if parse_url(u).tls) if config.clock.controller_date else ()
    servers = None if isinstance(config.clock.servers, str) else config.clock.servers
    if servers == () and not controllers:
        return _nothing(CheckName.CLOCK, "system", "no time source is configured (clock.servers)")
    from checks.clock import ClockSpec, longest_run_s  # noqa: PLC0415

    spec = ClockSpec(
        servers=servers,
        controllers=controllers,
        ca_file=config.control_plane.ca_file,
        max_offset_s=config.clock.max_offset,
        warn_offset_s=config.clock.warn_offset,
        timeout_s=config.schedule.timeout,
    )
    job = _job(CheckName.CLOCK, "system", spec, config.schedule.intervals.clock, config.schedule.timeout)
    # The ticks of the Controller's clock are waited for, however short the time-out is.
    return replace(job, timeout_s=max(job.timeout_s, longest_run_s(spec)))


def _control_plane(config: Config, urls: tuple[str, ...]) -> Iterator[Job]:
    if not urls:
        yield _nothing(CheckName.CONTROL_PLANE, "controller", "no network is configured (connector.network)")
        return
    from checks.control_plane import ControlPlaneSpec  # noqa: PLC0415

    targets = {controller_endpoint(url).short(HTTPS_PORT): url for url in urls}
    for target, url in targets.items():
        spec = ControlPlaneSpec(
            url=url,
            target=target,
            known=tuple(t for t in targets if t != target),
            ca_file=config.control_plane.ca_file,
            expected_issuers=config.control_plane.expected_issuers,
            timeout_s=config.schedule.timeout,
        )
        interval_s = config.schedule.intervals.control_plane
        yield _job(CheckName.CONTROL_PLANE, target, spec, interval_s, config.schedule.timeout)


def _relays(config: Config, learned: Iterable[LearnedRelay]) -> Iterator[Job]:
    used = [r.endpoint for r in learned if r.proven] if config.relays.learn else []
    configured = dict.fromkeys(config.relays.endpoints)
    more = [endpoint for endpoint in dict.fromkeys(used) if endpoint not in configured][:MAX_LEARNED_RELAYS]
    if not configured and not more:
        yield _nothing(CheckName.RELAY, "relays", "no Relay is configured (relays.endpoints)")
        return
    from checks.relay import RelaySpec  # noqa: PLC0415

    for endpoint in (*configured, *more):
        target = endpoint.short(HTTPS_PORT)
        # The operator named it, or the Connector uses it; the built-in one is only documented.
        proven = endpoint not in Relays().endpoints or endpoint in used
        spec = RelaySpec(
            endpoint=endpoint,
            target=target,
            proven=proven,
            ca_file=config.control_plane.ca_file,
            timeout_s=config.schedule.timeout,
        )
        yield _job(CheckName.RELAY, target, spec, config.schedule.intervals.relay, config.schedule.timeout)


def _provider(config: Config) -> Job:
    url = config.provider.status_url
    target = controller_endpoint(url).short(HTTPS_PORT)
    if config.provider.enabled == "never":
        return _nothing(CheckName.PROVIDER, target, "switched off (provider.enabled: never)")
    from checks.provider import ProviderSpec  # noqa: PLC0415

    spec = ProviderSpec(
        status_url=url,
        target=target,
        enabled=config.provider.enabled,
        ca_file=config.control_plane.ca_file,
        timeout_s=config.schedule.timeout,
    )
    return _job(CheckName.PROVIDER, target, spec, config.schedule.intervals.provider, config.schedule.timeout)


def controller_endpoint(url: str) -> Endpoint:
    """Return host and port of an http(s) URL that the configuration has accepted."""
    return parse_url(url).endpoint


def _controller_host(urls: tuple[str, ...]) -> str | None:
    hosts = (controller_endpoint(url) for url in urls)
    return next((e.host for e in hosts if not e.literal), None)


def _job(check: CheckName, target: str, spec: object, interval_s: float, timeout_s: float) -> Job:
    return Job(
        id=f"{check}:{target}",
        check=check,
        target=target,
        spec=spec,
        interval_s=interval_s,
        timeout_s=PROBE_ROUNDS * timeout_s + NAME_S,
    )


def _nothing(check: CheckName, target: str, why: str) -> Job:
    outcome = Outcome(status=Status.SKIPPED, reason=Reason.NOT_PROBEABLE, summary=f"nothing to ask: {why}")
    job_id = f"{check}:{target}"
    return Job(id=job_id, check=check, target=target, spec=None, interval_s=0.0, timeout_s=0.0, fixed=outcome)
