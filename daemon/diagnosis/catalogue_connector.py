"""Causes in the Connector itself: its process, its tokens, its limits, its own network."""

from checks.model import Reason
from daemon.causes import Domain
from daemon.diagnosis.kind import ANYWHERE, OF_RESOURCES, Kind

_LOOK = {
    ANYWHERE: ("healthctl check --only connector",),
    "docker": ("{docker} inspect {connector}", "{docker} logs --tail 50 {connector}"),
    "systemd": ("systemctl status {connector}", "journalctl -u {connector} -n 50"),
    "kubernetes": ("kubectl describe pod {connector}", "kubectl logs {connector} --tail 50"),
}
_START = {
    ANYWHERE: ("healthctl check --only connector",),
    "docker": ("{docker} logs --tail 50 {connector}", "{docker} {start} {connector}"),
    "systemd": ("journalctl -u {connector} -n 50", "systemctl start {connector}"),
    "kubernetes": ("kubectl describe pod {connector}", "kubectl logs {connector} --previous --tail 50"),
}
_RESTART = {
    ANYWHERE: ("healthctl check --only connector",),
    "docker": ("{docker} restart {connector}",),
    "systemd": ("systemctl restart {connector}",),
    "kubernetes": ("kubectl delete pod {connector}",),
}
_MINIMUM = "A version below the minimum that the Controller accepts (not public): upgrade the Connector."
_TWICE = "The same pair of tokens used by two Connectors: compare host name and public IP in the Admin Console."

KINDS = (
    Kind(
        code="ConnectorDown",
        domain=Domain.CONNECTOR,
        title="The Connector does not run",
        text="{observed}. Users reach no Resource through this Connector; with another one in the Remote Network they "
        "are moved there.",
        action="{advice}",
        by_hand=_START,
        possible=(
            "The image could not be pulled (limits of the registry, no way to it): see the runtime's own log.",
            _MINIMUM,
        ),
        severities=("critical",),
        reason=Reason.NOT_RUNNING,
        alert="ConnectorDown",
    ),
    Kind(
        code="ConnectorRestarting",
        domain=Domain.CONNECTOR,
        title="The Connector is restarted again and again",
        text="{observed}. Each restart cuts every connection of users that goes through it.",
        action="The lines before each end in its log say why: refused tokens, memory (Twingate's guide: 2 GB), a "
        "health command that is too strict. Mend that.",
        by_hand=_LOOK,
        possible=(_MINIMUM, _TWICE),
        severities=("warning",),
        reason=Reason.RESTARTING,
        depends_on=("ConnectorDown",),
        alert="ConnectorRestarting",
    ),
    Kind(
        code="TokenInvalid",
        domain=Domain.CONNECTOR,
        title="The Controller rejects the Connector's token",
        text="{observed}. The Connector goes or stays offline, and users lose it.",
        action="Nearly always the clock is more than 5 s off: see the row clock:system first. If the clock is right, "
        "make new tokens in the Admin Console, remove this deployment and deploy it again with them.",
        by_hand=_LOOK,
        possible=(_TWICE, _MINIMUM),
        severities=("critical",),
        reason=Reason.TOKEN_INVALID,
        depends_on=("ClockSkewed",),
        alert="ConnectorTokenInvalid",
    ),
    Kind(
        code="TokenGone",
        domain=Domain.CONNECTOR,
        title="The Connector's tokens no longer exist",
        text="{observed}. It does not recover by itself: users can't use this Connector until it is deployed anew.",
        action="Make new tokens for this Connector in the Admin Console, purge the old deployment with its data and "
        "deploy it again with them. One pair of tokens must never be used by two Connectors.",
        by_hand=_LOOK,
        possible=(_TWICE,),
        severities=("critical",),
        reason=Reason.TOKEN_GONE,
        alert="ConnectorTokenInvalid",
    ),
    Kind(
        code="ConnectorFdsLow",
        domain=Domain.CONNECTOR,
        title="The Connector runs out of file descriptors",
        text="{observed}. Each Client's tunnel takes 8; at the limit new connections of users fail (os error 24).",
        action="Raise its limit (docker: make it anew with --ulimit nofile=65535:65535; systemd: LimitNOFILE=65535 in "
        "the unit, then restart it), or add a Connector to the Remote Network.",
        by_hand={ANYWHERE: ("ls /proc/{pid}/fd | wc -l", "grep 'open files' /proc/{pid}/limits")},
        severities=("warning",),
        reason=Reason.FDS_LOW,
        alert="ConnectorFileDescriptorsLow",
    ),
    Kind(
        code="ConnectorResolverStuck",
        domain=Domain.CONNECTOR,
        title="The Connector's own resolver has given up nameservers that answer",
        text="{observed}. Its resolver asks a nameserver that it has given up only rarely again, for up to an hour, "
        "and its health command says OK all the while. Users get DNS lookup errors.",
        action="Restart the Connector: users are cut for a moment.",
        by_hand=_RESTART,
        severities=("warning",),
        reason=Reason.UNHEALTHY,
        depends_on=("NameserverDown", "NameserverFailing", "ConnectorDown"),
        alert="ConnectorDNSLookupErrors",
    ),
    Kind(
        code="ConnectorUnhealthy",
        domain=Domain.CONNECTOR,
        title="The Connector's own health command does not say OK",
        text="{observed}. It may be stuck, or only lack a writable directory for its socket; users may notice nothing.",
        action="Read its log: it tells which of the two. On a read-only root give it a writable /var/run/twingate.",
        by_hand=_LOOK,
        severities=("warning",),
        reason=Reason.UNHEALTHY,
        depends_on=("ConnectorDown", "ConnectorResolverStuck"),
    ),
    Kind(
        code="ConnectorNetwork",
        domain=Domain.CONNECTOR,
        title="Only the Connector's own network fails: this host reaches the same targets",
        text="{count} targets fail from the Connector's place in the network and work from this host. One of them: "
        "{observed}. Users of this Connector fail there, however well it looks from the host.",
        action="Look at what differs between the Connector's network and this host's: its container network, routes, "
        "firewall and DNS settings, and whom the targets' firewalls admit.",
        by_hand={
            ANYWHERE: ("nsenter -t {pid} -n ip route",),
            "docker": ("{docker} inspect {connector}", "nsenter -t {pid} -n ip route"),
            "kubernetes": ("kubectl get networkpolicy -A", "nsenter -t {pid} -n ip route"),
        },
        severities=OF_RESOURCES,
        reason=Reason.UNREACHABLE,
        depends_on=("ConnectorDown", "HostNetworkDown", "NextHopDown"),
        alert="ConnectorUnableToConnect",
    ),
    Kind(
        code="PingNotPermitted",
        domain=Domain.CONNECTOR,
        title="Resources that allow ICMP can't be pinged through this Connector",
        text="net.ipv4.ping_group_range in the Connector's network is {target}, which admits nobody. Users' TCP and "
        "UDP are not affected; their pings fail.",
        action="If a Resource allows ICMP, set net.ipv4.ping_group_range to 0 2147483647 (docker: make it anew with "
        '--sysctl net.ipv4.ping_group_range="0 2147483647").',
        by_hand={ANYWHERE: ("{enter}sysctl net.ipv4.ping_group_range",)},
        severities=("info",),
        reason=Reason.PERMISSION_DENIED,
    ),
)
