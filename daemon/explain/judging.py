"""Reasons of our own: why a target was not judged, or judged against an expectation."""

from collections.abc import Mapping

from checks.model import Reason
from daemon.explain.connecting import BY_HAND
from daemon.explain.page import Page

PAGES: Mapping[Reason, Page] = {
    Reason.NOT_PROBEABLE: Page(
        meaning="There is nothing to probe: a pattern or network without samples, a Resource with all ports allowed, "
        "UDP only, or a check with nothing to ask (of the Connector: `connector.runtime: none`, or a pod whose "
        "processes can't be seen).",
        impact="None known: nobody looks.",
        commands=("healthctl config show",),
        fix="Name something to probe: `samples` for a pattern or network, `probe_ports` where all ports are "
        "allowed, `relays.stun` for the NAT check, `connector.metrics_url` for a Connector that can't be seen.",
        fixes={
            "Kubernetes": "`shareProcessNamespace: true` in the pod lets its containers see the Connector's process.",
        },
    ),
    Reason.NOT_ALLOWED: Page(
        meaning="The address is in `probing.deny`, or the port may only be probed half-open and that is not permitted "
        "here.",
        impact="None known: nobody looks.",
        commands=("healthctl config show", "healthctl status   # its line Method says what half-open probes lack"),
        fix="Add the address to `probing.allow`. A port that a plain connection could harm (MySQL counts it as an "
        "error, and after 100 of them blocks this host, the Connector with it) is left alone until it can be probed "
        "half-open: start the helper connector-health-netns with CAP_NET_RAW for this Connector, or give the right to "
        "this program (`healthctl explain half_open`), and do not set `probe` or `probing.method` to connect.",
        fixes={
            "Docker": "`deploy/docker/compose.half-open.yaml` starts it with the right and as no root user.",
            "systemd": "`systemctl enable --now connector-health-netns`; without a helper the drop-in "
            "`examples/half-open.conf` of `deploy/systemd`.",
            "Kubernetes": "`securityContext: {runAsUser: 0, capabilities: {add: [NET_RAW]}}` for this container.",
        },
    ),
    Reason.NEVER_UP: Page(
        meaning="The port comes from a range, a source, a sample or the Connector's log and has never accepted a "
        "connection: most ports of a range have no service.",
        impact="None known. It counts as soon as it has accepted once, or the Connector's log shows a user who fails "
        "there.",
        commands=(BY_HAND,),
        fix="If the port should be up, write it by itself into the Resource, or set `expect: up`.",
    ),
    Reason.EXPECTED_DOWN: Page(
        meaning="The Resource says `expect: down`, and it is down.",
        impact="None: nobody is meant to use it.",
        commands=(BY_HAND,),
        fix="Nothing to do. Remove `expect: down` when the service comes into use.",
    ),
    Reason.UNEXPECTEDLY_UP: Page(
        meaning="The Resource says `expect: down`, but it accepts connections.",
        impact="Users who hold access reach something that should not be reachable.",
        commands=(BY_HAND,),
        fix="Close the port, or remove `expect: down`.",
    ),
    Reason.DEPENDENCY_FAILED: Page(
        meaning="Not asked, because something it stands on fails: its name does not resolve, this host has no network, "
        "or the Connector does not run.",
        impact="That of the cause; it is counted there, once.",
        commands=("healthctl check",),
        fix="Repair the row that is named as the cause.",
    ),
    Reason.INVENTORY_STALE: Page(
        meaning="A source of Resources has not answered for a long time: the list may be out of date.",
        impact="None known: new Resources are not watched, removed ones still are.",
        commands=("healthctl check --only control_plane",),
        fix="See why the source fails: token, network, or the file's permissions.",
    ),
    Reason.PROBER_STARVED: Page(
        meaning="We ran short of something ourselves: CPU time, file descriptors, ports or memory. A time-out then "
        "says nothing of the target. Or this host's table of connections (conntrack) or its local ports are nearly "
        "used up, and nothing is asked so that the Connector has what is left.",
        impact="None known: it is our ignorance. Of a host without room for connections: users who connect may fail.",
        commands=(
            "uptime",
            "ss -s",
            "cat /proc/sys/fs/file-nr",
            "sysctl net.netfilter.nf_conntrack_count net.netfilter.nf_conntrack_max net.ipv4.ip_local_port_range",
        ),
        fix="Give this host or this service more CPU or descriptors, or lower `schedule.concurrency` and "
        "`schedule.max_rate`. A table that is full: find what fills it (`conntrack -S`, `conntrack -L`), or raise "
        "`net.netfilter.nf_conntrack_max`.",
        fixes={
            "Docker": "Raise `--cpus`, and `--ulimit nofile=65535:65535`, of this program's container.",
            "systemd": "`systemctl edit connector-health`: CPUWeight=200, LimitNOFILE=65535, and no CPUQuota=.",
            "Kubernetes": "Raise `resources.requests.cpu` of this program's container, and drop its CPU limit.",
        },
    ),
    Reason.PERMISSION_DENIED: Page(
        meaning="We may not look: the container runtime's socket, the journal, the Connector's network namespace or "
        "the resolver's settings are closed to this account.",
        impact="None known: it is our ignorance, and never taken for a Connector that is down.",
        commands=("id", "ls -l /var/run/docker.sock /run/connector-health/netns.sock"),
        fix="Grant what is missing: membership of the groups docker or systemd-journal; for the Connector's place "
        "in the network the helper `connector-health-netns`. Or run as root.",
        fixes={
            "Docker": "`usermod -aG docker connector-health`, then restart it (who may use Docker's socket is root).",
            "systemd": "`usermod -aG systemd-journal connector-health`, then `systemctl restart connector-health`.",
            "Kubernetes": "`shareProcessNamespace: true` in the pod; the log is closed from inside a pod.",
        },
    ),
    Reason.DEFINITION_OVERLAP: Page(
        meaning="Two Resources overlap, or one overlaps this host's own networks, a container network or the range "
        "that Twingate's Clients use (100.96.0.0/12).",
        impact="A user may reach another target than meant, or be routed around Twingate.",
        commands=("ip route", "healthctl config show"),
        fix="Narrow one of the addresses, or renumber the local network.",
    ),
    Reason.INTERNAL_ERROR: Page(
        meaning="The check itself failed: a fault in this product.",
        impact="None known: it is our ignorance.",
        commands=("journalctl -u connector-health -n 100",),
        fix="Please report it with the traceback from the log.",
    ),
}
