"""Causes between this host and Twingate: the control plane, TLS inspection, the Relays, the direct path."""

from checks.model import Reason
from daemon.causes import Domain
from daemon.diagnosis.kind import ANYWHERE, Kind

_GEO = "A country or provider that blocks Twingate: the web site may load and the service endpoints not."
_CONSUMER = "A consumer router's security feature (for example Netgear Armor) that blocks silently."
_BEFORE = ("HostNetworkDown", "NoIPv4", "NextHopDown", "LocalFirewall", "NameserverDown", "NameserverFailing")
_TLS = "openssl s_client -connect {where} -servername {host} -showcerts </dev/null"

KINDS = (
    Kind(
        code="TLSIntercepted",
        domain=Domain.CONTROL_PLANE,
        title="TLS to {target} is intercepted",
        text="{observed}. Twingate's software refuses certificates that are not its own (which ones is not "
        "public): behind TLS inspection a Connector finds no Relays however well a browser works, and users reach "
        "nothing through it.",
        action="Exempt *.twingate.com from TLS inspection and from deep packet inspection at the firewall or proxy "
        "(Zscaler, Palo Alto, Fortinet: an SSL inspection exception).",
        by_hand={ANYWHERE: (_TLS,)},
        severities=("warning",),
        reason=Reason.TLS_INTERCEPTED,
        depends_on=_BEFORE,
        alert="ConnectorTLSIntercepted",
    ),
    Kind(
        code="EgressBlocked",
        domain=Domain.CONTROL_PLANE,
        title="Something blocks this host's way to Twingate",
        text="No control-plane endpoint and no Relay accepts a connection ({observed}), while {answers}. The Connector "
        "goes offline: users reach nothing through it.",
        action="Allow outbound TCP 443 and 30000 to 31000 from this host to *.twingate.com in the firewall (cloud: "
        "security group, network ACL, egress firewall policy).",
        by_hand={ANYWHERE: ("{enter}nc -vz -w 5 {quoted} 443", "{enter}nc -vz -w 5 {relay_host} {relay_port}")},
        possible=(_GEO, _CONSUMER),
        severities=("critical",),
        reason=Reason.TIMEOUT,
        depends_on=_BEFORE,
        alert="ConnectorControlPlaneUnreachable",
    ),
    Kind(
        code="ControlPlaneUnreachable",
        domain=Domain.CONTROL_PLANE,
        title="The control plane can't be reached",
        text="No endpoint of the Controller works: {observed}. The Connector can't renew its tokens nor learn of "
        "changes; sooner or later it goes offline, and users with it.",
        action="{advice}",
        by_hand={ANYWHERE: ("{enter}nc -vz -w 5 {quoted} 443", "healthctl check --only control_plane")},
        possible=(_GEO, "An outage at Twingate: see https://status.twingate.com"),
        severities=("critical",),
        reason=Reason.TIMEOUT,
        depends_on=(*_BEFORE, "ClockSkewed", "TLSIntercepted", "EgressBlocked"),
        alert="ConnectorControlPlaneUnreachable",
    ),
    Kind(
        code="ControlPlaneDegraded",
        domain=Domain.CONTROL_PLANE,
        title="{count} of {all} control-plane endpoints fail",
        text="{observed}. Another endpoint answers, so the Connector goes on and users notice nothing; when it needs "
        "this one, it can't.",
        action="{advice}",
        by_hand={ANYWHERE: ("healthctl check --only control_plane",)},
        severities=("info",),
        reason=Reason.HTTP_STATUS,
        depends_on=(*_BEFORE, "ClockSkewed", "TLSIntercepted", "EgressBlocked", "ControlPlaneUnreachable"),
    ),
    Kind(
        code="RelaysUnreachable",
        domain=Domain.RELAY,
        title="No Relay can be reached",
        text="All {all} Relays that are configured or in use fail: {observed}. Users get through to no Resource unless "
        "they reach this Connector directly.",
        action="Allow outbound TCP 443 and 30000 to 31000 to *.twingate.com; exempt it from TLS and packet inspection; "
        "see that this host has IPv4.",
        by_hand={ANYWHERE: ("{enter}nc -vz -w 5 {relay_host} {relay_port}", "healthctl check --only relay")},
        possible=(_GEO, _CONSUMER),
        severities=("critical",),
        reason=Reason.TIMEOUT,
        depends_on=(*_BEFORE, "TLSIntercepted", "EgressBlocked"),
        alert="ConnectorRelaysUnreachable",
    ),
    Kind(
        code="RelaysDegraded",
        domain=Domain.RELAY,
        title="{count} of {all} Relays can't be used",
        text="{observed}. A Connector keeps connections to four Relays and takes others instead, so users notice "
        "little while any of them works.",
        action="If it lasts, see that outbound TCP 443 and all of 30000 to 31000 are allowed to *.twingate.com, not "
        "only to single addresses: Relays come and go.",
        by_hand={ANYWHERE: ("{enter}nc -vz -w 5 {relay_host} {relay_port}", "healthctl check --only relay")},
        possible=(_GEO, _CONSUMER),
        severities=("info",),
        reason=Reason.TIMEOUT,
        depends_on=(*_BEFORE, "TLSIntercepted", "EgressBlocked", "RelaysUnreachable"),
        alert="ConnectorRelaysDegraded",
    ),
    Kind(
        code="DirectPathImpossible",
        domain=Domain.RELAY,
        title="Users can't reach this Connector directly: they are relayed",
        text="{observed}. Users are served, only slower, through a Relay.",
        action="{advice}",
        by_hand={ANYWHERE: ("healthctl check --only nat",)},
        possible=("Double NAT, or a provider's NAT, in front of this network.",),
        severities=("info",),
        reason=Reason.MAPPING_VARIES,
        depends_on=("HostNetworkDown", "NoIPv4", "NextHopDown"),
        alert="ConnectorDirectPathImpossible",
    ),
)
