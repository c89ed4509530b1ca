"""Causes in the network towards Resources, and in the Resources themselves."""

from checks.model import Reason
from daemon.causes import Domain
from daemon.diagnosis.kind import ANYWHERE, OF_RESOURCES, Kind

_CLOUD = "cloud: security group, network ACL, route table, peering"
_SCOPE = "A fault of this place alone: ask another Connector of the Remote Network before the owner of the Resource."

KINDS = (
    Kind(
        code="SubnetUnreachable",
        domain=Domain.NETWORK,
        title="Nothing in {target} answers",
        text="{count} addresses in {target} were tried and none answers ({observed}). Users get "
        '"Unable to connect" for every Resource there.',
        action="Look at the way to {target} and back: routes on this host and its router, the VPN or tunnel to that "
        f"site, firewalls ({_CLOUD}), and whether the subnet itself is up.",
        by_hand={ANYWHERE: ("{enter}ip route get {sample}", "{enter}traceroute -n {sample}")},
        possible=(_SCOPE,),
        severities=OF_RESOURCES,
        reason=Reason.TIMEOUT,
        depends_on=("HostNetworkDown", "NextHopDown", "LocalFirewall", "ConnectorNetwork"),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="PortBlocked",
        domain=Domain.NETWORK,
        title="Port {target} is blocked on the way",
        text="{count} addresses do not answer at port {target} ({observed}), while other ports of the same addresses "
        'do, and none answers at this one. Users get "Unable to connect" there.',
        action=f"A firewall on the way drops TCP {{target}}: allow it from this host to these addresses ({_CLOUD}).",
        by_hand={ANYWHERE: ("{enter}{ask}",)},
        possible=(_SCOPE, "The same service is down on all of them, behind firewalls that drop what is not served."),
        severities=OF_RESOURCES,
        reason=Reason.TIMEOUT,
        depends_on=("HostNetworkDown", "NextHopDown", "SubnetUnreachable", "LocalFirewall", "ConnectorNetwork"),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="ResourceHostDown",
        domain=Domain.RESOURCE,
        title="{target} {how} {ports}",
        text='{observed}. {meaning} Users get "Unable to connect" for all of them.',
        action="{advice}",
        by_hand={ANYWHERE: ("{enter}ping -c 3 {sample}", "{enter}{ask}")},
        possible=(_SCOPE,),
        severities=OF_RESOURCES,
        reason=Reason.TIMEOUT,
        depends_on=("HostNetworkDown", "NextHopDown", "SubnetUnreachable", "LocalFirewall", "ConnectorNetwork"),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="ServiceDown",
        domain=Domain.RESOURCE,
        title="{target} accepts no connection, under any of {count} names",
        text='{observed}. Several names lead to this one port. Users get "Unable to connect" under each of them.',
        action="{advice}",
        by_hand={ANYWHERE: ("{enter}{ask}",)},
        possible=(_SCOPE,),
        severities=OF_RESOURCES,
        reason=Reason.REFUSED,
        depends_on=("ResourceHostDown", "PortBlocked", "SubnetUnreachable", "NextHopDown", "HostNetworkDown"),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="PortFails",
        domain=Domain.RESOURCE,
        title="{target} does not accept connections",
        text='{observed}. Users of it get "Unable to connect".',
        action="{advice}",
        severities=OF_RESOURCES,
        reason=Reason.REFUSED,
        depends_on=(
            "ServiceDown",
            "ResourceHostDown",
            "PortBlocked",
            "SubnetUnreachable",
            "NextHopDown",
            "HostNetworkDown",
        ),
        alert="ConnectorUnableToConnect",
    ),
)
