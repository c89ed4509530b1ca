"""Causes in name resolution: nameservers, zones, and answers that differ."""

from checks.model import Reason
from daemon.causes import Domain
from daemon.diagnosis.kind import ANYWHERE, OF_RESOURCES, Kind

_DIG = {ANYWHERE: ("{enter}dig @{server}{dig_port} {question}", "{enter}cat /etc/resolv.conf")}

KINDS = (
    Kind(
        code="NameserverDown",
        domain=Domain.RESOLVER,
        title="The nameserver {target} gives no valid reply",
        text="{observed}. {share} Users who need a name from it get DNS lookup errors, or wait for it to time out.",
        action="Start or repair the nameserver {target}; see that UDP and TCP port 53 are open from here to it (cloud: "
        "the VPC's own resolver and the security groups on the way); else take it out of resolv.conf, or out of "
        "TWINGATE_DNS.",
        by_hand=_DIG,
        possible=("A firewall on the way drops port 53: from here that looks like a dead nameserver.",),
        severities=("critical", "warning"),
        reason=Reason.TIMEOUT,
        depends_on=("HostNetworkDown", "NoIPv4", "NextHopDown", "LocalFirewall"),
        alert="ConnectorNameserverDown",
    ),
    Kind(
        code="NameserverFailing",
        domain=Domain.RESOLVER,
        title="The nameserver {target} answers, but fails for every name",
        text="{observed}. It gave no address for any name it was asked for. Users get DNS lookup errors whenever the "
        "Connector asks it.",
        action="SERVFAIL: look at its log, at the servers that it forwards to, and at DNSSEC. REFUSED: allow this host "
        "in its access list. Else take it out of resolv.conf.",
        by_hand=_DIG,
        severities=OF_RESOURCES,
        reason=Reason.SERVFAIL,
        depends_on=("HostNetworkDown", "NextHopDown"),
        alert="ConnectorDNSLookupErrors",
    ),
    Kind(
        code="NameserversDisagree",
        domain=Domain.RESOLVER,
        title="The nameserver {target} has no address where another has one",
        text="{observed}. Users fail whenever the Connector asks {target}, and succeed when it asks another: failures "
        "that come and go.",
        action="Make all nameservers of this host serve the same zones (a public one beside a private one is the usual "
        "mistake), or take {target} out of resolv.conf. All Connectors of the Remote Network need the same ones.",
        by_hand=_DIG,
        severities=("warning",),
        reason=Reason.RESOLVERS_DISAGREE,
        depends_on=("NameserverDown", "NameserverFailing", "HostNetworkDown", "NextHopDown"),
        alert="ConnectorNameserversDisagree",
    ),
    Kind(
        code="RebindProtection",
        domain=Domain.RESOLVER,
        title="The nameserver {target} strips private addresses (rebind protection)",
        text="{observed}. Users get DNS lookup errors whenever the Connector asks {target}.",
        action="Exempt the private zone there (dnsmasq: rebind-domain-ok, unbound: private-domain, home routers: DNS "
        "rebind protection), or let this host ask a private nameserver only.",
        by_hand=_DIG,
        severities=("warning",),
        reason=Reason.REBIND_PROTECTED,
    ),
    Kind(
        code="ZoneFailing",
        domain=Domain.RESOLVER,
        title="No name of the zone {target} resolves",
        text="{count} names of {target} fail and none of them resolves, while the nameservers answer otherwise. Users "
        "of these Resources get DNS lookup errors. One of them: {observed}.",
        action="Look at the zone {target} where it is served: an expired zone, a forwarder that does not know it, a "
        "private zone that is not attached to this network (AWS: Route 53 private zone and VPC; Azure: private DNS "
        "zone link), DNSSEC.",
        by_hand={ANYWHERE: ("{enter}dig {quoted} SOA", "{enter}dig {question}")},
        possible=("An empty answer for private addresses only: DNS rebind protection at the nameserver.",),
        severities=OF_RESOURCES,
        reason=Reason.NXDOMAIN,
        depends_on=("NameserverDown", "NameserverFailing", "HostNetworkDown", "NextHopDown", "ConnectorNetwork"),
        alert="ConnectorDNSLookupErrors",
    ),
    Kind(
        code="MulticastNames",
        domain=Domain.RESOLVER,
        title="Names in .local are not answered by nameservers",
        text="{count} of the names in .local fail and none resolves. This suffix belongs to multicast DNS, which the "
        "Connector does not ask. Users of these Resources get DNS lookup errors. One of them: {observed}.",
        action="Give these Resources names in another suffix, or serve the zone local. at this host's nameservers.",
        by_hand={ANYWHERE: ("{enter}dig {question}",)},
        severities=OF_RESOURCES,
        reason=Reason.NXDOMAIN,
        depends_on=("NameserverDown", "NameserverFailing", "HostNetworkDown", "NextHopDown"),
        alert="ConnectorDNSLookupErrors",
    ),
    Kind(
        code="NameFails",
        domain=Domain.RESOURCE,
        title="{target} does not resolve",
        text="{observed}. Users of it get a DNS lookup error.",
        action="{advice}",
        severities=OF_RESOURCES,
        reason=Reason.NXDOMAIN,
        depends_on=("ZoneFailing", "MulticastNames", "NameserverDown", "NameserverFailing", "ConnectorNetwork"),
        alert="ConnectorDNSLookupErrors",
    ),
)
