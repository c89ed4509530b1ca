"""Rows of *Connector*, one for each link of the chain: clock, the way to Twingate, names."""

from deploy.grafana import style
from deploy.grafana.board import Row
from deploy.grafana.panels import Column, Frame, graph, grid, number, timeline
from deploy.grafana.promql import best, chosen, largest, worst

OFFSET, BOUND = "connector_health_clock_offset_seconds", "connector_health_clock_error_bound_seconds"
TOLERANCE = best("connector_health_clock_tolerance_seconds")
EXPIRES = "connector_health_control_plane_certificate_not_after_timestamp_seconds"
DAY_S = 86400


def _used(seconds: str) -> str:
    return f"max({chosen(f'{seconds} / connector_health_clock_tolerance_seconds')})"


_CLOCK = Row(
    title="Clock: the Controller tolerates ± 5 s",
    panels=(
        number(
            Frame(
                title="Tolerance used up",
                about="(|offset| ∓ error bound) / tolerance: the truth lies between. Orange and red as the daemon "
                "warns and calls it critical: for certain 20 % (`clock.warn_offset`, 1 s of 5 s) or perhaps 100 %, "
                "and for certain 100 %, where the Controller refuses this Connector. Grey: no time source could be "
                "asked.",
                width=4,
                height=8,
                runbook="ConnectorClockSkew",
            ),
            {
                "at least": _used(f"clamp_min(abs({OFFSET}) - {BOUND}, 0)"),
                "at most": _used(f"(abs({OFFSET}) + {BOUND})"),
            },
            unit="percentunit",
            steps={"at least": style.CLOCK_FOR_CERTAIN, "at most": ((None, style.GREEN), (1, style.ORANGE))},
            absent="not known",
            decimals=1,
        ),
        graph(
            Frame(
                title="Offset against tolerance",
                about="Negative: this host is behind. The true offset lies between the two thin lines.",
                width=12,
                height=8,
                runbook="ConnectorClockSkew",
            ),
            {
                "offset": best(OFFSET),
                "at most": f"max({chosen(f'{OFFSET} + {BOUND}')})",
                "at least": f"max({chosen(f'{OFFSET} - {BOUND}')})",
                "tolerance": TOLERANCE,
                "- tolerance": f"-{TOLERANCE}",
            },
            unit="s",
            colors={"tolerance": style.RED, "- tolerance": style.RED, "offset": style.BLUE},
            least=None,
        ),
        graph(
            Frame(
                title="Offset by each source",
                about="One that stands apart from the others is wrong itself; if they form no majority the offset is "
                "unknown (`sources_disagree`).",
                width=8,
                height=8,
                runbook="ConnectorClockUnverified",
            ),
            {"{{source}}": best("connector_health_clock_source_offset_seconds", "source")},
            unit="s",
            least=None,
        ),
        timeline(
            Frame(
                title="Time sources that answer; the kernel's own opinion",
                about="`synchronised`: the kernel says that a time daemon (chrony, ntpd, timesyncd) keeps its clock.",
                width=24,
                height=5,
                runbook="ConnectorClockUnverified",
            ),
            {
                "{{source}}": worst("connector_health_clock_source_up", "source"),
                "synchronised": best("connector_health_clock_synchronised"),
            },
            style.UP,
        ),
    ),
)

_WAY = Row(
    title="The way to Twingate",
    panels=(
        number(
            Frame(
                title="Direct paths",
                about="Does UDP get out, and does the NAT map a socket alike towards every destination? Else users "
                "are relayed: slower, but served.",
                width=8,
                height=4,
                runbook="ConnectorDirectPathImpossible",
            ),
            {
                "UDP gets out": best("connector_health_udp_egress"),
                "NAT allows them": best("connector_health_nat_endpoint_independent"),
            },
            words=style.POSSIBLE,
            absent="not known",
        ),
        number(
            Frame(
                title="Certificate of the control plane ends in",
                about="The first one to end, where there are several. Twingate renews it long before; if it gets "
                "short, look at who answers.",
                runbook="ConnectorControlPlaneUnreachable",
                width=8,
                height=4,
            ),
            {"": f"min({chosen(EXPIRES)}) - time()"},
            unit="dtdurations",
            steps=((None, style.RED), (7 * DAY_S, style.ORANGE), (14 * DAY_S, style.GREEN)),
            absent="none was shown",
            decimals=1,
        ),
        number(
            Frame(
                title="TLS intercepted",
                about="YES: somebody on the way opens the TLS connections to Twingate, an inspecting proxy for "
                "example.",
                width=8,
                height=4,
                runbook="ConnectorTLSIntercepted",
            ),
            {"": f"max({chosen('connector_health_control_plane_tls_intercepted')})"},
            words=style.ALARMING,
            absent="not known",
        ),
        timeline(
            Frame(
                title="Control plane",
                about="Each endpoint: does it answer over TLS that can be verified?",
                height=6,
                runbook="ConnectorControlPlaneUnreachable",
            ),
            {"{{endpoint}}": worst("connector_health_control_plane_up", "endpoint")},
            style.UP,
        ),
        timeline(
            Frame(
                title="Relays",
                about="Each Relay: does it accept connections? A gap: unknown.",
                height=6,
                runbook="ConnectorRelaysUnreachable",
            ),
            {"{{endpoint}}": worst("connector_health_relay_up", "endpoint")},
            style.UP,
        ),
        graph(
            Frame(
                title="How long the control plane takes, by phase",
                about="The last request that succeeded. A slow `resolve` is a nameserver's; `connect` is the way; "
                "`tls` and `http` are the Controller or who stands before it.",
                height=8,
            ),
            {"{{endpoint}} {{phase}}": best("connector_health_control_plane_phase_seconds", "endpoint", "phase")},
            unit="s",
            stacked=True,
        ),
        graph(
            Frame(
                title="Relays by state",
                about="`unproven` ones were never seen in use by this Connector: when they can't be reached, nobody "
                "is harmed.",
                height=8,
                runbook="ConnectorRelaysDegraded",
            ),
            {"{{state}}": best("connector_health_relays", "state")},
            stacked=True,
            colors={"up": style.GREEN, "down": style.RED, "unproven": style.GREY},
        ),
    ),
)

_NAMES = Row(
    title="Names",
    panels=(
        grid(
            Frame(
                title="Nameservers",
                about="Each nameserver of the Connector's resolver: does it give valid replies, how fast, and for "
                "how many names it has no address while another has one. One wrong nameserver among good ones is "
                "what users call *sometimes*.",
                height=8,
                runbook="ConnectorNameserversDisagree",
            ),
            {
                "state": worst("connector_health_nameserver_up", "nameserver"),
                "last reply took": best("connector_health_nameserver_seconds", "nameserver"),
                "names it lacks": best("connector_health_nameserver_disagreements", "nameserver"),
            },
            {
                "nameserver": Column(),
                "state": Column(words=style.UP, width=90),
                "last reply took": Column(unit="s", width=120),
                "names it lacks": Column(steps=style.NONE_IS_FINE, width=120),
            },
            sort="names it lacks",
            empty="none is asked",
        ),
        timeline(
            Frame(
                title="Nameservers over time",
                about="DOWN: no valid reply. Users wait for its time-out before the next one is asked.",
                height=8,
                runbook="ConnectorNameserverDown",
            ),
            {"{{nameserver}}": worst("connector_health_nameserver_up", "nameserver")},
            style.UP,
        ),
        graph(
            Frame(title="How long nameservers take", about="The last valid reply of each.", height=7),
            {"{{nameserver}}": best("connector_health_nameserver_seconds", "nameserver")},
            unit="s",
        ),
        graph(
            Frame(
                title="Slowest names",
                about="The ten Resources whose names took longest to resolve, on average. Beyond 5 s an attempt "
                "counts as failed.",
                height=7,
                runbook="ConnectorDNSLookupErrors",
            ),
            {"{{address}}": largest(best("connector_health_resource_dns_seconds", "address"), 10)},
            unit="s",
            steps=((None, "transparent"), (5, style.RED)),
        ),
    ),
)

ROWS = (_CLOCK, _WAY, _NAMES)
